package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
)

// ours is the dispatcher, with limit, retries and breaker on, and one thing that is particular.
type ours struct {
	name   string
	procs  int
	change func(*dispatcher.Config)
	shared bool                               // one context that can be canceled, shared by all jobs, instead of one that can't
	keys   int                                // as many keys take turns; zero: no job names one
	crowd  func(*dispatcher.Dispatcher) error // what else the dispatcher has, once it is there
}

// crowded is how many jobs a crowd may have.
const crowded = 1_000_000

const oursName = "dispatcher"

// oursPlain is what the others are compared to.
var (
	oursPlain     = ours{name: oursName}
	oursShared    = ours{name: oursName + ", one context for all", shared: true}
	oursTimeout   = ours{name: oursName + ", attempt timeout", change: func(c *dispatcher.Config) { c.Timeout = patience }}
	oursUnlimited = ours{name: oursName + ", no limits", change: func(c *dispatcher.Config) { c.Limits = nil }}
)

// oursWith is the dispatcher at another GOMAXPROCS than the run's.
func oursWith(procs int) ours {
	return ours{name: fmt.Sprintf("%s, GOMAXPROCS %d", oursName, procs), procs: procs}
}

// config is that of the dispatcher for an order.
func (v ours) config(o order) dispatcher.Config {
	cfg := dispatcher.Config{
		Workers: o.workers,
		Queue:   o.load.jobs + crowded + 1,
		Limits:  []policy.Limit{{Name: "calls", Rate: policy.PerSecond(unbound), Burst: unbound}},
		Retry:   policy.Retry{MaxAttempts: attempts, Delay: firstBackoff, Jitter: policy.NoJitter},
		Breaker: policy.Breaker{FailureThreshold: o.threshold},
	}
	if v.change != nil {
		v.change(&cfg)
	}
	return cfg
}

func (v ours) contender() contender {
	return contender{name: v.name, procs: v.procs, open: v.open}
}

// start makes the dispatcher for an order, and the context of its jobs. end ends both.
func (v ours) start(o order) (d *dispatcher.Dispatcher, ctx context.Context, end func() error, err error) {
	d, err = dispatcher.New(v.config(o))
	if err != nil {
		return nil, nil, nil, err
	}
	ctx, cancel := context.Background(), func() {}
	if v.shared {
		ctx, cancel = context.WithCancel(ctx)
	}
	end = func() error {
		cancel()
		return d.Stop(context.Background())
	}
	if v.crowd != nil {
		if err := v.crowd(d); err != nil {
			return nil, nil, nil, errors.Join(err, end())
		}
	}
	return d, ctx, end, nil
}

func (v ours) open(o order) (session, error) {
	d, ctx, end, err := v.start(o)
	if err != nil {
		return session{}, err
	}
	task, await := o.task, func(f *job.Future[int]) (int, error) { return f.Await(context.Background()) }
	if v.keys == 0 {
		return serve(o, func(i int) (*job.Future[int], error) {
			return dispatcher.Submit(ctx, d, func(context.Context) (int, error) { return task(i) })
		}, await, end), nil
	}
	keys := make([]string, v.keys)
	for i := range keys {
		keys[i] = fmt.Sprint("key-", i)
	}
	return serve(o, func(i int) (*job.Future[int], error) {
		return dispatcher.Submit(ctx, d, func(context.Context) (int, error) { return task(i) }, dispatcher.WithKey(keys[i%len(keys)]))
	}, await, end), nil
}

// crowdQueued hands in n jobs that are ready and wait for their turn, behind a circuit that is forced open.
func crowdQueued(n int) func(*dispatcher.Dispatcher) error {
	return func(d *dispatcher.Dispatcher) error {
		d.ForceOpen("crowd")
		_, err := handIn(d, n, dispatcher.WithKey("crowd"))
		return err
	}
}

// crowdParked hands in n jobs that wait for an instant far away.
func crowdParked(n int) func(*dispatcher.Dispatcher) error {
	return func(d *dispatcher.Dispatcher) error {
		_, err := handIn(d, n, dispatcher.WithDelay(patience))
		return err
	}
}

// handIn hands in n jobs that are not meant to run.
func handIn(d *dispatcher.Dispatcher, n int, option dispatcher.Option) ([]*job.Future[int], error) {
	futures := make([]*job.Future[int], n)
	fn := func(context.Context) (int, error) { return 0, errors.New("it was not meant to run") }
	for i := range futures {
		var err error
		if futures[i], err = dispatcher.Submit(context.Background(), d, fn, option); err != nil {
			return nil, fmt.Errorf("job %d of a crowd: %w", i, err)
		}
	}
	return futures, nil
}
