package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
)

// window is how far back a dispatcher remembers, at most, what it counts in time.
const window = 50 * time.Millisecond

// place is a dispatcher, and what is known of it.
type place struct {
	d    *dispatcher.Dispatcher
	most int    // workers, at any time
	told *roll  // what its listener was told; nil if it has none
	due  func() // called when it has accepted as many jobs as it is to

	left     atomic.Int64 // jobs until due
	accepted atomic.Int64
	unsure   atomic.Int64 // jobs of which it is not known whether they were accepted, because a Map was left
	running  atomic.Int64
	closing  atomic.Bool // Close or Stop has been called, or is about to be
	stopping atomic.Bool // and it was Stop
	aborting atomic.Bool // and its context may end
	gone     atomic.Bool // it has returned
}

// accept counts one more job.
func (p *place) accept(s *soak) {
	s.accepted.Add(1)
	p.accepted.Add(1)
	if p.left.Add(-1) == 0 {
		p.due()
	}
}

// slot is where one dispatcher follows the other.
type slot struct {
	number  int // 0: the elder's
	random  *rand.Rand
	due     chan *place // the place is to be ended
	current atomic.Pointer[place]
}

func (l *slot) now() *place { return l.current.Load() }

func (s *soak) newSlot(number int) *slot {
	return &slot{number: number, random: s.random(10 + uint64(number)), due: make(chan *place, 2)}
}

// open makes a dispatcher for a slot; the empty name for a new one.
func (s *soak) open(l *slot, name string) (*place, error) {
	cfg := s.config(l)
	cfg.Name = name
	p := &place{most: cfg.Workers}
	if l.number > 0 {
		p.due = func() { l.due <- p }
		p.left.Store(200 + l.random.Int64N(6_000))
		if l.random.IntN(2) == 0 {
			p.told = &roll{ahead: make(map[job.ID]bool)}
			cfg.OnEvent, cfg.EventBuffer = p.told.tell, 1<<17
			if s.plant == "twice" {
				s.planted.Do(func() { p.told.lie = true })
			}
		}
	}
	var err error
	p.d, err = dispatcher.New(cfg)
	return p, err
}

// config draws a dispatcher. The elder's is always the same: its rules are such that every key is forgotten by itself, sooner or
// later, once all its jobs are over.
func (s *soak) config(l *slot) dispatcher.Config {
	cfg := dispatcher.Config{
		Workers: 8, Queue: 4_096, Seed: s.seed, AgeAfter: time.Millisecond,
		Limits: []policy.Limit{
			{Name: "calls", Rate: policy.PerSecond(1e6), Burst: 10_000},
			{Name: "own", Rate: policy.PerSecond(50_000), Burst: 100, PerKey: true},
			{Name: "tokens", Rate: policy.PerSecond(5e6), Burst: 50_000, DefaultCost: 3, Settled: true},
		},
		Shared: []*dispatcher.SharedLimit{s.shared},
		// MaxElapsed, because a job that always fails may be its key's probe for ever: such failures are not counted.
		Retry: policy.Retry{
			MaxAttempts: attempts, Delay: 20 * time.Microsecond, MaxDelay: 200 * time.Microsecond,
			MaxElapsed: time.Second, MaxThrottleWait: 10 * time.Second,
		},
		Budget: policy.Budget{Ratio: .5, Window: window},
		Breaker: policy.Breaker{
			FailureRatio: .8, WindowTime: 10 * time.Millisecond, MinSamples: 10,
			RecoveryTimeout: time.Millisecond, ProbeTimeout: 10 * time.Millisecond, Reprobe: time.Millisecond,
		},
		Groups: []dispatcher.Group{{Name: "few", Workers: 2}},
	}
	if l.number == 0 {
		return cfg
	}
	random := l.random
	cfg.Workers, cfg.Queue = pick(random, 1, 2, 4, 16, 64), pick(random, 20, 500, 0)
	cfg.KeyWorkers = pick(random, 0, 0, 1, 3)
	cfg.Limits = cfg.Limits[:1+random.IntN(3)]
	if random.IntN(4) == 0 {
		cfg.Limits = append(cfg.Limits, policy.Limit{Name: "window", Rate: policy.Per(50_000, 100*time.Millisecond), Burst: 50_000, Sliding: true})
	}
	if random.IntN(3) == 0 {
		cfg.Shared = nil
	}
	switch random.IntN(4) {
	case 0:
		cfg.Retry = policy.Retry{}
	case 1:
		cfg.Budget = policy.Budget{}
	}
	switch random.IntN(3) {
	case 0:
		// As good as off, but for keys that are called unusable. Were it off, the ramp of such a key would take the default for
		// its steps, half a minute, and jobs that are handed in by others of the key wait for that.
		cfg.Breaker = policy.Breaker{FailureThreshold: 1e9, RecoveryTimeout: time.Millisecond, Reprobe: time.Millisecond}
	case 1:
		cfg.Breaker = policy.Breaker{FailureThreshold: 5, RecoveryTimeout: time.Millisecond, ProbeTimeout: 10 * time.Millisecond, Reprobe: time.Millisecond}
	}
	return cfg
}

func pick[T any](random *rand.Rand, of ...T) T { return of[random.IntN(len(of))] }

// churn ends the dispatcher of a slot whenever it is due, and has another take its place: before that, under another name, or
// afterwards. At the end of the leg the last is closed.
func (s *soak) churn(l *slot, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			s.endSlot(l)
			return
		case p := <-l.due:
			if p != l.now() {
				continue
			}
			name := p.d.Name()
			if l.random.IntN(2) == 0 {
				if _, err := s.open(l, name); !errors.Is(err, dispatcher.ErrNameTaken) {
					s.faults.add("a second dispatcher of the name %q: %v", name, err)
				}
				s.end(p, l.random.IntN(endings))
				s.replace(l, name)
			} else {
				s.replace(l, fmt.Sprintf("%d-%d", l.number, s.ended.Load()))
				s.end(p, l.random.IntN(endings))
			}
		}
	}
}

func (s *soak) replace(l *slot, name string) {
	p, err := s.open(l, name)
	if err != nil {
		s.faults.add("a new dispatcher %q: %v", name, err)
		return
	}
	l.current.Store(p)
}

func (s *soak) endSlot(l *slot) {
	if p := l.now(); !p.gone.Load() {
		s.end(p, 0)
	}
	select {
	case <-l.due: // in vain
	default:
	}
}

// endings is in how many ways a dispatcher is ended; the first waits for all.
const endings = 10

// end ends a dispatcher in one of several ways.
func (s *soak) end(p *place, way int) {
	short, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	ended, cancelAtOnce := context.WithCancel(context.Background())
	cancelAtOnce()
	long, cancelLong := s.bound()
	defer cancelLong()

	p.closing.Store(true)
	p.stopping.Store(way >= 6)
	p.aborting.Store(way >= 3)
	var err error
	aborts := true
	switch way {
	case 0, 1:
		err, aborts = p.d.Close(long), false
	case 2: // a job asks for it
		fn := func(ctx context.Context) error {
			if err := p.d.Close(ctx); !errors.Is(err, job.ErrDeadlock) {
				s.faults.add("Close in a job of its own: %v", err)
			}
			return nil
		}
		if _, err := dispatcher.Go(context.Background(), p.d, fn); err == nil {
			p.accepted.Add(1) // it is none of the errands, but counts for the roll
		}
		err, aborts = p.d.Close(long), false
	case 3:
		err = p.d.Close(short)
	case 4, 5:
		err = p.d.Close(ended)
	case 6:
		err = p.d.Stop(short)
	case 7:
		err = p.d.Stop(ended)
	case 8: // several at once
		var all sync.WaitGroup
		all.Go(func() { _ = p.d.Close(long) })
		all.Go(func() { _ = p.d.Stop(short) })
		err = p.d.Stop(ended)
		all.Wait()
	default:
		p.aborting.Store(false)
		err, aborts = p.d.Stop(long), false
	}
	p.gone.Store(true)
	if err != nil && (!aborts || !errors.Is(err, job.ErrAborted)) {
		s.faults.add("end of dispatcher %q, way %d: %v", p.d.Name(), way, err)
	}
	if err := p.d.Close(long); err != nil { // waits for functions that were left
		s.faults.add("Close of dispatcher %q after its end by way %d: %v", p.d.Name(), way, err)
	}
	s.ended.Add(1)
	s.plantBeside()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leaving = append(s.leaving, p)
}

// audit looks at what the listeners of ended dispatchers were told, now that nobody counts any more.
func (s *soak) audit() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.leaving {
		if n := p.running.Load(); n != 0 {
			s.faults.add("dispatcher %q has ended, but %d functions run", p.d.Name(), n)
		}
		if p.told == nil || p.d.EventsDropped() > 0 {
			continue
		}
		s.audited.Add(1)
		least := p.accepted.Load()
		if err := p.told.check(least, least+p.unsure.Load(), s.patience); err != nil && s.sound() {
			s.faults.add("dispatcher %q: %w", p.d.Name(), err)
		}
	}
	s.leaving = nil
}
