package main

import (
	"context"
	"math/rand/v2"
	"runtime"
	"strconv"
	"time"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
)

// steer changes how the dispatchers work while they do.
func (s *soak) steer(stop <-chan struct{}) {
	random := s.steady
	for turn := 1; ; turn++ {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(random.IntN(500)) * time.Microsecond):
		}
		p := s.elder.now()
		if random.IntN(3) > 0 {
			p = s.slots[random.IntN(len(s.slots))].now()
		}
		s.steerOnce(p, random)
		if turn%100 == 0 {
			s.mend()
		}
	}
}

func (s *soak) steerOnce(p *place, random *rand.Rand) {
	key := "k" + strconv.Itoa(int(s.numbers.Load())/40+random.IntN(32))
	var err error
	switch random.IntN(10) {
	case 0, 1:
		p.d.Pause()
		for range random.IntN(50) {
			runtime.Gosched()
		}
		p.d.Resume()
	case 2, 3:
		err = p.d.SetWorkers(1 + random.IntN(p.most))
	case 4:
		err = p.d.SetRate("calls", policy.PerSecond(1e5*float64(1+random.IntN(20))))
	case 5:
		err = p.d.SetBurst("calls", float64(100*(1+random.IntN(100))))
	case 6:
		err = p.d.Observe("calls", "", float64(random.IntN(100)))
	case 7:
		p.d.ForceOpen(key)
		runtime.Gosched()
		p.d.Reset(key)
	case 8:
		err = s.shared.SetRate(policy.PerSecond(1e6 * float64(1+random.IntN(5))))
	default:
		if found := p.d.Snapshot(); found.Queued < 0 || found.Waiting < 0 || found.Running < 0 || found.Running > p.most {
			s.faults.add("dispatcher %q: a snapshot of %d queued, %d waiting, %d running, of at most %d", p.d.Name(), found.Queued, found.Waiting, found.Running, p.most)
		}
	}
	if err != nil {
		s.faults.add("steering dispatcher %q: %v", p.d.Name(), err)
	}
}

// mend sends a job that succeeds to each key of the elder's that has none and is not as new: a circuit that is open or being
// tested stays so until there is a job, and a key that was throttled is remembered for half a minute. It returns how many
// there were.
func (s *soak) mend() int {
	p := s.elder.now()
	var futures []*job.Future[struct{}]
	for _, key := range p.d.Snapshot().Keys {
		if key.Queued+key.Waiting+key.Running > 0 {
			continue
		}
		f, err := dispatcher.Go(context.Background(), p.d, func(context.Context) error { return nil }, dispatcher.WithKey(key.Key))
		if err != nil {
			s.faults.add("mending key %q: %v", key.Key, err)
			continue
		}
		p.accepted.Add(1)
		futures = append(futures, f)
	}
	ctx, cancel := s.bound()
	defer cancel()
	if _, err := job.All(ctx, futures...); err != nil && s.sound() {
		s.faults.add("mending: %w", err)
	}
	return len(futures)
}
