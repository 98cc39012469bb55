package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/toller-go/toller/bench/internal/machine"
	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
)

// figures are what was measured when nothing was under way.
type figures struct {
	jobs        int64         // accepted so far
	ended       int64         // dispatchers
	took        time.Duration // the jobs since the measurement before
	heap, inUse uint64        // bytes, after garbage collection
	goroutines  int
	descriptors int // negative: not known
}

// measure waits until nothing is left but the elder and its workers, and measures. What has ended may let go of its goroutines and
// memory a moment later, so what is more than before is looked at again for a while.
func (s *soak) measure() figures {
	s.quiet()
	s.fill()
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		s.muster()
		f := figures{jobs: s.accepted.Load(), ended: s.ended.Load(), goroutines: runtime.NumGoroutine(), descriptors: machine.Descriptors()}
		if s.tooMany(f.goroutines) && time.Since(began) < s.settling {
			continue
		}
		for range 2 { // what a sync.Pool holds is let go by the second
			runtime.GC()
		}
		var memory runtime.MemStats
		runtime.ReadMemStats(&memory)
		f.heap, f.inUse = memory.HeapAlloc, memory.HeapInuse
		if !s.tooMuch(f) || time.Since(began) >= s.settling {
			return f
		}
	}
}

// tooMany reports whether there are more goroutines than when the elder was alone. In a short run those are not waited for that
// its pool keeps.
func (s *soak) tooMany(n int) bool {
	most := 0
	if s.jobs < long {
		most = spare
	}
	return len(s.taken) > 0 && n > s.taken[0].goroutines+most
}

// tooMuch reports whether something has grown too much.
func (s *soak) tooMuch(f figures) bool {
	return len(s.taken) > 1 && growth([]figures{s.taken[0], s.taken[1], f}, s.jobs) != nil
}

// settling is how long goroutines may take to end: those of dispatchers that have ended, and those of the elder's pool that have
// done something besides running attempts, which are kept for twenty seconds.
const settling = 25 * time.Second

// spare is how many of the latter a short run does not wait for, and reuse what its heap may grow by, in bytes: few bytes for each
// job.
const (
	spare = 8
	reuse = 256_000
)

// long is how many jobs a run has that is to prove something.
const long = 1_000_000

// quiet waits until the elder has nothing to do and every key of its is as new; and looks whether it has counted its jobs as
// we have.
func (s *soak) quiet() {
	p := s.elder.now()
	ctx, cancel := s.bound()
	defer cancel()
	if err := p.d.WaitIdle(ctx); err != nil {
		s.faults.add("the elder does not come to rest: %w", err)
		return
	}
	for s.mend() > 0 && ctx.Err() == nil && s.sound() {
		// Buckets fill and windows of time pass, unless there are more jobs.
		for began := time.Now(); len(p.d.Snapshot().Keys) > 0 && time.Since(began) < 4*window; {
			time.Sleep(time.Millisecond)
		}
	}
	if err := p.d.WaitIdle(ctx); err != nil {
		s.faults.add("the elder does not come to rest: %w", err)
	}
	if found := p.d.Snapshot(); found.Queued+found.Waiting+found.Running+len(found.Keys) > 0 {
		s.faults.add("at rest, the elder has %d queued, %d waiting, %d running, and keys %v", found.Queued, found.Waiting, found.Running, found.Keys)
	}
	f, err := dispatcher.Go(ctx, p.d, func(context.Context) error { return nil })
	if err != nil {
		s.faults.add("the elder: %w", err)
		return
	}
	before := p.accepted.Add(1) - 1
	if id := int64(f.ID()); id <= before || id > before+1+p.unsure.Load() {
		s.faults.add("the elder has accepted %d jobs, and %d perhaps, but the next is number %d", before, p.unsure.Load(), id)
	}
	if _, err := f.Await(ctx); err != nil {
		s.faults.add("the elder: %w", err)
	}
}

// fill hands the elder jobs of every sort, for many keys at once: of what it keeps of keys that are gone, for reuse, there is as much
// afterwards as there can be, whatever there was before. Otherwise that creeps up to this for millions of jobs.
func (s *soak) fill() {
	const keys = 100 // more than are kept
	p := s.elder.now()
	ctx, cancel := s.bound()
	defer cancel()
	p.d.Pause()
	var futures []*job.Future[struct{}]
	var errs []error
	hand := func(options ...dispatcher.Option) {
		f, err := dispatcher.Go(ctx, p.d, func(context.Context) error { return nil }, options...)
		futures, errs = append(futures, f), append(errs, err)
		p.accepted.Add(1)
	}
	for n := range keys {
		key := dispatcher.WithKey("fill " + strconv.Itoa(n))
		for priority := -4; priority <= 4; priority++ {
			for cost := range 2 {
				options := []dispatcher.Option{key, dispatcher.WithPriority(priority), dispatcher.WithCost("calls", float64(cost))}
				hand(options...)
				hand(append(options, dispatcher.WithGroup("few"))...)
			}
		}
	}
	p.d.Resume()
	_, err := job.All(ctx, futures...)
	if err := errors.Join(errors.Join(errs...), err, p.d.WaitIdle(ctx)); err != nil {
		s.faults.add("filling: %w", err)
	}
	for began := time.Now(); len(p.d.Snapshot().Keys) > 0 && time.Since(began) < s.patience; {
		time.Sleep(time.Millisecond)
	}
}

// muster has all workers of the elder at work at the same time, so that as many goroutines are there whenever it is measured.
func (s *soak) muster() {
	p := s.elder.now()
	if err := p.d.SetWorkers(p.most); err != nil {
		s.faults.add("mustering: %w", err)
	}
	var here sync.WaitGroup
	here.Add(p.most)
	futures := make([]*job.Future[struct{}], p.most)
	var errs []error
	for i := range futures {
		var err error
		futures[i], err = dispatcher.Go(context.Background(), p.d, func(context.Context) error {
			here.Done()
			here.Wait()
			return nil
		}, dispatcher.WithKey("muster "+strconv.Itoa(i)))
		errs = append(errs, err)
		p.accepted.Add(1)
	}
	ctx, cancel := s.bound()
	defer cancel()
	_, err := job.All(ctx, futures...)
	if err := errors.Join(errors.Join(errs...), err); err != nil {
		s.faults.add("mustering: %w", err)
	}
}

// growth says what has grown by more than 5 % since the first tenth of the jobs, as far as so many jobs can tell: in a short run, what
// a dispatcher keeps for reuse still grows, so only what comes near to something for each job is held against it.
func growth(taken []figures, jobs int64) error {
	if len(taken) < 3 {
		return nil // it was broken off, and that has been told
	}
	var heapSlack, goroutineSlack uint64
	if jobs < long {
		heapSlack, goroutineSlack = reuse, spare
	}
	first, last := taken[1], taken[len(taken)-1]
	var errs []error
	for _, one := range []struct {
		what                 string
		before, after, slack uint64
	}{
		{"the heap after garbage collection, in bytes,", first.heap, last.heap, heapSlack},
		{"the number of goroutines", uint64(first.goroutines), uint64(last.goroutines), goroutineSlack},
		{"the number of open descriptors", uint64(max(0, first.descriptors)), uint64(max(0, last.descriptors)), 0},
	} {
		if one.after > one.before+max(one.before/20, one.slack) {
			errs = append(errs, fmt.Errorf("%s has grown from %d after %d jobs to %d after %d", one.what, one.before, first.jobs, one.after, last.jobs))
		}
	}
	return errors.Join(errs...)
}
