package oracle

import (
	"slices"
	"time"
)

// bucket is a token bucket, exact, as the rules have it (S-L2 to S-L6). To give back what an attempt took that never ran (S-L1),
// it replays what has happened without that: so it keeps a record of all since the oldest attempt took off.
type bucket struct {
	level   fill
	base    fill     // before what is on record
	record  []change // oldest first
	flying  int      // attempts in flight that have taken something
	changed Time     // when it was last corrected or changed; what was taken until then need not be given back (S-L1)
	opened  Time     // when it last became Unlimited, or was it no more: of that instant too little may be refunded, and too much charged
	epoch   int      // counts changes to and from Unlimited: what was taken before is neither corrected nor given back
	settled bool     // corrections are allowed
	inexact bool     // the scheduler may hold less, and nobody can tell how much
	slack   Micro    // the scheduler may hold less by so much

	sliding bool
	span    time.Duration
	most    Micro
	charges []charge // that lie within the span; oldest first
	gone    Time     // what was taken until then has left the window, and a longer one does not get it back
}

// fill is what a bucket holds.
type fill struct {
	at    Time
	level wide
	rate  Rate
	burst Micro
	debt  Micro // 0: no bound
}

type changeKind uint8

const (
	taken changeKind = iota
	settledBy
	rateSet
	burstSet
	observed
)

// change is one entry of a bucket's record.
type change struct {
	at     Time
	kind   changeKind
	who    int // attempt, of taken
	amount Micro
	rate   Rate
}

// charge is what one attempt was charged in a sliding window.
type charge struct {
	at     Time
	who    int
	amount Micro
}

func newBucket(l *Limit) *bucket {
	b := &bucket{settled: l.Settled, changed: -1, opened: -1, gone: -1, sliding: l.Sliding}
	b.level = fill{level: wideOf(l.Initial), rate: l.Rate, burst: l.Burst, debt: l.MaxDebt}
	b.base = b.level
	if l.Rate.Kind == Paced {
		b.span, b.most = l.Rate.Span, l.Rate.Amount
	}
	return b
}

// perNanosecond returns what comes in each nanosecond, over the denominator.
func (r *Rate) perNanosecond() uint64 {
	if r.Kind != Paced {
		return 0
	}
	return uint64(r.Amount) * uint64(denominator/int64(r.Span))
}

func (f *fill) advance(to Time) {
	if to <= f.at {
		return
	}
	elapsed := uint64(to - f.at)
	f.at = to
	switch full := wideOf(f.burst); {
	case f.rate.Kind == Unlimited:
		f.level = full // as much as it may, at once; the scheduler need not
	case f.level.less(full):
		f.level = f.level.add(product(elapsed, f.rate.perNanosecond())).min(full)
	}
}

func (f *fill) apply(c *change) {
	f.advance(c.at)
	switch c.kind {
	case taken:
		f.level = f.level.sub(wideOf(c.amount))
	case settledBy:
		if after := f.level.sub(wideOf(c.amount)); c.amount <= 0 || f.debt == 0 {
			f.level = after.min(wideOf(f.burst))
		} else {
			f.level = after.max(f.level.min(wideOf(-f.debt).add(wide{0, denominator - 1}))) // likewise
		}
	case rateSet:
		f.rate = c.rate
	case burstSet:
		f.burst = c.amount
		f.level = f.level.min(wideOf(f.burst))
	case observed:
		f.level = f.level.min(wideOf(c.amount).add(wide{0, denominator - 1})) // a fraction of a millionth may stay
	}
}

func (b *bucket) advance(to Time) {
	b.level.advance(to)
	b.expire(to)
}

func (b *bucket) expire(to Time) {
	if b.sliding {
		b.gone = max(b.gone, to.Add(-b.span)-1)
	}
	gone := 0
	for gone < len(b.charges) && to.Sub(b.charges[gone].at) > b.span {
		gone++
	}
	if gone > 0 {
		b.charges = slices.Delete(b.charges, 0, gone)
	}
}

func (b *bucket) change(c change) {
	b.level.apply(&c)
	if c.kind != taken {
		b.changed = max(b.changed, b.level.at)
	}
	if b.flying == 0 {
		b.base, b.record = b.level, b.record[:0]
		return
	}
	b.record = append(b.record, c)
}

// charged is what lies in the window.
func (b *bucket) charged() (sum Micro) {
	for i := range b.charges {
		sum += b.charges[i].amount
	}
	return sum
}

// has reports whether cost may be taken.
func (b *bucket) has(now Time, cost Micro) bool {
	b.advance(now)
	if cost == 0 || b.level.rate.Kind == Unlimited {
		return true
	}
	if b.sliding && b.charged()+cost > b.most {
		return false
	}
	return !b.level.level.less(wideOf(min(cost, b.level.burst)))
}

// readyAt returns when the level will be enough for cost, also by the scheduler's count; the window is not looked at.
func (b *bucket) readyAt(cost Micro) Time {
	need, pace := wideOf(min(cost, b.level.burst)+b.slack), b.level.rate.perNanosecond()
	switch {
	case b.level.rate.Kind == Unlimited || cost == 0 || !b.level.level.less(need):
		return b.level.at
	case pace == 0:
		return Never
	default:
		return b.level.at + Time(need.sub(b.level.level).over(pace))
	}
}

// take charges an attempt, and returns whether it was charged: nothing is while the rate is Unlimited.
func (b *bucket) take(now Time, who int, cost Micro) bool {
	if cost == 0 || b.level.rate.Kind == Unlimited {
		return false
	}
	b.flying++
	b.change(change{at: now, kind: taken, who: who, amount: cost})
	if b.sliding {
		b.charges = append(b.charges, charge{now, who, cost})
	}
	return true
}

// land notes that an attempt which was charged is no longer in flight.
func (b *bucket) land() {
	if b.flying--; b.flying == 0 {
		b.base, b.record = b.level, b.record[:0]
	}
}

// settle corrects what an attempt was charged (S-L5).
func (b *bucket) settle(now, started Time, who int, by Micro) {
	b.advance(now)
	if b.level.debt > 0 {
		b.slack++ // a fraction of a millionth may be lost where the debt is capped
	}
	b.change(change{at: now, kind: settledBy, amount: by})
	for i := range b.charges {
		if b.charges[i].who == who && started > b.opened { // or the scheduler can't tell whether it was charged
			b.charges[i].amount += by
		}
	}
}

// giveBack undoes what an attempt took, as if it had never been there (S-L1).
func (b *bucket) giveBack(now Time, who int) {
	b.advance(now)
	level, takes := b.base, 0
	kept := b.record[:0]
	var from Time
	found := false
	for _, c := range b.record {
		if c.kind == taken && c.who == who {
			from, found = c.at, true
			continue
		}
		kept = append(kept, c)
	}
	for i := range kept {
		level.apply(&kept[i])
		if kept[i].kind == taken {
			takes++
		}
	}
	if found && from <= b.changed {
		b.inexact = true
	}
	b.record = kept
	level.advance(now)
	b.level = level
	if takes > 60 {
		b.inexact = true // of so many, a little need not be given back
	}
	b.charges = slices.DeleteFunc(b.charges, func(c charge) bool { return c.who == who })
}

func (b *bucket) setRate(now Time, r Rate) {
	b.advance(now)
	if was, is := b.level.rate.Kind == Unlimited, r.Kind == Unlimited; was != is {
		b.epoch++
		b.opened = b.level.at
		b.inexact = true // what came in meanwhile is not said
	}
	b.slack++ // a fraction of a millionth may be lost
	b.change(change{at: now, kind: rateSet, rate: r})
	if r.Kind == Paced {
		b.span, b.most = r.Span, r.Amount
		b.expire(now)
	}
}

func (b *bucket) setBurst(now Time, burst Micro) {
	b.advance(now)
	b.change(change{at: now, kind: burstSet, amount: burst})
}

func (b *bucket) observe(now Time, left Micro) {
	b.advance(now)
	b.slack++ // likewise
	b.change(change{at: now, kind: observed, amount: left})
}

// full reports whether the bucket cannot be told from one of which nothing was ever taken.
func (b *bucket) full(now Time) bool {
	b.advance(now)
	full := !b.level.level.less(wideOf(b.level.burst)) || b.level.rate.Kind == Unlimited
	return full && (!b.sliding || b.charged() == 0)
}

// exact reports whether the scheduler's level must be this one, up to the slack.
func (b *bucket) exact() bool { return !b.inexact && !b.sliding }

// see compares the level with what the scheduler says it is, and takes that over where it could not be known.
func (b *bucket) see(now Time, seen Micro) (ok bool) {
	b.advance(now)
	if b.level.rate.Kind == Unlimited {
		return true
	}
	level := b.level.level.floor()
	if b.sliding {
		return seen <= min(level, b.most-b.charged())
	}
	if seen > level || b.exact() && seen < level-b.slack {
		return false
	}
	if seen < level && b.flying == 0 {
		b.level.level = wideOf(seen).add(wide{0, denominator - 1}) // it may hold a fraction beyond
		b.base, b.record = b.level, b.record[:0]
		b.inexact, b.slack = false, 1
	}
	return true
}

// Pool is a limit that several cores take from (S-L11). Its clock is the world's.
type Pool struct {
	rule Limit
	b    *bucket
}

// NewPool returns a pool whose clock stands at zero.
func NewPool(l Limit) *Pool { return &Pool{rule: l, b: newBucket(&l)} }

// SetRate changes the pool's rate.
func (p *Pool) SetRate(now Time, r Rate) {
	p.rule.Rate = r
	p.b.setRate(now, r)
}

// SetBurst changes its burst.
func (p *Pool) SetBurst(now Time, burst Micro) {
	p.rule.Burst = burst
	p.b.setBurst(now, burst)
}

// Observe takes the server's word for what is left.
func (p *Pool) Observe(now Time, left Micro) { p.b.observe(now, left) }

// See looks whether the pool holds what it should.
func (p *Pool) See(now Time, seen Micro) *Fault {
	if !p.b.see(now, seen) {
		return &Fault{"S-L3", "a shared limit holds " + seen.String() + ", and should hold " + p.b.level.level.floor().String()}
	}
	return nil
}
