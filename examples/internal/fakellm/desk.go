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
	throttle share
	fails    schedule
	slow     share
	latency  *rand.Rand
	book     book
}

// verdict is a decision about one request.
type verdict struct {
	outcome    outcome       // completed is a promise: abandoned if the client goes while it waits
	wait       time.Duration // before the outcome is delivered
	retryAfter time.Duration // of a 429
	limits     limits        // at the decision
	prompt     *prompt       // nil unless the request is well formed; guarded as the desk is
}

// newDesk takes a valid config with its defaults filled in.
func newDesk(cfg Config) *desk {
	return &desk{
		cfg:      cfg,
		bucket:   newBucket(cfg.Rate, cfg.Burst),
		throttle: newShare(cfg.Throttle, stream(cfg.Seed, streamThrottle)),
		fails:    newSchedule(cfg.Fail, cfg.Seed),
		slow:     newShare(cfg.Slow, stream(cfg.Seed, streamSlow)),
		latency:  stream(cfg.Seed, streamLatency),
		book:     newBook(),
	}
}

// arrive counts a request and returns its number, from 1.
func (d *desk) arrive(now time.Duration) int {
	d.book.arrive(now)
	return d.book.received
}

// decide judges a request of which everything is known. A fault other than completed (rejected, unauthorized) says that
// it is not well formed, and then key is not looked at. Verdicts other than those of admitted requests (completed,
// failed…) are settled here.
func (d *desk) decide(now time.Duration, key promptKey, fault outcome) verdict {
	d.bucket.tell(now)
	v := verdict{outcome: fault}
	if fault == completed {
		v.prompt = d.book.meet(key)
	}
	switch {
	case d.out(now):
		v.outcome = outage
		d.book.refuseInOutage(now)
	case fault != completed:
		d.book.settle(fault)
	case d.bucket.wait() > 0:
		v.outcome, v.retryAfter = throttledRate, d.bucket.wait()
		d.book.settle(throttledRate)
	case d.throttle.next():
		v.outcome, v.retryAfter = throttledArbitrary, d.cfg.RetryAfter
		d.book.settle(throttledArbitrary)
	default:
		d.bucket.take()
		d.book.admit(now)
		v.outcome, v.wait = d.fails.next(v.prompt), d.pace()
	}
	v.limits = d.bucket.limits()
	return v
}

// finish settles an admitted request, now that its wait is over. gone says that the client did not stay for the answer,
// which is billed nevertheless; a failure stays the failure it was.
func (d *desk) finish(v verdict, u usage, gone bool) {
	switch {
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
