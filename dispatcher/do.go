package dispatcher

import (
	"context"
	"runtime"

	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/scheduler"
)

// Do runs fn under the dispatcher's rules and returns its result: [Submit] and Await in one. Errors of the submission and
// of the job both come from here; the latter are a [*job.Error]. While the job's circuit is open it fails at once, unless
// told otherwise by [WithWhenOpen] or Config.Breaker.
//
// The attempts run on the goroutine that calls Do, which has nothing better to do: that saves two switches of goroutine,
// and a panic's stack shows who called. They take a worker's place among Config.Workers all the same. Do therefore
// returns when ctx ends only once a running fn has returned; and when fn calls runtime.Goexit, the job is settled and the
// caller's goroutine ends.
func Do[T any](ctx context.Context, d *Dispatcher, fn job.Func[T], options ...Option) (T, error) {
	var zero T
	t, err := newTask(ctx, d, fn, policy.FailFast, options)
	if err != nil {
		return zero, err
	}
	if err := t.runByCaller(ctx, t.runHere); err != nil {
		return zero, err
	}
	value, err, _ := t.promise.Future().Result()
	return value, err
}

// runByCaller hands the job in, and has its caller run every attempt, until the job is over or one goes on elsewhere. The error is
// about the submission.
func (t *task[T]) runByCaller(ctx context.Context, run func() (goesOn bool)) error {
	t.byCaller = true
	here := false
	defer func() {
		if !here { // the caller's context has panicked
			t.desert()
		}
	}()
	err := t.d.accept(&t.header, true)
	for goesOn := false; err == nil && !goesOn && t.called(ctx); {
		goesOn = run()
	}
	here = true
	return err
}

// desert ends a job whose caller is not going to run its attempts, if it has been accepted, and hands back the one that has been
// admitted.
func (t *task[T]) desert() {
	if t.id == 0 {
		return
	}
	t.d.post(&message{kind: scheduler.Cancel, job: &t.header, err: context.Canceled})
	<-t.promise.Future().Done() // then nothing more is admitted
	if t.takeTurn() {
		t.ending = neverBegan
		t.d.handBack(&t.header)
	}
}

// runHere runs one attempt on its caller's goroutine, and hands it back, even if that goroutine ends with it.
func (t *task[T]) runHere() (goesOn bool) {
	defer t.d.handBack(&t.header)
	t.run()
	return false
}

// called waits until the caller of a Do has to run an attempt, or the job is over; then it reports false. An attempt that was
// admitted before the job was called off must still be handed back.
func (t *task[T]) called(ctx context.Context) bool {
	if called, known := t.isCalled(); known {
		return called
	}
	runtime.Gosched() // somebody else serves, and may be about to tell: that costs less than to wait for it
	if called, known := t.isCalled(); known {
		return called
	}
	bell := t.d.callers.enter(&t.header)
	defer t.d.callers.leave(&t.header)
	if t.d.place.Inside(ctx) {
		defer t.attend(ctx, t.cancelHopeless)()
	}
	for { // it may have been told before it had its bell
		if called, known := t.isCalled(); known {
			return called
		}
		<-bell
	}
}

// Wrap returns fn, guarded: each call is a [Do] with these options. It is the decorator of Toller.
func Wrap[In, Out any](d *Dispatcher, fn func(ctx context.Context, in In) (Out, error), options ...Option) func(ctx context.Context, in In) (Out, error) {
	return func(ctx context.Context, in In) (Out, error) {
		if fn == nil {
			var zero Out
			return zero, ErrNilFunc
		}
		return Do(ctx, d, func(ctx context.Context) (Out, error) { return fn(ctx, in) }, options...)
	}
}
