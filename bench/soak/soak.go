package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/policy"
)

const (
	legs       = 10    // measurements, after the one of the empty house
	leastJobs  = 1_000 // fewer are no soak
	submitters = 16
	slots      = 3   // dispatchers that come and go
	room       = 100 // jobs that a submitter has under way
)

// soak is a run.
type soak struct {
	seed     uint64
	jobs     int64
	plant    string
	patience time.Duration // for what must come
	settling time.Duration // for goroutines to end

	shared *dispatcher.SharedLimit // of all dispatchers
	elder  *slot                   // whose dispatcher lives as long as the run
	slots  [slots]*slot
	crowd  []*submitter
	steady *rand.Rand // of the goroutine that steers

	numbers  atomic.Int64 // of errands
	accepted atomic.Int64
	resolved atomic.Int64
	refused  atomic.Int64
	ended    atomic.Int64 // dispatchers
	audited  atomic.Int64 // of those, whose listener has missed nothing
	reasons  [len(reasons)]atomic.Int64
	faults   faults
	taken    []figures

	mu      sync.Mutex
	leaving []*place  // guarded by mu; ended, and to be looked at once nobody counts any more
	kept    []any     // guarded by mu; what was planted
	release chan bool // closed when planted goroutines may end
	planted sync.Once // what is planted once
}

// newSoak prepares a run.
func newSoak(o options) *soak {
	s := &soak{seed: o.seed, jobs: o.jobs, plant: o.plant, patience: time.Minute, settling: settling, release: make(chan bool)}
	if o.plant != "" { // which is to be found, and soon
		s.patience, s.settling = 2*time.Second, settling/250
	}
	s.steady = s.random(1)
	for i := range submitters {
		s.crowd = append(s.crowd, newSubmitter(s, s.random(100+uint64(i))))
	}
	return s
}

// random returns a generator of this run.
func (s *soak) random(stream uint64) *rand.Rand { return rand.New(rand.NewPCG(s.seed, stream)) }

// play soaks. The error tells all that is wrong.
func (s *soak) play(progress func(figures)) error {
	stop := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() { s.watch(stop) })
	defer watching.Wait()
	defer close(stop)
	defer s.forgive()

	var err error
	if s.shared, err = dispatcher.NewSharedLimit(policy.Limit{Name: "shared", Rate: policy.PerSecond(5e6), Burst: 50_000}); err != nil {
		return err
	}
	s.elder = s.newSlot(0)
	for i := range s.slots {
		s.slots[i] = s.newSlot(1 + i)
	}
	s.replace(s.elder, "")
	for leg := int64(0); leg <= legs && s.sound(); leg++ {
		began := time.Now()
		if leg > 0 { // before that, the elder is alone
			s.leg(s.jobs * leg / legs)
		}
		took := time.Since(began)
		if s.sound() {
			f := s.measure()
			f.took = took
			s.taken = append(s.taken, f)
			progress(f)
		}
	}
	s.end(s.elder.now(), 0)
	s.audit()
	return errors.Join(s.faults.err(), growth(s.taken, s.jobs))
}

// leg goes on until so many jobs have been accepted in all, and are over.
func (s *soak) leg(goal int64) {
	stop := make(chan struct{})
	var submitting, churning, steering sync.WaitGroup
	for _, one := range s.slots {
		s.replace(one, "")
		churning.Go(func() { s.churn(one, stop) })
	}
	steering.Go(func() { s.steer(stop) })
	for _, one := range s.crowd {
		submitting.Go(func() { one.submit(goal) })
	}
	submitting.Wait()
	close(stop)
	steering.Wait()
	churning.Wait()
	s.audit()
	for _, one := range s.slots {
		one.current.Store(nil) // or what has ended would be measured, too
	}
	if a, r := s.accepted.Load(), s.resolved.Load(); a != r && s.sound() {
		s.faults.add("%d jobs accepted, but %d resolved", a, r)
	}
}

// sound reports whether nothing is wrong so far.
func (s *soak) sound() bool { return s.faults.none() }

// watch ends the process when nothing goes on any more, and tells where everybody stands: a call that never returns can't be
// left otherwise.
func (s *soak) watch(stop <-chan struct{}) {
	before, since := int64(-1), time.Now()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		if now := s.accepted.Load() + s.resolved.Load() + s.refused.Load() + s.ended.Load(); now != before {
			before, since = now, time.Now()
		} else if time.Since(since) > 2*s.patience {
			stacks := make([]byte, 4<<20)
			stacks = stacks[:runtime.Stack(stacks, true)]
			panic(fmt.Sprintf("seed %d: stuck after %d accepted jobs, %d resolved; faults so far: %v\n\n%s",
				s.seed, s.accepted.Load(), s.resolved.Load(), s.faults.err(), stacks))
		}
	}
}

// plantWith and plantBeside do what is wrong on purpose: for each job, and for each dispatcher that has ended.
func (s *soak) plantWith(e *errand) {
	if s.plant == "heap" {
		s.keep(e)
	}
}

func (s *soak) plantBeside() {
	switch s.plant {
	case "goroutine":
		go func() { <-s.release }()
	case "descriptor":
		if file, err := os.Open(os.DevNull); err == nil {
			s.keep(file)
		}
	}
}

func (s *soak) keep(what any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = append(s.kept, what)
}

// forgive gives back what was planted.
func (s *soak) forgive() {
	close(s.release)
	for _, what := range s.kept {
		if file, ok := what.(*os.File); ok {
			_ = file.Close()
		}
	}
	s.kept = nil
}

// faults are promises that were broken.
type faults struct {
	count atomic.Int64
	mu    sync.Mutex
	first []error // guarded by mu; the first few
}

func (f *faults) none() bool { return f.count.Load() == 0 }

func (f *faults) add(format string, args ...any) {
	const most = 20
	f.count.Add(1)
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.first) < most {
		f.first = append(f.first, fmt.Errorf(format, args...))
	}
}

// err joins the first faults; nil if there are none.
func (f *faults) err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if more := f.count.Load() - int64(len(f.first)); more > 0 {
		return errors.Join(errors.Join(f.first...), fmt.Errorf("and %d more", more))
	}
	return errors.Join(f.first...)
}

// bound is the context of what must not take for ever.
func (s *soak) bound() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), s.patience)
}
