package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
)

// kind is one way for a job to be.
type kind struct {
	name     string
	share    int           // of all jobs, in ten thousandths
	span     time.Duration // errand.span is at most this
	body     func(ctx context.Context, e *errand) error
	prepare  func(e *errand) // adds options; nil for none
	alone    bool            // it needs a context of its own
	before   bool            // which ends before it is handed in
	after    bool            // or right after that
	recall   bool            // Future.Cancel is called right after it is handed in
	exits    bool            // it ends its goroutine
	deadline bool            // it has one
	succeeds bool            // it may
	ends     []reason        // other reasons for which it may end by itself
}

var errBackend = errors.New("the backend says no")

// lost are the ends of what fails again and again.
var lost = []reason{failed, exhausted, elapsed, budget}

// longest bounds what waits for its context, which may have been ended for another attempt than its own.
const longest = 5 * time.Millisecond

// plain is a job with which nothing is the matter.
var plain = &kind{name: "succeeds", share: 5600, succeeds: true, body: well}

var kinds = []*kind{
	plain,
	{name: "takes a moment", share: 200, succeeds: true, span: 100 * time.Microsecond, body: func(ctx context.Context, e *errand) error {
		time.Sleep(e.span)
		return nil
	}},
	{name: "settles", share: 300, succeeds: true, body: func(ctx context.Context, e *errand) error {
		if a, ok := job.AttemptFrom(ctx); !ok || a.Key != e.key || a.N != int(e.runs.Load()) {
			e.fault("in its attempt %d it is told of attempt %d of key %q", e.runs.Load(), a.N, a.Key)
		} else if err := a.Settle("tokens", float64(e.number%7)); err != nil && !errors.Is(err, policy.ErrInvalid) { // there may be no such limit
			e.fault("Settle: %v", err)
		}
		return nil
	}},
	{name: "fails first", share: 800, succeeds: true, ends: lost, body: func(_ context.Context, e *errand) error {
		if e.runs.Load() == 1 {
			return policy.Transient(errBackend)
		}
		return nil
	}},
	{name: "fails always", share: 200, ends: lost, body: func(context.Context, *errand) error { return policy.Transient(errBackend) }},
	{name: "fails with a hint", share: 100, succeeds: true, span: 500 * time.Microsecond, ends: lost, body: func(_ context.Context, e *errand) error {
		if e.runs.Load() < attempts {
			return policy.TransientAfter(errBackend, e.span)
		}
		return nil
	}},
	{name: "fatal", share: 200, ends: []reason{failed}, body: func(context.Context, *errand) error { return policy.Fatal(errBackend) }},
	{name: "unmarked", share: 200, ends: []reason{failed}, body: func(context.Context, *errand) error { return errBackend }},
	{name: "throttled", share: 2, succeeds: true, span: 2 * time.Millisecond, ends: []reason{failed, throttled}, body: func(_ context.Context, e *errand) error {
		if e.runs.Load() == 1 {
			return policy.Throttled(errBackend, e.span-time.Millisecond) // half of them without a hint
		}
		return nil
	}},
	{name: "unusable", share: 20, ends: []reason{failed}, body: func(context.Context, *errand) error { return policy.Unusable(errBackend) }},
	{name: "panics", share: 100, ends: []reason{panicked}, body: func(context.Context, *errand) error { panic(errBackend) }},
	{name: "exits", share: 100, exits: true, ends: []reason{exited}, body: func(context.Context, *errand) error {
		runtime.Goexit()
		return nil
	}},
	{name: "canceled before", share: 100, alone: true, before: true, body: well},
	{name: "canceled after", share: 400, alone: true, after: true, succeeds: true, body: well},
	{name: "recalled", share: 400, recall: true, succeeds: true, body: well},
	{name: "canceled while it runs", share: 200, alone: true, succeeds: true, span: 200 * time.Microsecond, prepare: func(e *errand) {
		time.AfterFunc(e.span, e.askForEnd)
	}, body: untilDone},
	{name: "cancels itself", share: 100, alone: true, body: func(_ context.Context, e *errand) error {
		e.askForEnd()
		return nil // canceled work is never a success all the same
	}},
	{name: "deadline", share: 300, deadline: true, succeeds: true, span: time.Millisecond, ends: []reason{late}, prepare: func(e *errand) {
		e.options = append(e.options, dispatcher.WithDeadline(time.Now().Add(e.span)))
	}, body: untilDone},
	{name: "context's deadline", share: 200, deadline: true, alone: true, succeeds: true, span: time.Millisecond, ends: []reason{late}, prepare: func(e *errand) {
		ctx, cancel := context.WithTimeout(e.ctx, e.span)
		outer := e.cancel
		e.ctx, e.cancel = ctx, func() { cancel(); outer() }
	}, body: untilDone},
	{name: "deaf", share: 100, deadline: true, succeeds: true, span: 200 * time.Microsecond, ends: []reason{late}, prepare: func(e *errand) {
		e.options = append(e.options, dispatcher.WithDeadline(time.Now().Add(e.span)))
	}, body: func(_ context.Context, e *errand) error {
		time.Sleep(e.span)
		return nil
	}},
	{name: "timeout", share: 170, succeeds: true, span: 100 * time.Microsecond, ends: lost, prepare: func(e *errand) {
		e.options = append(e.options, dispatcher.WithTimeout(1+e.span))
	}, body: untilDone},
	{name: "hands in another", share: 200, succeeds: true, ends: []reason{failed}, body: another},
}

func well(context.Context, *errand) error { return nil }

// untilDone waits for the end of its context, but not for ever.
func untilDone(ctx context.Context, _ *errand) error {
	timer := time.NewTimer(longest)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// another hands in one more job from inside its own, and waits for it, as far as that can come.
func another(ctx context.Context, e *errand) error {
	child := e.s.newErrand(context.WithoutCancel(ctx), e.p, plain)
	child.key = e.key
	f, err := dispatcher.Submit(child.ctx, e.p.d, child.run, dispatcher.WithKey(child.key))
	if err != nil {
		child.refuse(err, true)
		return nil
	}
	e.p.accept(e.s)
	if _, err := f.Await(ctx); errors.Is(err, job.ErrNotSettled) {
		child.recall(f.Cancel)
	}
	t := &ticket[int]{e: child, f: f}
	if !t.settled() {
		child.fault("not settled after Await, or Cancel: %v", f.Explain())
		return nil
	}
	t.judge()
	return nil
}

// shares is the sum of all shares.
var shares = func() (sum int) {
	for _, k := range kinds {
		sum += k.share
	}
	return sum
}()

// draw returns one of the kinds that fit.
func draw(random *rand.Rand, fits func(*kind) bool) *kind {
	for {
		n := random.IntN(shares)
		for _, k := range kinds {
			if n -= k.share; n < 0 {
				if fits(k) {
					return k
				}
				break
			}
		}
	}
}
