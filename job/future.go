package job

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
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
// never settles. A nil one, of a submission that was refused perhaps, is as if its job had ended with [ErrNilFuture].
//
// There may be millions of them, and most are asked for nothing but their result: so it is small, and whoever wants to be told
// makes an audience.
type Future[T any] struct {
	owner    Owner                    // immutable once the future is handed out
	state    atomic.Uint32            // a State, or settling
	pending  sync.WaitGroup           // until it is settled
	audience atomic.Pointer[audience] // nil until somebody wants to be told, or there is an error to keep
	value    T                        // of the job's latest attempt; to be read only once the state is Succeeded
}

// settling is a state that nobody sees: an answer is being given.
const settling = uint32(Failed) + 1

// Owner is the job behind a future. Dispatchers implement it.
type Owner interface {
	// JobID returns the job's number.
	JobID() ID
	// CancelJob cancels the job and says what that did.
	CancelJob() Canceled
	// ExplainJob says what the job waits for.
	ExplainJob() Explanation
	// Place returns that of the job's dispatcher.
	Place() Place
	// AttendJobs is for an attempt of the same dispatcher, the one that ctx belongs to, which is going to wait for any one of jobs, all
	// of that dispatcher.
	AttendJobs(ctx context.Context, jobs []Owner) Attendance
}

// Attendance is an attempt's waiting for any one of several jobs, until each is over.
type Attendance interface {
	// Begin says that the attempt does nothing else but wait, until End, and how many of the jobs it has not taken the result of.
	// Hopeless may be called, once: none of them will ever be over. It does not block. It may come when End has just returned.
	Begin(left int, hopeless func())
	// End says that it goes on. It may wait again.
	End()
}

// ID returns the job's number within its dispatcher; zero for a nil or zero Future.
func (f *Future[T]) ID() ID {
	if f == nil || f.owner == nil {
		return 0
	}
	return f.owner.JobID()
}

// Done returns a channel that is closed when the job is settled. It is always the same channel.
func (f *Future[T]) Done() <-chan struct{} {
	if f == nil {
		return over
	}
	return f.listen().done
}

// over is the Done of a nil Future.
var over = closed()

func closed() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// listen returns the audience, which there is from now on.
func (f *Future[T]) listen() *audience {
	a := f.audience.Load()
	if a == nil {
		a = &audience{done: make(chan struct{})}
		if !f.audience.CompareAndSwap(nil, a) {
			a = f.audience.Load()
		}
	}
	if f.settled() { // whoever settled it may have seen no audience
		a.tell()
	}
	return a
}

func (f *Future[T]) settled() bool {
	state := f.state.Load()
	return state == uint32(Succeeded) || state == uint32(Failed)
}

// Result returns what Await would, without waiting. ok is false while the job is not settled.
func (f *Future[T]) Result() (value T, err error, ok bool) { //nolint:revive // ok says whether the pair (value, err) exists, so it comes last
	if f == nil {
		return value, ErrNilFuture, true
	}
	switch f.state.Load() {
	case uint32(Succeeded):
		return f.value, nil, true
	case uint32(Failed):
		return value, f.audience.Load().err, true
	default:
		return value, nil, false
	}
}

// State returns where the job stands, without waiting.
func (f *Future[T]) State() State {
	switch {
	case f == nil:
		return Failed
	case !f.settled():
		return Pending
	default:
		return State(f.state.Load())
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

// Init says whose promise it is. It must be called once, before the future is handed out.
func (p *Promise[T]) Init(owner Owner) {
	if p.future.owner = owner; owner != nil {
		p.future.pending.Add(1)
	}
}

// Future returns the side that is given to the caller.
func (p *Promise[T]) Future() *Future[T] { return &p.future }

// Settle gives the answer, a value or an error, and wakes all who wait. Only the first answer counts; it reports whether this was it.
func (p *Promise[T]) Settle(value T, err error) bool {
	f := &p.future
	if !f.claim() {
		return false
	}
	f.value = value
	f.answer(err)
	return true
}

// Keep notes what an attempt has returned, in case it becomes the answer. It must not be called once the promise is settled,
// unless with an error: then nobody sees it.
func (p *Promise[T]) Keep(value T) { p.future.value = value }

// SettleKept is Settle with the value that was kept, or with an error and no value.
func (p *Promise[T]) SettleKept(err error) bool {
	f := &p.future
	if !f.claim() {
		return false
	}
	f.answer(err)
	return true
}

// claim reports whether the caller is the one to give the answer.
func (f *Future[T]) claim() bool { return f.state.CompareAndSwap(uint32(Pending), settling) }

func (f *Future[T]) answer(err error) {
	state := Succeeded
	if err != nil {
		state = Failed
		f.listen().err = err // read only once the state says so
	}
	f.state.Store(uint32(state))
	if a := f.audience.Load(); a != nil { // who comes later sees the state
		a.tell()
	}
	if f.owner != nil {
		f.pending.Done()
	}
}
