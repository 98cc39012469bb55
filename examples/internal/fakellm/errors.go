package fakellm

import (
	"errors"
	"fmt"
)

var (
	// ErrConfig matches every fault that Config.Validate reports.
	ErrConfig = errors.New("fakellm: invalid config")
	// ErrStarted is returned by a second Start of the same Server.
	ErrStarted = errors.New("fakellm: already started")
	// ErrStopped is returned by Start after Shutdown: a Server serves once.
	ErrStopped = errors.New("fakellm: already shut down")
)

// FieldError is one fault of a Config. It matches ErrConfig.
type FieldError struct {
	Field   string // the name of the field of Config
	Value   any    // what it holds
	Allowed string // what it may hold, as an English phrase
}

// Error names the field, its value, and what is allowed.
func (e *FieldError) Error() string {
	return fmt.Sprintf("fakellm: Config.%s is %v, allowed: %s", e.Field, e.Value, e.Allowed)
}

// Unwrap returns ErrConfig.
func (e *FieldError) Unwrap() error { return ErrConfig }
