package policy

import (
	"errors"
	"fmt"
	"time"
)

// ErrInvalid is what every fault in a rule, or in a value given along with a job, matches by errors.Is.
var ErrInvalid = errors.New("policy: invalid value")

// ErrOpenCircuit is what every *OpenCircuitError matches by errors.Is.
var ErrOpenCircuit = errors.New("circuit open")

// FieldError says what is wrong with one field of a rule. It matches [ErrInvalid].
type FieldError struct {
	Field   string // path of the field, such as `Limit("tokens").Burst`
	Value   any    // what was given
	Allowed string // what would have been accepted, as words that follow "must be"
}

// Error names the field, the value and what is allowed.
func (e *FieldError) Error() string {
	return fmt.Sprintf("policy: %s is %v; it must be %s", e.Field, e.Value, e.Allowed)
}

// Is reports whether target is [ErrInvalid].
func (e *FieldError) Is(target error) bool { return target == ErrInvalid }

// OpenCircuitError ends a job that would not wait for its key's open circuit. It matches [ErrOpenCircuit].
type OpenCircuitError struct {
	Key        string        // the key whose circuit is open; empty for jobs that named none
	RetryAfter time.Duration // until a next attempt may be admitted; negative when only a Reset can tell
	Cause      error         // the error that opened the circuit; nil when it is not known
}

// Error says which circuit is open, for how long, and why.
func (e *OpenCircuitError) Error() string {
	msg := "circuit open"
	if e.Key != "" {
		msg = fmt.Sprintf("circuit of key %q open", e.Key)
	}
	if e.RetryAfter >= 0 {
		msg += fmt.Sprintf(", retry after %v", e.RetryAfter)
	} else {
		msg += " until it is reset"
	}
	if e.Cause != nil {
		msg += fmt.Sprintf(" (opened by: %v)", e.Cause)
	}
	return msg
}

// Is reports whether target is [ErrOpenCircuit].
func (e *OpenCircuitError) Is(target error) bool { return target == ErrOpenCircuit }

// Unwrap returns the error that opened the circuit, or nil.
func (e *OpenCircuitError) Unwrap() error { return e.Cause }
