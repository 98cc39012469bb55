package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/failsafe-go/failsafe-go"

	"github.com/toller-go/toller/dispatcher"
)

// call is a function that is called, or the calling of it.
type call func() (int, error)

// caller runs a function at once, on the goroutine that asks for it, under policies. open gets it ready; bind is then used
// once by each goroutine that calls, to make of a function what calls it under the policies.
type caller struct {
	name  string
	procs int
	open  func() (bind func(call) call, end func() error, err error)
}

// nothing is the end of what needs none.
func nothing() error { return nil }

var (
	// bare is what a call costs without anything.
	bare = caller{name: "the function alone", open: func() (func(call) call, func() error, error) {
		return func(fn call) call { return fn }, nothing, nil
	}}

	failsafeSync = caller{name: "failsafe-go sync", open: func() (func(call) call, func() error, error) {
		guard := failsafe.With(failsafePolicies(breakerThreshold)...)
		return func(fn call) call {
			return func() (int, error) { return guard.Get(fn) }
		}, nothing, nil
	}}

	byHandSync = caller{name: "gobreaker, x/time/rate, backoff", open: func() (func(call) call, func() error, error) {
		guard := newHandmade(breakerThreshold)
		return func(fn call) call {
			return func() (int, error) { return guard.call(fn) }
		}, nothing, nil
	}}
)

// caller is a Do of the dispatcher.
func (v ours) caller() caller {
	return caller{name: v.name, procs: v.procs, open: func() (func(call) call, func() error, error) {
		d, ctx, end, err := v.start(order{workers: poolSize, threshold: breakerThreshold})
		if err != nil {
			return nil, nil, err
		}
		return func(fn call) call {
			guarded := func(context.Context) (int, error) { return fn() }
			return func() (int, error) { return dispatcher.Do(ctx, d, guarded) }
		}, end, nil
	}}
}

func callers() []caller {
	all := []caller{oursPlain.caller(), oursShared.caller()}
	for _, procs := range otherProcs {
		all = append(all, oursWith(procs).caller())
	}
	return append(all, bare, failsafeSync, byHandSync)
}

// callTitle is the title of the workload of so many goroutines that call.
func callTitle(goroutines int) string { return "Do, " + plural(goroutines, "caller") }

// callWorkload has every caller make the given number of calls, from so many goroutines.
func callWorkload(calls, goroutines int, atLeast time.Duration) workload {
	w := workload{
		title:   callTitle(goroutines),
		about:   "A function that does nothing is called under the policies, which let it through at once, on the goroutine that asks.",
		columns: jobColumns,
	}
	for _, c := range callers() {
		w.entrants = append(w.entrants, entrant{name: c.name, procs: c.procs, measure: func(context.Context) (sample, error) {
			return c.makeCalls(calls, goroutines, atLeast)
		}})
	}
	return w
}

// makeCalls makes an eighth of the calls to get warm, and then measures.
func (c caller) makeCalls(calls, goroutines int, atLeast time.Duration) (_ sample, err error) {
	bind, end, err := c.open()
	if err != nil {
		return sample{}, err
	}
	defer func() { err = errors.Join(err, end()) }()
	pass := func(n int) (tally, error) {
		done, err := callFrom(bind, n, goroutines)
		if err == nil {
			err = done.mustBe(allOf(n))
		}
		return done, err
	}
	if _, err := pass(max(1, calls/8)); err != nil {
		return sample{}, err
	}
	return repeat(calls, atLeast, func() (tally, error) { return pass(calls) })
}

// callFrom makes n calls from so many goroutines; the i-th returns i.
func callFrom(bind func(call) call, n, goroutines int) (tally, error) {
	tallies, errs := make([]tally, goroutines), make([]error, goroutines)
	var group sync.WaitGroup
	for g := range goroutines {
		group.Go(func() {
			next, end := n*g/goroutines, n*(g+1)/goroutines
			guarded := bind(func() (int, error) {
				next++
				return next - 1, nil
			})
			for range end - next {
				value, err := guarded()
				if err != nil {
					errs[g] = err
					return
				}
				tallies[g].add(tally{1, value})
			}
		})
	}
	group.Wait()
	var all tally
	for _, t := range tallies {
		all.add(t)
	}
	return all, errors.Join(errs...)
}
