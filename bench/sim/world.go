package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/toller-go/toller/bench/sim/oracle"
	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/scheduler"
)

// A world is what a story happens in, in words from which all three are made: the core's configuration, the oracle's, and the
// lines of a transcript.
type world struct {
	cores []coreSpec
	pools []limitSpec
	keys  []keySpec

	express bool // a job that comes alone is offered to Core.Express first, as a dispatcher does

	// What chance is inclined to.
	steady   bool   // nobody changes a limit
	staffed  bool   // nobody changes how many workers there are
	handsOff bool   // nobody takes circuits into his hands, but what must be reset is
	busy     int    // how many of the keys most of it is about
	dense    bool   // much happens at once
	often    int    // the number of an act, see story.act, that comes more often than by itself; negative: none
	apt      string // an outcome that comes more often than by itself; empty: none
	weather  bool   // most attempts fail for a while, and then most succeed for a while
	hangs    bool   // attempts take long, so that there are many
}

// coreSpec is one core. Several cores have the pools in common.
type coreSpec struct {
	workers, keyWorkers int
	age                 time.Duration
	groups              []int
	limits              []limitSpec
	retry               *retrySpec
	budget              *policy.Budget
	breaker             *breakerSpec
	ahead               time.Duration
}

// keySpec is what a key has of its own; the same in every core.
type keySpec struct {
	weight, workers int
	breaker         *breakerSpec
	limits          map[int]limitSpec // of the first core's limits, by their number
}

var keyNames = [...]string{"a", "b", "c", "d"}

// rateSpec is a rate as it is written: so many per unit, or a word.
type rateSpec struct {
	n    float64
	unit string // s, min, h, blocked, unlimited
}

var spans = map[string]time.Duration{"s": time.Second, "min": time.Minute, "h": time.Hour}

func (r rateSpec) String() string {
	if spans[r.unit] == 0 {
		return r.unit
	}
	return fmt.Sprintf("%g/%s", r.n, r.unit)
}

func (r rateSpec) rate() policy.Rate {
	switch r.unit {
	case "blocked":
		return policy.Blocked
	case "unlimited":
		return policy.Unlimited
	default:
		return policy.Per(r.n, spans[r.unit])
	}
}

func (r rateSpec) judged() oracle.Rate {
	switch r.unit {
	case "blocked":
		return oracle.Rate{Kind: oracle.Blocked}
	case "unlimited":
		return oracle.Rate{Kind: oracle.Unlimited}
	default:
		return oracle.Rate{Kind: oracle.Paced, Amount: micro(r.n), Span: spans[r.unit]}
	}
}

func micro(tokens float64) oracle.Micro { return oracle.Micro(tokens*1e6 + .5) }

// limitSpec is a limit. Its burst is always written out.
type limitSpec struct {
	name                             string
	rate                             rateSpec
	burst, initial, maxDebt, cost    float64 // initial: negative for empty, 0 for full
	perKey, strict, settled, sliding bool
}

func (l limitSpec) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%v:%g", l.name, l.rate, l.burst)
	for _, word := range []struct {
		set  bool
		text string
	}{
		{l.perKey, "perkey"}, {l.strict, "strict"}, {l.settled, "settled"}, {l.maxDebt > 0, fmt.Sprintf("maxdebt=%g", l.maxDebt)},
		{l.sliding, "sliding"}, {l.initial != 0, fmt.Sprintf("initial=%g", max(0, l.initial))}, {l.cost > 0, fmt.Sprintf("cost=%g", l.cost)},
	} {
		if word.set {
			b.WriteString(":" + word.text)
		}
	}
	return b.String()
}

func (l limitSpec) limit() policy.Limit {
	limit := policy.Limit{
		Name: l.name, Rate: l.rate.rate(), Burst: l.burst, Initial: l.initial, MaxDebt: l.maxDebt, DefaultCost: l.cost,
		PerKey: l.perKey, Strict: l.strict, Settled: l.settled, Sliding: l.sliding,
	}
	if l.initial < 0 {
		limit.Initial = policy.Empty
	}
	return limit
}

func (l limitSpec) judged() oracle.Limit {
	limit := oracle.Limit{
		Rate: l.rate.judged(), Burst: micro(l.burst), Initial: micro(l.burst), MaxDebt: micro(l.maxDebt), DefaultCost: oracle.Token,
		PerKey: l.perKey, Strict: l.strict, Settled: l.settled, Sliding: l.sliding,
	}
	if l.initial != 0 {
		limit.Initial = micro(max(0, l.initial))
	}
	if l.cost > 0 {
		limit.DefaultCost = micro(l.cost)
	}
	return limit
}

// retrySpec is a retry rule.
type retrySpec struct {
	attempts                                     int
	delay                                        time.Duration
	factor                                       float64
	jitter                                       bool
	maxDelay, maxElapsed, maxHint, throttledWait time.Duration
}

func (r retrySpec) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d:%v:%g", r.attempts, r.delay, r.factor)
	if r.jitter {
		b.WriteString(":jitter")
	}
	for _, word := range []struct {
		name string
		span time.Duration
	}{{"maxdelay", r.maxDelay}, {"elapsed", r.maxElapsed}, {"maxhint", r.maxHint}, {"throttle", r.throttledWait}} {
		if word.span > 0 {
			fmt.Fprintf(&b, ":%s=%v", word.name, word.span)
		}
	}
	return b.String()
}

func (r retrySpec) retry() policy.Retry {
	retry := policy.Retry{
		MaxAttempts: r.attempts, Delay: r.delay, Backoff: r.factor, Jitter: policy.NoJitter, MaxDelay: r.maxDelay,
		MaxElapsed: r.maxElapsed, MaxHint: r.maxHint, MaxThrottleWait: r.throttledWait,
	}
	if r.jitter {
		retry.Jitter = policy.FullJitter
	}
	return retry
}

func (r *retrySpec) judged() oracle.Retry {
	if r == nil {
		return oracle.Retry{}
	}
	judged := oracle.Retry{
		MaxAttempts: r.attempts, Delay: r.delay, Backoff: r.factor, Jitter: r.jitter, MaxDelay: 30 * time.Second,
		MaxElapsed: r.maxElapsed, MaxHint: r.maxHint, MaxThrottleWait: r.throttledWait,
	}
	if r.maxDelay > 0 {
		judged.MaxDelay = r.maxDelay
	}
	return judged
}

// breakerSpec is a breaker.
type breakerSpec struct {
	failures, probes, successes, samples int
	ratio, slowRatio, growth             float64
	recovery, slow, window, lease, again time.Duration
	jobs                                 bool
}

func (b breakerSpec) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%d:%v", b.failures, b.recovery)
	for _, word := range []struct {
		set  bool
		text string
	}{
		{b.ratio > 0, fmt.Sprintf("ratio=%g", b.ratio)}, {b.slow > 0, fmt.Sprintf("slow=%v", b.slow)},
		{b.slowRatio > 0, fmt.Sprintf("slowratio=%g", b.slowRatio)}, {b.samples > 0, fmt.Sprintf("samples=%d", b.samples)},
		{b.window > 0, fmt.Sprintf("window=%v", b.window)}, {b.jobs, "jobs"}, {b.growth > 0, fmt.Sprintf("growth=%g", b.growth)},
		{b.probes > 0, fmt.Sprintf("probes=%d", b.probes)}, {b.successes > 0, fmt.Sprintf("successes=%d", b.successes)},
		{b.lease > 0, fmt.Sprintf("lease=%v", b.lease)}, {b.again > 0, fmt.Sprintf("reprobe=%v", b.again)},
	} {
		if word.set {
			text.WriteString(":" + word.text)
		}
	}
	return text.String()
}

func (b *breakerSpec) breaker() policy.Breaker {
	if b == nil {
		return policy.Breaker{}
	}
	breaker := policy.Breaker{
		FailureThreshold: b.failures, FailureRatio: b.ratio, SlowCall: b.slow, SlowRatio: b.slowRatio, WindowTime: b.window,
		MinSamples: b.samples, RecoveryTimeout: b.recovery, RecoveryBackoff: b.growth, Probes: b.probes, Successes: b.successes,
		ProbeTimeout: b.lease, Reprobe: b.again,
	}
	if b.jobs {
		breaker.Counts = policy.CountJobs
	}
	return breaker
}

// judged fills in the defaults that the documentation of policy.Breaker names.
func (b *breakerSpec) judged() oracle.Breaker {
	if b == nil {
		b = &breakerSpec{recovery: 30 * time.Second}
	}
	judged := oracle.Breaker{
		Failures: b.failures, Ratio: b.ratio, SlowCall: b.slow, SlowRatio: b.slowRatio, Window: 100, WindowTime: b.window,
		MinSamples: 10, Jobs: b.jobs, Recovery: b.recovery, Growth: max(1, b.growth), MaxRecovery: max(10*time.Minute, b.recovery),
		Probes: max(1, b.probes), Successes: max(1, b.successes), ProbeTimeout: b.recovery, Reprobe: b.again,
	}
	if b.samples > 0 {
		judged.MinSamples = b.samples
	}
	if b.lease > 0 {
		judged.ProbeTimeout = b.lease
	}
	return judged
}

// config returns what a core of the world is made from.
func (w *world) config(c *coreSpec, pools []*scheduler.Shared, ticket func() uint64) scheduler.Config {
	cfg := scheduler.Config{Workers: c.workers, KeyWorkers: c.keyWorkers, AgeAfter: c.age, Breaker: c.breaker.breaker(), Seed: 1, Ticket: ticket}
	for i, n := range c.groups {
		cfg.Groups = append(cfg.Groups, scheduler.Group{Name: fmt.Sprint("g", i), Workers: n})
	}
	for _, l := range c.limits {
		cfg.Limits = append(cfg.Limits, l.limit())
	}
	if c.retry != nil {
		cfg.Retry = c.retry.retry()
	}
	if c.budget != nil {
		cfg.Budget = *c.budget
	}
	for _, pool := range pools {
		cfg.Shared = append(cfg.Shared, scheduler.SharedUse{Limit: pool, Ahead: c.ahead})
	}
	return cfg
}

// judged returns what its judge is told.
func (w *world) judged(c *coreSpec, number int, pools []*oracle.Pool) oracle.Config {
	cfg := oracle.Config{
		Workers: c.workers, KeyWorkers: c.keyWorkers, Groups: append([]int(nil), c.groups...), Pools: pools, Ahead: c.ahead,
		Retry: c.retry.judged(), Breaker: c.breaker.judged(), Keys: len(keyNames), Number: number,
	}
	for _, l := range append(append([]limitSpec(nil), c.limits...), w.pools...) {
		cfg.Limits = append(cfg.Limits, l.judged())
	}
	if c.budget != nil {
		cfg.Budget = c.budget.Window
	}
	return cfg
}

// text returns the lines that make the world in a transcript.
func (w *world) text() string {
	var b strings.Builder
	if w.express {
		b.WriteString("# a job that comes alone takes the express way, if the core lets it\n")
	}
	for _, pool := range w.pools {
		fmt.Fprintln(&b, "shared", pool)
	}
	for i, c := range w.cores {
		b.WriteString("core ")
		if len(w.pools) > 0 {
			fmt.Fprintf(&b, "c%d ", i)
		}
		fmt.Fprintf(&b, "workers=%d", c.workers)
		if c.keyWorkers > 0 {
			fmt.Fprintf(&b, " keyworkers=%d", c.keyWorkers)
		}
		if c.age > 0 {
			fmt.Fprintf(&b, " age=%v", c.age)
		}
		for i, n := range c.groups {
			fmt.Fprintf(&b, " group=g%d:%d", i, n)
		}
		for _, l := range c.limits {
			fmt.Fprintf(&b, " limit=%v", l)
		}
		for _, pool := range w.pools {
			fmt.Fprintf(&b, " shared=%s", pool.name)
		}
		if c.ahead > 0 {
			fmt.Fprintf(&b, " ahead=%v", c.ahead)
		}
		if c.retry != nil {
			fmt.Fprintf(&b, " retry=%v", c.retry)
		}
		if c.budget != nil {
			fmt.Fprintf(&b, " budget=%g:%d:%v", c.budget.Ratio, c.budget.MinRetries, c.budget.Window)
		}
		if c.breaker != nil {
			fmt.Fprintf(&b, " breaker=%v", c.breaker)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// pick returns one of the choices, and oneIn says yes once in n times.
func pick[T any](r *rand.Rand, choices ...T) T { return choices[r.IntN(len(choices))] }

func oneIn(r *rand.Rand, n int) bool { return r.IntN(n) == 0 }
