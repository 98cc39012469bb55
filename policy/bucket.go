package policy

import (
	"math"
	"math/bits"
)

// Bucket is the running state of one [Limit]: a token bucket in exact arithmetic (S-L8), and the window of a limit that is
// sliding.
//
// What it holds is a whole number of Amounts plus a fraction kept as a numerator over the rate's span, so that refilling
// a billion times in small steps gives the same as refilling once. Products are taken in 128 bits and cannot overflow.
//
// A Bucket has one owner, which tells it the time; time that runs backwards is taken to stand still (S-L7). Don't copy one
// from which something was taken: copies share memory. Renew makes one that doesn't.
type Bucket struct {
	amount uint64 // tokens per span, as an Amount; 0 when blocked
	span   uint64 // nanoseconds
	burst  Amount
	level  Amount // at most burst; negative while in debt
	part   uint64 // of one Amount, over span: what has come in beyond level
	last   Time   // until when the refill has been credited
	open   bool   // unlimited: never says no
	floor  Amount // how low Settle may go
	since  Time   // when open was last changed; what was taken before is of another world
	void   Time   // what was taken until then is not given back
	peaks  []peak // how high the level stood, for GiveBack; falling levels, oldest first

	window *window // nil when the limit is not sliding
}

// NewBucket returns a bucket for l, which must be valid, at the instant now. It is full, or holds what l's Initial says.
func NewBucket(l Limit, now Time) Bucket {
	b := Bucket{burst: amountOf(l.Capacity()), level: l.initial(), last: now, floor: math.MinInt64 / 2, since: -1, void: -1}
	if l.MaxDebt > 0 {
		b.floor = -amountOf(l.MaxDebt)
	}
	if l.Sliding {
		b.window = &window{gone: -1}
		b.window.setRate(now, l.pace())
	}
	b.setRate(l.Rate)
	return b
}

// Renew makes b a copy of like, advanced to now. It keeps b's own memory and shares none with like, which it leaves alone.
//
// like is a bucket from which nothing was ever taken, and of which no server was observed, while its rate and burst were
// changed like those of all others. So b is as if it had been there since like was made: a key that shows up later does
// not begin with like's Initial anew.
func (b *Bucket) Renew(like *Bucket, now Time) {
	peaks, window := b.peaks, b.window.renewed(like.window)
	peaks = append(peaks[:0], like.peaks...)
	*b = *like
	b.peaks, b.window = peaks, window
	b.void = -1 // nobody has taken anything from it
	b.Advance(now)
}

func (b *Bucket) setRate(r Rate) {
	b.open, b.amount, b.span = r.kind == rateUnlimited, 0, 1
	if r.kind == ratePer {
		b.amount, b.span = uint64(amountOf(r.amount)), uint64(r.span)
	}
	if b.window != nil {
		b.window.setRate(b.last, r)
	}
}

// SetRate changes the rate, which must be valid, from now on: what has come in until now came at the old one (S-L6).
//
// A sliding limit has another cap and another window from now on. What was charged before is not forgotten, nor is more of
// it remembered: a longer window begins with what the shorter one held. Blocked leaves the window as it is. While the rate
// is Unlimited there is no cap and nothing is charged, and what was taken before that is not corrected afterwards.
func (b *Bucket) SetRate(now Time, r Rate) {
	b.Advance(now)
	span, open := b.span, b.open
	b.setRate(r)
	hi, lo := bits.Mul64(b.part, b.span) // the fraction of an Amount that has come in is kept, over the new span
	b.part, _ = bits.Div64(hi, lo, span)
	if b.open != open {
		b.since = b.last
		if b.window != nil {
			b.window.gone = b.last // at this very instant there may be some that were charged and some that were not
		}
	}
	b.forgetTakes()
}

// SetBurst changes the most that the bucket holds, in tokens; it must be valid. What is in it stays, as far as it fits: a
// larger bucket fills at the rate, and not at once (S-L6).
func (b *Bucket) SetBurst(now Time, burst float64) {
	b.Advance(now)
	b.burst = amountOf(burst)
	if b.level >= b.burst {
		b.fill()
	}
	b.forgetTakes()
}

// Observe takes the server's word for how much is left: never more than that is in the bucket from now on. What the
// server says can only lower the level (S-L6).
func (b *Bucket) Observe(now Time, remaining Amount) {
	b.Advance(now)
	if remaining < b.level {
		b.level, b.part = remaining, 0
	}
	if remaining < b.burst {
		b.forgetTakes() // or what is given back later could come on top of what the server says
	}
}

// Settle corrects the charge of a Take that was made at the instant taken: by is what it should have been beyond what it
// was, negative for a refund. It may go into debt, down to the limit's MaxDebt, and never beyond full. What was taken while
// the rate was unlimited cost nothing, and is not corrected.
//
// In the window of a sliding limit it is the charge at that instant that changes, if it still counts. MaxDebt has no say in
// that: what was charged leaves the window in any case.
func (b *Bucket) Settle(by Amount, taken Time) {
	if b.open || taken < b.since || taken == b.since && by < 0 { // at that very instant there may be some that cost nothing
		return
	}
	if b.window != nil {
		b.window.correct(b.last, by, taken)
	}
	b.forgetTakes()
	if by > 0 {
		b.level = max(b.level-by, min(b.level, b.floor))
		return
	}
	b.level -= by
	if b.level >= b.burst {
		b.fill()
	}
}

// Advance credits what has come in since the last call.
func (b *Bucket) Advance(now Time) {
	if now <= b.last {
		return
	}
	elapsed := uint64(now - b.last)
	b.last = now
	if b.window != nil {
		b.window.expire(now)
	}
	if b.open || b.level >= b.burst {
		return
	}
	hi, lo := bits.Mul64(elapsed, b.amount)
	lo, carry := bits.Add64(lo, b.part, 0)
	hi += carry
	missing := uint64(b.burst - b.level)
	if hi >= b.span { // the quotient has more than 64 bits: far more than any burst
		b.fill()
		return
	}
	whole, part := bits.Div64(hi, lo, b.span)
	if whole >= missing {
		b.fill()
		return
	}
	b.level += Amount(whole)
	b.part = part
}

func (b *Bucket) fill() { b.level, b.part = b.burst, 0 }

// Level returns what the bucket holds as of the last Advance; negative while it is in debt. Where a limit is sliding and the
// rest of its window is less, it is that.
func (b *Bucket) Level() Amount {
	if b.window == nil || b.open {
		return b.level
	}
	return b.window.rest(b.level)
}

// FullAt returns when the bucket will hold all it can, and its window nothing, if nothing is taken: from then on it cannot be
// told from one that Renew makes. Of that one's model nothing was ever taken, so it is full by then too, whatever it held at
// the start. While the rate is unlimited nobody can tell them apart.
func (b *Bucket) FullAt() Time {
	at := b.filledAt(b.level, b.burst)
	if b.window != nil {
		at = max(at, b.window.emptyAt(b.last))
	}
	return at
}

// Has reports whether cost could be taken as of the last Advance. A cost above the burst needs a full bucket (S-L4), and
// no cost at all needs nothing, not even that others have paid their debt. What would be too much for the window of a
// sliding limit can't be taken from any bucket.
func (b *Bucket) Has(cost Amount) bool {
	return cost == 0 || b.open || b.level >= min(cost, b.burst) && (b.window == nil || b.window.has(cost))
}

// Allows reports whether cost could be taken, as of the last Advance, without delaying somebody who is to take other at the
// instant at: whether other can still be taken then if cost is taken now, and nothing else until then. The instant must not
// lie before the last Advance. Nothing is taken.
func (b *Bucket) Allows(cost, other Amount, at Time) bool {
	switch {
	case !b.Has(cost):
		return false
	case b.open || other == 0:
		return true
	default:
		return b.filledAt(b.level-cost, other) <= at && (b.window == nil || b.window.freeAt(b.last, other, cost) <= at)
	}
}

// Take deducts cost, into debt if need be. The caller has asked Has in the same step.
func (b *Bucket) Take(cost Amount) {
	if b.open || cost == 0 {
		return
	}
	b.remember(cost)
	b.level -= cost
}

// ReadyAt returns the first instant at which Has(cost) is true if nothing else is taken: the last Advance when it is
// true already, and [Never] when the rate is blocked or cost is more than any window of a sliding limit may hold.
func (b *Bucket) ReadyAt(cost Amount) Time {
	if b.Has(cost) {
		return b.last
	}
	at := b.filledAt(b.level, cost)
	if b.window != nil {
		at = max(at, b.window.freeAt(b.last, cost, 0))
	}
	return at
}

// filledAt returns the first instant at which the bucket has filled enough for cost, if at the last Advance it held level
// and nothing is taken from it.
func (b *Bucket) filledAt(level, cost Amount) Time {
	need := min(cost, b.burst)
	switch {
	case b.open || level >= need:
		return b.last
	case b.amount == 0:
		return Never
	}
	// The smallest elapsed with elapsed×amount + part ≥ missing×span, rounded up to a whole nanosecond.
	missing := uint64(need - level)
	hi, lo := bits.Mul64(missing, b.span)
	lo, borrow := bits.Sub64(lo, b.part, 0)
	hi -= borrow
	lo, carry := bits.Add64(lo, b.amount-1, 0)
	hi += carry
	if hi >= b.amount {
		return Never
	}
	elapsed, _ := bits.Div64(hi, lo, b.amount)
	if elapsed > math.MaxInt64-uint64(b.last) {
		return Never
	}
	return b.last + Time(elapsed)
}
