package job

import (
	"context"
	"fmt"
	"sync"
)

// Canceled is what became of a request to cancel a job.
type Canceled uint8

// The answers of [Future.Cancel].
const (
	// AlreadySettled means that the job was over; nothing has changed.
	AlreadySettled Canceled = iota
	// NeverRan means that the function has never been called for this job and never will be.
	NeverRan
	// BetweenAttempts means that the job waited for a next attempt: earlier ones have run, none runs now, none will.
	BetweenAttempts
	// Signaled means that an attempt is running. Its context has been canceled, the future is settled, and what the
	// function still returns is dropped.
	Signaled
)

// String returns the answer in words.
func (c Canceled) String() string {
	names := [...]string{"already settled", "never ran", "between attempts", "signaled"}
	if int(c) >= len(names) {
		return fmt.Sprintf("Canceled(%d)", uint8(c))
	}
	return names[c]
}

// State is where a job stands, as its future knows it.
type State uint8

// The states. What a job that is not settled waits for, its dispatcher knows.
const (
	Pending   State = iota // queued, waiting or running
	Succeeded              // there is a value
	Failed                 // there is an error, be it that the job was canceled
)

// String returns the state in lower case.
func (s State) String() string {
	names := [...]string{"pending", "succeeded", "failed"}
	if int(s) >= len(names) {
		return fmt.Sprintf("State(%d)", uint8(s))
	}
	return names[s]
}

// Future is the answer of a job that may still be under way. It comes from a dispatcher; a zero Future belongs to no job and
// never settles.
type Future[T any] struct {
	owner Owner // immutable once the future is handed out

	mu       sync.Mutex
	settled  bool          // guarded by mu
	done     chan struct{} // guarded by mu; nil until somebody asks
	watchers []watcher     // guarded by mu
	value    T             // written before settled is set, immutable afterwards
	err      error         // likewise
}

// Owner is the job behind a future. Dispatchers implement it.
type Owner interface {
	// JobID returns the job's number.
	JobID() ID
	// CancelJob cancels the job and says what that did.
	CancelJob() Canceled
	// ExplainJob says what the job waits for.
	ExplainJob() Explanation
	// DispatcherName returns the name of the job's dispatcher.
	DispatcherName() string
	// AttendJob is told that an attempt of the same dispatcher, the one that ctx belongs to, waits for the job and does nothing
	// else until leave is called. Meanwhile it may call hopeless, once: the job will never be over. hopeless does not block.
	AttendJob(ctx context.Context, hopeless func()) (leave func())
}

// ID returns the job's number within its dispatcher; zero for a zero Future.
func (f *Future[T]) ID() ID {
	if f.owner == nil {
		return 0
	}
	return f.owner.JobID()
}

// Done returns a channel that is closed when the job is settled. It is always the same channel.
func (f *Future[T]) Done() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.done == nil {
		f.done = make(chan struct{})
		if f.settled {
			close(f.done)
		}
	}
	return f.done
}

// Result returns what Await would, without waiting. ok is false while the job is not settled.
func (f *Future[T]) Result() (value T, err error, ok bool) { //nolint:revive // ok says whether the pair (value, err) exists, so it comes last
	f.mu.Lock()
	ok = f.settled
	f.mu.Unlock()
	if !ok {
		return value, nil, false
	}
	return f.value, f.err, true
}

// State returns where the job stands, without waiting.
func (f *Future[T]) State() State {
	switch _, err, ok := f.Result(); {
	case !ok:
		return Pending
	case err == nil:
		return Succeeded
	default:
		return Failed
	}
}

// Cancel ends the job if it is not over, and says what it found. The future is settled when Cancel returns, with an
// [*Error] that matches [ErrCanceled], unless the job had ended by itself before. Cancel does not wait for a function
// that is running.
func (f *Future[T]) Cancel() Canceled {
	switch _, _, ok := f.Result(); {
	case ok:
		return AlreadySettled
	case f.owner == nil:
		return NeverRan
	}
	return f.owner.CancelJob()
}

// Promise is a [Future] seen from the side that settles it. Dispatchers embed one in each job. A Promise must not be
// copied.
type Promise[T any] struct {
	future Future[T]
}

// Init says whose promise it is. It must be called before the future is handed out.
func (p *Promise[T]) Init(owner Owner) { p.future.owner = owner }

// Future returns the side that is given to the caller.
func (p *Promise[T]) Future() *Future[T] { return &p.future }

// Settle gives the answer and wakes all who wait. Only the first call counts; it reports whether this was it.
func (p *Promise[T]) Settle(value T, err error) bool {
	f := &p.future
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.settled {
		return false
	}
	f.value, f.err, f.settled = value, err, true
	if f.done != nil {
		close(f.done)
	}
	for _, w := range f.watchers {
		w.box.add(w.index)
	}
	f.watchers = nil
	return true
}
