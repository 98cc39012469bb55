package main

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
)

// attempts is how often an errand is tried, throttles aside.
const attempts = 3

// errand is one job, as the soak knows it.
type errand struct {
	s       *soak
	p       *place
	kind    *kind
	number  int // which is its result, too
	key     string
	span    time.Duration // how long something takes, as its kind will have it
	options []dispatcher.Option
	ctx     context.Context    //nolint:containedctx // the job's own
	cancel  context.CancelFunc // of a context of its own; nil if it has none
	batch   *batch             // whose context it has otherwise; nil if that never ends
	found   job.Canceled       // what Future.Cancel has answered
	hurried bool               // handed in such that an open circuit fails it at once

	asked   atomic.Bool  // somebody has asked for its end
	most    atomic.Int32 // how often its function may be called
	judged  atomic.Bool
	good    atomic.Bool // the function has returned the result
	running atomic.Int32
	runs    atomic.Int32
}

// batch is a context that many errands have in common.
type batch struct {
	ctx    context.Context //nolint:containedctx // that of jobs
	cancel context.CancelFunc
	asked  atomic.Bool
}

func newBatch() *batch {
	b := &batch{}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	return b
}

func (b *batch) end() {
	b.asked.Store(true)
	b.cancel()
}

// errand draws the next one for a dispatcher.
func (s *soak) errand(p *place, random *rand.Rand, b *batch, fits func(*kind) bool) *errand {
	e := s.newErrand(context.Background(), p, draw(random, fits))
	e.key = "k" + strconv.Itoa(e.number/40+random.IntN(32)) // keys come and go
	e.span = time.Duration(random.IntN(int(e.kind.span) + 1))
	switch {
	case e.kind.alone:
		e.ctx, e.cancel = context.WithCancel(e.ctx)
	case random.IntN(3) == 0:
		e.ctx, e.batch = b.ctx, b
	}
	if e.kind.prepare != nil {
		e.kind.prepare(e)
	}
	return e
}

func (s *soak) newErrand(ctx context.Context, p *place, k *kind) *errand {
	e := &errand{s: s, p: p, kind: k, number: int(s.numbers.Add(1)), ctx: ctx}
	e.most.Store(math.MaxInt32) // until it is over
	return e
}

// choose adds options that any errand may have.
func (e *errand) choose(random *rand.Rand) {
	e.options = append(e.options, dispatcher.WithKey(e.key))
	switch random.IntN(20) {
	case 0:
		e.options = append(e.options, dispatcher.WithPriority(random.IntN(9)-4))
	case 1:
		e.options = append(e.options, dispatcher.WithCost("calls", float64(random.IntN(10))))
	case 2:
		e.options = append(e.options, dispatcher.WithGroup("few"))
	case 3:
		e.options = append(e.options, dispatcher.WithDelay(time.Duration(random.IntN(1000))*time.Microsecond))
	}
}

// run is the function of the job.
func (e *errand) run(ctx context.Context) (int, error) {
	n, here := e.running.Add(1), e.p.running.Add(1)
	defer func() {
		e.running.Add(-1)
		e.p.running.Add(-1)
	}()
	runs, most := e.runs.Add(1), e.most.Load()
	switch {
	case runs > most:
		e.fault("its function is called for the %d. time, but it was over after %d", runs, most)
	case n > 1:
		e.fault("its function runs %d times at once", n)
	case here > int64(e.p.most):
		e.fault("%d attempts in flight, of %d", here, e.p.most)
	}
	if err := e.kind.body(ctx, e); err != nil {
		return 0, err
	}
	e.good.Store(true)
	return e.number, nil
}

// call is run for those who want no result.
func (e *errand) call(ctx context.Context) error {
	_, err := e.run(ctx)
	return err
}

// askForEnd cancels the errand's own context.
func (e *errand) askForEnd() {
	e.asked.Store(true)
	e.cancel()
}

func (e *errand) fault(format string, args ...any) {
	e.s.faults.add("job %d (%s, key %s, dispatcher %q): "+format, append([]any{e.number, e.kind.name, e.key, e.p.d.Name()}, args...)...)
}

// refuse looks at why a submission was refused.
func (e *errand) refuse(err error, full bool) {
	e.s.refused.Add(1)
	if e.cancel != nil {
		defer e.cancel()
	}
	switch {
	case errors.Is(err, dispatcher.ErrClosed) && e.p.closing.Load():
	case errors.Is(err, dispatcher.ErrQueueFull) && full:
	case errors.Is(err, context.Canceled) && e.mayBeCanceled():
	case errors.Is(err, context.DeadlineExceeded) && e.kind.deadline:
	default:
		e.fault("refused: %v", err)
	}
}

// recall is Future.Cancel. What it answers is what the error says.
func (e *errand) recall(cancel func() job.Canceled) {
	e.asked.Store(true)
	e.found = cancel()
	if e.found == job.NeverRan {
		e.most.Store(0)
	}
}

func (e *errand) mayBeCanceled() bool {
	return e.asked.Load() || e.batch != nil && e.batch.asked.Load()
}

// judge looks at how the errand has ended. value is nil if its function has none.
func (e *errand) judge(value *int, err error) {
	if e.judged.Swap(true) {
		e.fault("resolved twice")
		return
	}
	e.s.resolved.Add(1)
	if e.cancel != nil {
		defer e.cancel()
	}
	if err == nil {
		e.most.Store(e.runs.Load())
		e.s.reasons[0].Add(1)
		e.judgeSuccess(value)
		return
	}
	failed, ok := errors.AsType[*job.Error](err)
	if !ok {
		e.fault("its error is %T: %v", err, err)
		return
	}
	// What has been told to end may not have got as far as its first line yet, but it is counted.
	e.most.Store(int32(failed.Attempts))
	why := reasonOf(failed)
	e.s.reasons[why].Add(1)
	switch {
	case value != nil && *value != 0:
		e.fault("it has failed, but its value is %d", *value)
	case failed.Key != e.key || failed.Dispatcher != e.p.d.Name():
		e.fault("the error of key %q, dispatcher %q", failed.Key, failed.Dispatcher)
	case e.found == job.NeverRan && failed.Attempts > 0, e.found > job.NeverRan && failed.Attempts == 0, e.found > 0 && why != canceled:
		e.fault("Cancel: %v, but after %d attempts: %v", e.found, failed.Attempts, err)
	case why == 0 || !e.mayEnd(why):
		e.fault("ended in vain: %v", err)
	case !reasons[why].sudden && int32(failed.Attempts) != e.runs.Load(), int32(failed.Attempts) < e.runs.Load():
		e.fault("%d attempts, but its function was called %d times: %v", failed.Attempts, e.runs.Load(), err)
	}
}

func (e *errand) judgeSuccess(value *int) {
	switch {
	case value != nil && *value != e.number:
		e.fault("its value is %d", *value)
	case e.found != job.AlreadySettled:
		e.fault("Cancel: %v", e.found)
	case !e.good.Load():
		e.fault("its function has not succeeded")
	case !e.kind.succeeds:
		e.fault("such a job does not succeed")
	}
}
