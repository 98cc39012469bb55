package dispatcher_test

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
)

// act is something that somebody does at some time.
type act struct {
	at time.Duration
	do func()
}

// acts draws what is done while the jobs run.
func (w *virtualWorld) acts() (acts []act) {
	for range w.random.IntN(40) {
		p := pickOne(w.random, w.places...)
		at := time.Duration(w.random.Int64N(int64(w.span)))
		acts = append(acts, act{at, w.drawAct(p)})
	}
	return acts
}

func (w *virtualWorld) drawAct(p *virtualPlace) func() {
	key, lasts := pickOne(w.random, virtualKeys...), w.upTo(2*time.Hour)
	n := 1 + w.random.IntN(20)
	switch w.random.IntN(7) {
	case 0:
		return func() {
			w.check(w.during(func() { p.workers.set(w.now(), float64(n)) }, func() error { return p.d.SetWorkers(n) }))
		}
	case 1:
		return func() {
			w.check(w.during(func() { p.keyWorkers.set(w.now(), bound(n%4)) }, func() error { return p.d.SetKeyWorkers(n % 4) }))
		}
	case 2:
		return func() { w.bar(p, whole, lasts, p.d.Pause, p.d.Resume) }
	case 3:
		return func() { w.bar(p, key, lasts, func() { p.d.ForceOpen(key) }, func() { p.d.Reset(key) }) }
	case 4:
		return func() { w.free(p, key, func() { p.d.Reset(key) }) }
	default:
		if len(p.limits) == 0 {
			return func() {}
		}
		return w.drawLimitAct(p, pickOne(w.random, p.limits...), n)
	}
}

// drawLimitAct draws what is done about a limit.
func (w *virtualWorld) drawLimitAct(p *virtualPlace, l *virtualLimit, n int) func() {
	amount := l.amount * pickOne(w.random, 0, .5, 1, 2, 10)
	if l.sliding {
		amount = max(4, amount)
	}
	burst := float64(n)
	switch w.random.IntN(3) {
	case 0:
		return func() {
			w.check(w.during(func() { l.burst.set(w.now(), burst) }, func() error { return w.setBurst(p, l, burst) }))
		}
	case 1:
		return func() {
			if l.shared == nil { // the server says that less is left
				w.check(p.d.Observe(l.name, "a", burst/2))
			}
		}
	default:
		return func() {
			w.check(w.during(func() { l.rate.set(w.now(), amount/l.span.Seconds()) }, func() error { return w.setRate(p, l, amount) }))
		}
	}
}

func (w *virtualWorld) setRate(p *virtualPlace, l *virtualLimit, amount float64) error {
	rate := policy.Blocked
	if amount > 0 {
		rate = policy.Per(amount, l.span)
	}
	if l.shared != nil {
		return l.shared.SetRate(rate)
	}
	return p.d.SetRate(l.name, rate)
}

func (w *virtualWorld) setBurst(p *virtualPlace, l *virtualLimit, burst float64) error {
	if l.shared != nil {
		return l.shared.SetBurst(burst)
	}
	return p.d.SetBurst(l.name, burst)
}

// during notes what is about to be done, and does it.
func (w *virtualWorld) during(note func(), do func() error) error {
	w.mu.Lock()
	note()
	w.mu.Unlock()
	return do()
}

func (w *virtualWorld) check(err error) {
	if err != nil {
		w.wrong("at %v: %v", w.now(), err)
	}
}

// bar lets nothing start for a while.
func (w *virtualWorld) bar(p *virtualPlace, key string, lasts time.Duration, begin, end func()) {
	from := w.now()
	begin()
	time.Sleep(lasts)
	w.mu.Lock()
	p.barred = append(p.barred, interval{key, from, w.now()})
	w.mu.Unlock()
	w.free(p, key, end)
}

// free undoes it.
func (w *virtualWorld) free(p *virtualPlace, key string, do func()) {
	w.mu.Lock()
	p.freed = append(p.freed, interval{key: key, from: w.now()})
	w.mu.Unlock()
	do()
}

// undo takes away what may hinder: the jobs that are left come to their end, if the dispatcher lets them. Jobs may call their key
// unusable yet, so until stop is called somebody goes on resetting the keys.
func (w *virtualWorld) undo(p *virtualPlace) (stop func()) {
	time.Sleep(2*time.Hour + time.Minute) // longer than any pause
	w.check(w.during(func() { p.workers.set(w.now(), 8) }, func() error { return p.d.SetWorkers(8) }))
	for _, l := range p.limits {
		w.check(w.during(func() { l.rate.set(w.now(), l.amount/l.span.Seconds()) }, func() error { return w.setRate(p, l, l.amount) }))
	}
	over := make(chan struct{})
	var resetting sync.WaitGroup
	resetting.Go(func() {
		for {
			for _, key := range virtualKeys {
				w.free(p, key, func() { p.d.Reset(key) })
			}
			select {
			case <-over:
				return
			case <-time.After(20 * time.Minute):
			}
		}
	})
	return func() {
		close(over)
		resetting.Wait()
	}
}

// shut ends a dispatcher. One that is ended early may have jobs that wait for what does not come.
func (w *virtualWorld) shut(p *virtualPlace, way int, early bool) {
	patience := 20 * 24 * time.Hour
	if early && way < 4 || way == 1 {
		patience = 5 * time.Minute << way
	} else if way == 2 {
		patience = 0
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	end := p.d.Close
	if way >= 3 {
		end = p.d.Stop
	}
	w.mu.Lock()
	p.closing, p.stopped = w.now(), way >= 3
	p.aborts = p.closing + patience
	w.mu.Unlock()
	err := end(ctx)
	switch {
	case err == nil:
	case patience > 24*time.Hour:
		w.wrong("after %v jobs are left: %v; %+v", w.now(), err, p.d.Snapshot())
	case !errors.Is(err, job.ErrAborted) || w.now() != p.aborts:
		w.wrong("Close or Stop, at %v instead of %v: %v", w.now(), p.aborts, err)
	}
	long, cancelLong := context.WithTimeout(context.Background(), 24*time.Hour)
	defer cancelLong()
	if err := p.d.Close(long); err != nil { // waits for functions that don't heed their context
		w.wrong("what was left after the end does not end: %v", err)
	}
	if _, err := dispatcher.Submit(context.Background(), p.d, func(context.Context) (int, error) { return 0, nil }); !errors.Is(err, dispatcher.ErrClosed) {
		w.wrong("Submit after the end: %v", err)
	}
}
