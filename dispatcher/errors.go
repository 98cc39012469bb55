package dispatcher

import (
	"errors"

	"github.com/toller-go/toller/job"
)

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
	// ErrNilContext: a context is needed; context.Background() will do. It is the same as in package job.
	ErrNilContext = job.ErrNilContext
	// ErrNilDispatcher: there is nobody to run it. The dispatcher is nil, because New has failed perhaps, or was not made by New.
	ErrNilDispatcher = errors.New("dispatcher: nil or zero dispatcher; make one with New")
	// ErrNilLimiter and ErrNilBreaker: it is nil or was not made by NewLimiter or NewBreaker.
	ErrNilLimiter = errors.New("dispatcher: nil or zero limiter; make one with NewLimiter")
	ErrNilBreaker = errors.New("dispatcher: nil or zero breaker; make one with NewBreaker")
	// ErrNilSharedLimit: the shared limit is nil or was not made by NewSharedLimit.
	ErrNilSharedLimit = errors.New("dispatcher: nil or zero shared limit; make one with NewSharedLimit")
)
