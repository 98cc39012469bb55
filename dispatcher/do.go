package dispatcher

import (
	"context"

	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
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
	t.turn = make(chan struct{}, 1)
	if err := d.accept(&t.header, !job.Inside(ctx, d.name)); err != nil {
		return zero, err
	}
	if job.Inside(ctx, d.name) {
		defer t.AttendJob(ctx, t.cancelHopeless)()
	}
	settled := t.promise.Future().Done()
	for {
		select {
		case <-t.turn:
			t.run()
		case <-settled:
			select {
			case <-t.turn:
				t.run() // admitted and then canceled: the attempt must still be handed back
			default:
			}
			value, err, _ := t.promise.Future().Result()
			return value, err
		}
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
