package dispatcher_test

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/policy"
)

// What a virtual world is made of, in plain numbers, from which the dispatcher's configuration is made and by which the judge goes.

// history is what somebody has set, and when.
type history []change

type change struct {
	at time.Duration
	to float64
}

// set notes a change, now.
func (h *history) set(at time.Duration, to float64) { *h = append(*h, change{at, to}) }

// most is the highest value in force between two instants, both included. At the instant of a change both values count: which came
// first can't be told.
func (h history) most(from, to time.Duration) (most float64) {
	for i, c := range h {
		if c.at <= to && (i+1 == len(h) || h[i+1].at >= from) {
			most = max(most, c.to)
		}
	}
	return most
}

// least is the lowest value that there ever was.
func (h history) least() float64 {
	return slices.MinFunc(h, func(a, b change) int { return cmp.Compare(a.to, b.to) }).to
}

// sum is the integral over time, in seconds, from the beginning.
func (h history) sum(to time.Duration) (sum float64) {
	for i, c := range h {
		until := to
		if i+1 < len(h) {
			until = min(to, h[i+1].at)
		}
		if until > c.at {
			sum += c.to * (until - c.at).Seconds()
		}
	}
	return sum
}

// virtualLimit is a limit.
type virtualLimit struct {
	name                     string
	amount                   float64 // in span, at the start
	span                     time.Duration
	perKey, sliding, settled bool
	shared                   *dispatcher.SharedLimit // nil: each dispatcher has its own
	rate, burst              history                 // tokens a second; tokens
	cost                     float64                 // by default
}

func (l *virtualLimit) policy() policy.Limit {
	return policy.Limit{
		Name: l.name, Rate: policy.Per(l.amount, l.span), Burst: l.burst[0].to, DefaultCost: l.cost,
		PerKey: l.perKey, Sliding: l.sliding, Settled: l.settled,
	}
}

// virtualPlace is a dispatcher.
type virtualPlace struct {
	d                   *dispatcher.Dispatcher
	queue, keyed        int // the latter: workers of each key at the start, 0 for no bound
	retry               policy.Retry
	exact               bool // its backoff is without jitter
	breaker             bool // on
	workers, keyWorkers history
	limits              []*virtualLimit

	running map[string]int // guarded by the world's mu; by key, and "*" for all
	barred  []interval     // guarded by mu; nothing starts meanwhile: paused, or a key is forced open
	freed   []interval     // guarded by mu; when somebody undid that, for whatever reason; their to is not used
	closing time.Duration  // when Close or Stop was called; zero: not yet
	aborts  time.Duration  // when its context ended; zero: never
	stopped bool           // by Stop
}

// interval is from when until when nothing may start; the ends are excluded.
type interval struct {
	key      string // "*": any
	from, to time.Duration
}

const whole = "*" // instead of a key

var virtualKeys = []string{"a", "b", "c", "d"}

// virtualWorld is one world.
type virtualWorld struct {
	seed   uint64
	random *rand.Rand
	start  time.Time
	span   time.Duration // how long there are jobs and acts
	places []*virtualPlace
	jobs   []*virtualJob
	wrong  func(format string, args ...any)

	mu     sync.Mutex
	nested []*virtualJob // guarded by mu; handed in by others
}

func (w *virtualWorld) now() time.Duration { return time.Since(w.start) }

// upTo draws a length of time, short ones as often as long ones of the same order.
func (w *virtualWorld) upTo(most time.Duration) time.Duration {
	d := time.Duration(w.random.Int64N(int64(most)) + 1)
	return max(1, d>>w.random.IntN(12))
}

func (w *virtualWorld) oneIn(n int) bool { return w.random.IntN(n) == 0 }

// makeWorld draws a world: nothing of it runs yet.
func makeWorld(seed uint64, wrong func(string, ...any)) *virtualWorld {
	w := &virtualWorld{seed: seed, random: rand.New(rand.NewPCG(seed, 7)), wrong: wrong}
	w.span = time.Duration(2+w.random.IntN(30)) * time.Hour
	n := 20 + w.random.IntN(230)
	var shared *virtualLimit
	if w.oneIn(3) {
		shared = w.limit("shared", n)
		shared.perKey, shared.sliding = false, false
	}
	for range 1 + w.random.IntN(4)/3 {
		w.places = append(w.places, w.place(n, shared))
	}
	for i := range n {
		w.jobs = append(w.jobs, w.job(i+1))
	}
	return w
}

// limit draws a limit that n jobs can pass within the time there is.
func (w *virtualWorld) limit(name string, n int) *virtualLimit {
	l := &virtualLimit{name: name, cost: 1, perKey: w.oneIn(3), sliding: w.oneIn(4), settled: w.oneIn(3)}
	l.span = pickOne(w.random, time.Second, time.Minute, time.Hour)
	needed := float64(4*n) / w.span.Seconds() * l.span.Seconds() // by all, retries included
	l.amount = float64(int(1000*needed*(1+9*w.random.Float64()))+1) / 1000
	if l.sliding {
		l.amount, l.settled = float64(int(l.amount)+4), false
	}
	l.rate = history{{0, l.amount / l.span.Seconds()}}
	l.burst = history{{0, pickOne[float64](w.random, 1, 2, 5, 20)}}
	return l
}

// place draws a dispatcher.
func (w *virtualWorld) place(n int, shared *virtualLimit) *virtualPlace {
	p := &virtualPlace{queue: pickOne(w.random, 5, 50, 1000), running: make(map[string]int)}
	p.workers = history{{0, float64(pickOne(w.random, 1, 2, 3, 8, 20))}}
	p.keyed = pickOne(w.random, 0, 0, 1, 3)
	p.keyWorkers = history{{0, bound(p.keyed)}}
	for i := range w.random.IntN(4) {
		p.limits = append(p.limits, w.limit("limit "+strconv.Itoa(i), n))
	}
	if shared != nil {
		p.limits = append(p.limits, shared)
	}
	if !w.oneIn(4) {
		p.retry = policy.Retry{
			MaxAttempts: 1 + w.random.IntN(5), Delay: w.upTo(time.Minute), MaxDelay: time.Hour, Backoff: 1 + 2*w.random.Float64(),
			Jitter: pickOne(w.random, policy.NoJitter, policy.FullJitter, policy.EqualJitter, policy.DecorrelatedJitter),
			// A job that fails again and again may be its key's probe for ever otherwise.
			MaxElapsed: 6 * time.Hour, MaxThrottleWait: 3 * time.Hour,
		}
		p.exact = p.retry.Jitter == policy.NoJitter
	}
	p.breaker = w.oneIn(2)
	return p
}

// bound is a number of workers of which 0 means any number.
func bound(workers int) float64 {
	if workers == 0 {
		return math.Inf(1)
	}
	return float64(workers)
}

// open makes the dispatchers. It must be called inside the bubble.
func (w *virtualWorld) open() error {
	w.start = time.Now()
	for _, p := range w.places {
		cfg := dispatcher.Config{
			Workers: int(p.workers[0].to), KeyWorkers: p.keyed, Queue: p.queue, Retry: p.retry, Seed: w.seed,
			AgeAfter: pickOne(w.random, dispatcher.NeverAge, time.Second, time.Minute),
		}
		for _, l := range p.limits {
			switch {
			case l.name != "shared":
				cfg.Limits = append(cfg.Limits, l.policy())
				continue
			case l.shared == nil:
				var err error
				if l.shared, err = dispatcher.NewSharedLimit(l.policy()); err != nil {
					return err
				}
			}
			cfg.Shared = append(cfg.Shared, l.shared)
		}
		if p.breaker {
			cfg.Breaker = policy.Breaker{
				FailureThreshold: 1 + w.random.IntN(5), RecoveryTimeout: w.upTo(10 * time.Minute), Probes: 1 + w.random.IntN(2),
				RecoveryJitter: .1, Reprobe: time.Hour,
			}
		}
		if w.oneIn(4) {
			cfg.Budget = policy.Budget{Ratio: .3}
		}
		var err error
		if p.d, err = dispatcher.New(cfg); err != nil {
			return err
		}
	}
	return nil
}
