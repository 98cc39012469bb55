package main

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/toller-go/toller/policy"
)

// The worlds that chance makes.

func randomWorld(r *rand.Rand) *world {
	w := &world{
		steady: oneIn(r, 2), handsOff: oneIn(r, 2), busy: pick(r, 1, 2, len(keyNames)), often: -1, weather: oneIn(r, 2), hangs: oneIn(r, 2),
	}
	if !oneIn(r, 4) { // swarm testing (Groce and others, 2012): what is rare everywhere is to be common somewhere
		w.often = r.IntN(actNumbers)
	}
	if oneIn(r, 2) {
		w.apt = pick(r, "failed", "fatal", "throttled", "unbilled", "unusable")
	}
	w.cores = []coreSpec{randomCore(r)}
	if oneIn(r, 3) {
		for i := range 1 + r.IntN(2) {
			pool := randomLimit(r, fmt.Sprint("p", i))
			pool.perKey = false
			w.pools = append(w.pools, pool)
		}
		w.cores = append(w.cores, randomCore(r))
		w.cores[r.IntN(2)].ahead = pick(r, 0, 5*time.Second)
	}
	w.keys = make([]keySpec, len(keyNames))
	for i := range w.keys {
		if oneIn(r, 4) || w.cores[0].breaker == nil && i < w.busy && oneIn(r, 2) {
			w.keys[i] = randomKey(r, &w.cores[0], len(w.cores) == 1)
		}
	}
	switch r.IntN(8) {
	case 0:
		w.plain()
	case 1, 2:
	default:
		w.troubled(r)
	}
	return w
}

// plain makes of a world one where jobs that come alone may take the express way: they and their keys ask for nothing of their own.
func (w *world) plain() {
	w.express, w.staffed, w.pools, w.cores = true, true, nil, w.cores[:1]
	clear(w.keys)
	c := &w.cores[0]
	c.keyWorkers, c.ahead = 0, 0
	for i := range c.limits {
		l := &c.limits[i]
		l.perKey, l.strict, l.sliding = false, false, false
	}
}

// troubled makes of a world one where nothing but circuits holds jobs back for long, and where these open soon and recover slowly:
// much happens, then, while they are neither shut nor wide open.
func (w *world) troubled(r *rand.Rand) {
	w.busy, w.dense, w.weather, w.hangs = 1+r.IntN(2), true, true, oneIn(r, 4)
	w.handsOff, w.staffed = r.IntN(5) < 3, !oneIn(r, 4)
	w.apt = pick(r, w.apt, w.apt, "throttled", "unusable", "unusable")
	for i := range w.pools {
		w.pools[i].makeRoom()
	}
	for i := range w.cores {
		c := &w.cores[i]
		c.workers, c.keyWorkers = 20, 0
		for k := range c.limits {
			c.limits[k].makeRoom()
		}
		if c.breaker != nil {
			c.breaker.recoverSlowly()
		}
	}
	for i := range w.keys[:w.busy] {
		k := &w.keys[i]
		k.workers = 0
		for n, l := range k.limits {
			l.makeRoom()
			k.limits[n] = l
		}
		if k.breaker == nil && w.cores[0].breaker == nil {
			k.breaker = randomBreaker(r)
		}
		if k.breaker != nil {
			k.breaker.recoverSlowly()
		}
	}
}

// makeRoom gives a limit more than is asked of it.
func (l *limitSpec) makeRoom() {
	if l.rate.unit != "unlimited" {
		l.rate = rateSpec{1000, "s"}
	}
	l.burst = 50
}

// recoverSlowly has a circuit tested soon and go through a long ramp, that successes end rather than time.
func (b *breakerSpec) recoverSlowly() {
	b.recovery, b.successes, b.lease = 100*time.Millisecond, 1, time.Minute
	if b.slow > 0 {
		b.slow = 10 * time.Second
	}
}

func randomCore(r *rand.Rand) coreSpec {
	c := coreSpec{workers: pick(r, 1, 2, 5, 20), age: pick(r, 0, 100*time.Millisecond, 3*time.Second)}
	for range r.IntN(3) {
		c.groups = append(c.groups, pick(r, 1, 2, 5))
	}
	if oneIn(r, 3) {
		c.keyWorkers = pick(r, 1, 3)
	}
	if oneIn(r, 3) {
		c.budget = &policy.Budget{Ratio: pick(r, .1, .5), MinRetries: pick(r, 1, 3), Window: pick(r, 100*time.Millisecond, 5*time.Second)}
	}
	for i := range pick(r, 0, 0, 1, 1, 2, 3) {
		c.limits = append(c.limits, randomLimit(r, fmt.Sprint("l", i)))
	}
	if !oneIn(r, 4) {
		c.retry = randomRetry(r)
	}
	if !oneIn(r, 3) {
		c.breaker = randomBreaker(r)
	}
	if oneIn(r, 4) { // where many run at once, which what befalls a key finds in flight
		c.workers, c.keyWorkers = 20, 0
	}
	return c
}

func randomKey(r *rand.Rand, c *coreSpec, ownLimits bool) keySpec {
	key := keySpec{weight: r.IntN(4), workers: pick(r, 0, 0, 1, 2)}
	if c.breaker == nil || oneIn(r, 2) {
		key.breaker = randomBreaker(r)
	}
	for i, l := range c.limits {
		if ownLimits && l.perKey && oneIn(r, 2) {
			own := randomLimit(r, fmt.Sprint(i))
			own.perKey, own.settled, own.cost = true, l.settled, l.cost
			if !own.settled {
				own.maxDebt = 0
			}
			if key.limits == nil {
				key.limits = make(map[int]limitSpec)
			}
			key.limits[i] = own
		}
	}
	return key
}

func randomLimit(r *rand.Rand, name string) limitSpec {
	l := limitSpec{
		name: name, rate: rateSpec{pick(r, 1.0, 10, 1000), "s"}, burst: pick(r, 1.0, 5, 50), perKey: oneIn(r, 2), settled: oneIn(r, 2),
		strict: oneIn(r, 3),
	}
	switch {
	case oneIn(r, 3):
		l.sliding, l.rate = true, pick(r, rateSpec{10, "s"}, rateSpec{60, "min"})
	case oneIn(r, 8):
		l.rate = rateSpec{0, "unlimited"}
	case oneIn(r, 6):
		l.rate = rateSpec{pick(r, 7.0, 90), "min"}
	}
	if oneIn(r, 4) {
		l.initial = pick(r, -1.0, 1)
	}
	if l.settled && oneIn(r, 3) {
		l.maxDebt = 20
	}
	if oneIn(r, 6) {
		l.cost = pick(r, .5, .25, 1)
	}
	return l
}

func randomRetry(r *rand.Rand) *retrySpec {
	return &retrySpec{
		attempts: pick(r, 1, 2, 5, policy.UnlimitedAttempts), delay: pick(r, time.Millisecond, 100*time.Millisecond),
		factor: pick(r, 1.0, 2, 1.5), jitter: oneIn(r, 2), maxDelay: pick(r, 0, 0, 300*time.Millisecond),
		maxElapsed: pick(r, 0, 0, 5*time.Second, 300*time.Millisecond), maxHint: pick(r, 0, 0, time.Second), throttledWait: pick(r, 0, 0, 2*time.Second),
	}
}

func randomBreaker(r *rand.Rand) *breakerSpec {
	b := &breakerSpec{
		recovery: pick(r, 100*time.Millisecond, 2*time.Second), jobs: r.IntN(5) < 2, probes: pick(r, 0, 1, 2), successes: pick(r, 0, 1, 2, 3),
		lease: pick(r, 0, 50*time.Millisecond), again: pick(r, 0, 0, time.Second), growth: pick(r, 0, 0, 2.0),
	}
	switch r.IntN(6) {
	case 0, 1:
		b.ratio, b.samples = pick(r, .3, .6), pick(r, 3, 6)
	case 2, 3:
		b.ratio, b.samples, b.window = pick(r, .5, .6), pick(r, 2, 5), pick(r, time.Second, 5*time.Second)
	case 4:
		b.slowRatio, b.samples, b.slow = .5, pick(r, 2, 5), 100*time.Millisecond
		b.window = pick(r, 0, 5*time.Second)
	default:
		b.failures = pick(r, 1, 3)
	}
	if oneIn(r, 3) { // whichever comes first
		b.failures = 3
	}
	if oneIn(r, 4) {
		b.slowRatio, b.samples, b.slow = .5, max(b.samples, 2), 100*time.Millisecond
	}
	if b.slowRatio > 0 && oneIn(r, 2) {
		b.ratio = .5
	}
	return b
}

// outcomes are the ends of attempts, as a transcript words them; a hint may follow. The more often one stands here, the more
// often it comes: "fatal" is also what a panic comes to.
var outcomes = [...]string{
	"ok", "ok", "ok", "ok", "ok", "ok", "ok", "transient", "transient", "transient", "failed", "failed", "fatal", "fatal",
	"throttled", "throttled", "throttled", "throttled", "unbilled", "unbilled", "unusable",
}

var outcomeOf = map[string]policy.Outcome{
	"ok":        {},
	"transient": {Verdict: policy.VerdictFailure, Retry: true},
	"failed":    {Verdict: policy.VerdictFailure},
	"fatal":     {Verdict: policy.VerdictNeutral},
	"throttled": {Verdict: policy.VerdictNeutral, Retry: true, Throttled: true},
	"unbilled":  {Verdict: policy.VerdictFailure, Retry: true, Unbilled: true},
	"unusable":  {Verdict: policy.VerdictUnusable},
}
