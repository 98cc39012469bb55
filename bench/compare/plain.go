package main

import (
	"errors"

	"github.com/alitto/pond/v2"
	"github.com/gammazero/workerpool"
	"github.com/panjf2000/ants/v2"
	"github.com/sourcegraph/conc/pool"
	"golang.org/x/sync/errgroup"
)

// The contenders that run jobs and know nothing of limits, retries and breakers.

// rawBacklog is how many jobs wait in the channel of raw workers before those who hand in more must wait.
const rawBacklog = 1024

var (
	// closures makes the closure that every contender is given, and calls it when it is awaited: what the caller pays
	// for himself.
	closures = contender{name: "the closure alone", open: func(o order) (session, error) {
		task := o.task
		submit := func(i int) (func() (int, error), error) {
			return func() (int, error) { return task(i) }, nil
		}
		await := func(fn func() (int, error)) (int, error) { return fn() }
		return serve(o, submit, await, nothing), nil
	}}

	goroutines = contender{name: "goroutine per job + channel", open: func(o order) (session, error) {
		return overChannels(o, func(job func()) error { go job(); return nil }, func() {}), nil
	}}

	rawWorkers = contender{name: "raw workers + channel", open: func(o order) (session, error) {
		return openRawWorkers(o, rawBacklog)
	}}

	antsPool = contender{name: "ants + channel", open: func(o order) (session, error) {
		p, err := ants.NewPool(o.workers)
		if err != nil {
			return session{}, err
		}
		return overChannels(o, p.Submit, p.Release), nil
	}}

	concPool = contender{name: "conc + channel", open: func(o order) (session, error) {
		p := pool.New().WithMaxGoroutines(o.workers)
		return overChannels(o, func(job func()) error { p.Go(job); return nil }, p.Wait), nil
	}}

	gammazero = contender{name: "gammazero/workerpool + channel", open: func(o order) (session, error) {
		p := workerpool.New(o.workers)
		return overChannels(o, func(job func()) error { p.Submit(job); return nil }, p.Stop), nil
	}}

	errGroup = contender{name: "errgroup + channel", open: func(o order) (session, error) {
		g := new(errgroup.Group)
		g.SetLimit(o.workers)
		submit := func(job func()) error {
			g.Go(func() error { job(); return nil })
			return nil
		}
		return overChannels(o, submit, func() { _ = g.Wait() }), nil // there are no errors
	}}

	pondTasks = contender{name: "pond tasks", open: func(o order) (session, error) {
		p, task := pond.NewPool(o.workers), o.task
		submit := func(i int) (*pondTask, error) {
			t := new(pondTask)
			t.task = p.SubmitErr(func() (err error) {
				t.value, err = task(i)
				return err
			})
			return t, nil
		}
		await := func(t *pondTask) (int, error) {
			err := t.task.Wait()
			return t.value, err
		}
		return serve(o, submit, await, func() error { p.StopAndWait(); return nil }), nil
	}}

	pondFutures = contender{name: "pond futures", open: func(o order) (session, error) {
		p, task := pond.NewResultPool[int](o.workers), o.task
		submit := func(i int) (pond.ResultTask[int], error) {
			return p.SubmitErr(func() (int, error) { return task(i) }), nil
		}
		await := func(t pond.ResultTask[int]) (int, error) { return t.Wait() }
		return serve(o, submit, await, func() error { p.StopAndWait(); return nil }), nil
	}}
)

// pondTask is a task, which has no result, and the result.
type pondTask struct {
	task  pond.Task
	value int // written by the task, read after it has been awaited
}

// openRawWorkers is what one writes without any library: goroutines that take functions from a channel.
func openRawWorkers(o order, backlog int) (session, error) {
	jobs := make(chan func(), backlog)
	for range o.workers {
		go func() {
			for job := range jobs {
				job()
			}
		}()
	}
	return overChannels(o, func(job func()) error { jobs <- job; return nil }, func() { close(jobs) }), nil
}

// failed is what is sent for a job without a result.
const failed = -1

var errFailed = errors.New("the job failed")

// overChannels makes a session of a pool for functions without results: each job has a channel for its own.
func overChannels(o order, run func(job func()) error, end func()) session {
	task := o.task // or the closures below would hold the whole order
	submit := func(i int) (chan int, error) {
		result := make(chan int, 1)
		return result, run(func() { deliver(result, task, i) })
	}
	return serve(o, submit, receive, func() error { end(); return nil })
}

// deliver does job i and sends its result.
func deliver(result chan<- int, task func(int) (int, error), i int) {
	value, err := task(i)
	if err != nil {
		value = failed
	}
	result <- value
}

// receive awaits a result.
func receive(result chan int) (int, error) {
	value := <-result
	if value == failed {
		return 0, errFailed
	}
	return value, nil
}
