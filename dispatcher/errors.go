package dispatcher

import "errors"

// The errors with which New, Submit and their kin refuse. What is wrong with a value is a *policy.FieldError, which
// matches policy.ErrInvalid. What happens to a job after it has been accepted is told by its future, see job.Error.
var (
	// ErrClosed: the dispatcher accepts no more jobs, because Close or Stop has been called.
	ErrClosed = errors.New("dispatcher: closed")
	// ErrQueueFull: as many jobs are unsettled as Config.Queue allows, and the call does not wait for room.
	ErrQueueFull = errors.New("dispatcher: queue full")
	// ErrTooManyKeys: the job's key is new, and as many are in use as Config.MaxKeys allows.
	ErrTooManyKeys = errors.New("dispatcher: too many keys")
	// ErrNameTaken: a dispatcher of this name exists and has not been closed.
	ErrNameTaken = errors.New("dispatcher: name taken")
	// ErrNilFunc: there is nothing to run.
	ErrNilFunc = errors.New("dispatcher: nil function")
	// ErrNilSource: Map has nothing to read from.
	ErrNilSource = errors.New("dispatcher: nil source")
	// ErrNilContext: a job needs a context; context.Background() will do.
	ErrNilContext = errors.New("dispatcher: nil context")
	// ErrNilDispatcher: there is nobody to run it; New has failed, perhaps.
	ErrNilDispatcher = errors.New("dispatcher: nil dispatcher")
)
