package fakellm

import (
	"math/rand/v2"
	"time"
)

// desk decides what becomes of each request. It is a pure machine: told the time and the request, it touches no clock,
// network or goroutine, so the same calls give the same verdicts. The calls for one request are arrive, then decide, and
// for an admitted one, later, finish. Not safe for concurrent use; times must never go back.
type desk struct {
	cfg      Config // immutable, defaults filled in
	bucket   bucket
	gates    []*gate
	speed    float64 // of the bucket and the gates, as it is set
	throttle share
	fails    schedule
	faults   faultPlan
	accounts accounts
	slow     share
	latency  *rand.Rand
	book     book
}

// demand is a request of which everything is known.
type demand struct {
	fault outcome // completed; or why it is not well formed (rejected, unauthorized), and then nothing else is looked at
	key   promptKey
	model string
	text  string // the prompt
	who   string // the caller's key
	usage usage  // what the answer will be billed
}

// verdict is a decision about one request.
type verdict struct {
	outcome    outcome       // completed is a promise: abandoned if the client goes while it waits
	fault      Fault         // of a faulted one
	wait       time.Duration // before the outcome is delivered
	retryAfter time.Duration // of a 429; negative if the request is more than a limit ever has
	limits     limits        // of the bucket, at the decision
	levels     []level       // of all limits that are told of, likewise
	asks, has  uint64        // what is asked of the limit that never has so much, and what that has
	prompt     *prompt       // nil unless the request is well formed; guarded as the desk is
}

// newDesk takes a valid config with its defaults filled in, and the zero of its time.
func newDesk(cfg Config, epoch time.Time) *desk {
	d := &desk{
		cfg:      cfg,
		bucket:   newBucket(cfg.Rate, cfg.Burst),
		speed:    1,
		throttle: newShare(cfg.Throttle, stream(cfg.Seed, streamThrottle)),
		fails:    newSchedule(cfg.Fail, cfg.Seed),
		faults:   newFaultPlan(cfg),
		accounts: newAccounts(cfg.Accounts),
		slow:     newShare(cfg.Slow, stream(cfg.Seed, streamSlow)),
		latency:  stream(cfg.Seed, streamLatency),
		book:     newBook(),
	}
	for _, l := range cfg.Limits {
		d.gates = append(d.gates, newGate(l, epoch))
	}
	return d
}

// arrive counts a request and returns its number, from 1.
func (d *desk) arrive(now time.Duration) int {
	d.book.arrive(now)
	return d.book.received
}

// decide judges a request. Verdicts other than those of admitted requests (completed, failed…, faulted) are settled here.
func (d *desk) decide(now time.Duration, r demand) verdict {
	d.bucket.tell(now)
	phase := phaseAt(d.cfg.Phases, now-d.book.first)
	d.setSpeed(now, phase.Speed)
	v := verdict{outcome: r.fault}
	if r.fault == completed {
		v.prompt = d.book.meet(r.key)
	}
	meters := d.metersOf(now, r.who)
	switch {
	case phase.Down, d.out(now):
		v.outcome = outage
		d.book.refuseInOutage(now)
	case r.fault != completed:
		d.book.settle(r.fault)
	case d.full(meters, r, &v):
		v.outcome = throttledRate
		v.prompt.throttled++
		d.book.settle(throttledRate)
	case d.throttle.next():
		v.outcome, v.retryAfter = throttledArbitrary, d.cfg.RetryAfter
		v.prompt.throttled++
		d.book.settle(throttledArbitrary)
	default:
		d.bucket.take()
		for i, m := range meters {
			m.spend(d.gates[i].cfg.amount(r.usage))
		}
		d.book.admit(now)
		d.fate(phase, r, &v)
		v.wait = d.pace()
	}
	v.limits = d.bucket.limits()
	v.levels = d.levels(meters)
	return v
}

// fate decides how an admitted request ends, and has it paid for if that is billed.
func (d *desk) fate(phase Phase, r demand, v *verdict) {
	if d.accounts.broke(r.who) {
		v.outcome, v.fault = faulted, NoQuota
		return
	}
	d.chance(phase, r, v)
	if v.outcome == completed || v.outcome == faulted && natures[v.fault].billed {
		d.accounts.pay(r.who)
	}
}

// chance decides how an admitted request ends that can be paid for: by the phase, by a rule, or by one of the schedules.
func (d *desk) chance(phase Phase, r demand, v *verdict) {
	fault, faulty := phase.Fault, phase.Fault != ""
	if !faulty {
		fault, faulty = d.faults.ruled(v.prompt, r.model, r.text)
	}
	if !faulty {
		if v.outcome = d.fails.next(v.prompt); v.outcome != completed {
			return
		}
		fault, faulty = d.faults.next(v.prompt)
	}
	if faulty {
		v.outcome, v.fault = faulted, fault
		v.retryAfter = d.cfg.RetryAfter
	}
}

// metersOf returns the meters of a caller, in the order of the gates.
func (d *desk) metersOf(now time.Duration, who string) []meter {
	meters := make([]meter, len(d.gates))
	for i, g := range d.gates {
		meters[i] = g.of(who, now)
	}
	return meters
}

// full reports whether some limit has no room, and says in v how long until all have.
func (d *desk) full(meters []meter, r demand, v *verdict) bool {
	v.retryAfter = d.bucket.wait()
	for i, m := range meters {
		amount := d.gates[i].cfg.amount(r.usage)
		wait := m.room(amount)
		if wait < 0 {
			v.retryAfter, v.asks, v.has = wait, amount, m.limits().limit
			return true
		}
		v.retryAfter = max(v.retryAfter, wait)
	}
	if most := d.cfg.Concurrent; v.retryAfter == 0 && most > 0 && d.book.working >= most {
		v.retryAfter = d.cfg.RetryAfter
	}
	return v.retryAfter > 0
}

// levels is what the limits have left, save for the hidden ones.
func (d *desk) levels(meters []meter) []level {
	levels := make([]level, 0, len(meters)+1)
	if l := d.bucket.limits(); l.known {
		perMinute := d.bucket.rate * 60 / nano
		levels = append(levels, level{limits: l, max: perMinute, per: time.Minute})
	}
	for i, m := range meters {
		if g := d.gates[i]; !g.cfg.Hidden {
			levels = append(levels, g.level(m))
		}
	}
	return levels
}

// setSpeed changes the rates as of now.
func (d *desk) setSpeed(now time.Duration, factor float64) {
	if factor == 0 {
		factor = 1
	}
	if factor == d.speed {
		return
	}
	d.speed = factor
	if d.cfg.Rate != 0 {
		d.bucket.rate = newBucket(min(max(d.cfg.Rate*factor, minRate), maxRate), d.cfg.Burst).rate
	}
	for _, g := range d.gates {
		g.speed(now, factor)
	}
}

// finish settles an admitted request, now that its wait is over. gone says that the client did not stay for the answer,
// which is billed nevertheless; a failure stays the failure it was.
func (d *desk) finish(v verdict, u usage, gone bool) {
	d.book.working--
	switch {
	case v.outcome == faulted:
		d.book.fault(v.fault, v.prompt, u)
	case v.outcome != completed:
		d.book.settle(v.outcome)
	case gone:
		d.book.bill(abandoned, v.prompt, u)
	default:
		d.book.bill(completed, v.prompt, u)
	}
}

// out reports whether now lies in the outage.
func (d *desk) out(now time.Duration) bool {
	since := now - d.book.first - d.cfg.OutageAt
	return since >= 0 && since < d.cfg.OutageFor
}

// pace draws how long the next admitted request takes.
func (d *desk) pace() time.Duration {
	low, high := d.cfg.Latency.Min, d.cfg.Latency.Max
	wait := low
	if high > low {
		wait += time.Duration(d.latency.Int64N(int64(high - low))) // high itself is one nanosecond away
	}
	if d.slow.next() {
		wait += d.cfg.SlowLatency
	}
	return wait
}
