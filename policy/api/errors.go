package api

import (
	"fmt"
	"strconv"
)

// Error is an attempt that did not give what was asked for. Find it with errors.As in what a dispatcher returns.
type Error struct {
	Meaning
	Body []byte // of the answer, or its beginning; nil if there was none
	Err  error  // why there was no answer; nil if there was one
}

// Error says what the server said.
func (e *Error) Error() string {
	switch {
	case e.Err != nil:
		return fmt.Sprintf("%s: %v", e.Class, e.Err)
	case e.Code != "" && e.Code != strconv.Itoa(e.Status): // some repeat the status there
		return fmt.Sprintf("%s: HTTP %d %s: %s", e.Class, e.Status, e.Code, e.Message)
	case e.Message != "":
		return fmt.Sprintf("%s: HTTP %d: %s", e.Class, e.Status, e.Message)
	default:
		return fmt.Sprintf("%s: HTTP %d", e.Class, e.Status)
	}
}

// Unwrap returns why there was no answer.
func (e *Error) Unwrap() error { return e.Err }
