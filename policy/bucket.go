package policy

import (
	"math"
	"math/bits"
)

// Bucket is the running state of one [Limit]: a token bucket in exact arithmetic (S-L8).
//
// What it holds is a whole number of Amounts plus a fraction kept as a numerator over the rate's span, so that refilling
// a billion times in small steps gives the same as refilling once. Products are taken in 128 bits and cannot overflow.
//
// A Bucket has one owner, which tells it the time; time that runs backwards is taken to stand still (S-L7).
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
}

// peak is a level that the bucket reached before something was taken.
type peak struct {
	at    Time
	level Amount
	part  uint64 // of one Amount, as in Bucket
}

// below reports whether p is a lower level than q.
func (p peak) below(q peak) bool { return p.level < q.level || p.level == q.level && p.part < q.part }

// maxPeaks bounds what a bucket remembers for GiveBack. Beyond it the two become one that
// differ least, on the safe side.
const maxPeaks = 16

// NewBucket returns a full bucket for l, which must be valid, at the instant now.
func NewBucket(l Limit, now Time) Bucket {
	burst := amountOf(l.Capacity())
	b := Bucket{burst: burst, level: burst, last: now, floor: math.MinInt64 / 2, void: -1}
	if l.MaxDebt > 0 {
		b.floor = -amountOf(l.MaxDebt)
	}
	b.setRate(l.Rate)
	return b
}

// Renew makes b what NewBucket returns, and keeps its memory.
func (b *Bucket) Renew(l Limit, now Time) {
	peaks := b.peaks[:0]
	*b = NewBucket(l, now)
	b.peaks = peaks
}

func (b *Bucket) setRate(r Rate) {
	b.open, b.amount, b.span = r.kind == rateUnlimited, 0, 1
	if r.kind == ratePer {
		b.amount, b.span = uint64(amountOf(r.amount)), uint64(r.span)
	}
}

// SetRate changes the rate, which must be valid, from now on: what has come in until now came at the old one (S-L6).
func (b *Bucket) SetRate(now Time, r Rate) {
	b.Advance(now)
	span, open := b.span, b.open
	b.setRate(r)
	hi, lo := bits.Mul64(b.part, b.span) // the fraction of an Amount that has come in is kept, over the new span
	b.part, _ = bits.Div64(hi, lo, span)
	if b.open != open {
		b.since = now
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
		b.forgetTakes()
	}
}

// forgetTakes makes GiveBack give nothing for what has been taken until now: what the bucket would hold without it can't be
// told any more, and too little does no harm.
func (b *Bucket) forgetTakes() { b.void, b.peaks = b.last, b.peaks[:0] }

// Settle corrects the charge of a Take that was made at the instant taken: by is what it should have been beyond what it
// was, negative for a refund. It may go into debt, down to the limit's MaxDebt, and never beyond full. What was taken while
// the rate was unlimited cost nothing, and is not corrected.
func (b *Bucket) Settle(by Amount, taken Time) {
	if b.open || taken < b.since {
		return
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

// Level returns what the bucket holds as of the last Advance; negative while it is in debt.
func (b *Bucket) Level() Amount { return b.level }

// FullAt returns when the bucket will hold all it can if nothing is taken: from then on it cannot be told from a new one.
func (b *Bucket) FullAt() Time { return b.ReadyAt(b.burst) }

// Has reports whether cost could be taken as of the last Advance. A cost above the burst needs a full bucket (S-L4), and
// no cost at all needs nothing, not even that others have paid their debt.
func (b *Bucket) Has(cost Amount) bool { return cost == 0 || b.open || b.level >= min(cost, b.burst) }

// Take deducts cost, into debt if need be. The caller has asked Has in the same step.
func (b *Bucket) Take(cost Amount) {
	if b.open || cost == 0 {
		return
	}
	b.remember()
	b.level -= cost
}

// remember notes how high the level stands. Lower levels of before say nothing that this one does not, and nor does this
// one if it is lower than another of the same instant.
func (b *Bucket) remember() {
	p := peak{at: b.last, level: b.level, part: b.part}
	n := len(b.peaks)
	for n > 0 && !p.below(b.peaks[n-1]) {
		n--
	}
	b.peaks = b.peaks[:n]
	if n > 0 && b.peaks[n-1].at == p.at {
		return
	}
	b.peaks = append(b.peaks, p)
	if n == maxPeaks {
		b.mergePeaks()
	}
}

// mergePeaks makes two neighbours into one, as high as the older and as late as the younger.
func (b *Bucket) mergePeaks() {
	least := 1
	for i := 2; i < len(b.peaks); i++ {
		if b.peaks[i-1].level-b.peaks[i].level < b.peaks[least-1].level-b.peaks[least].level {
			least = i
		}
	}
	b.peaks[least-1].at = b.peaks[least].at
	b.peaks = append(b.peaks[:least], b.peaks[least+1:]...)
}

// GiveBack undoes a Take, made at the instant taken, whose attempt never started: afterwards the bucket holds what it
// would hold had nothing been taken (S-L1). That can be less than cost: what came in while there was room for it only
// because of the Take would have been lost at a full bucket.
//
// After a correction or a change of the limit in between that cannot be told any more, and nothing is given back.
func (b *Bucket) GiveBack(cost Amount, taken Time) {
	if b.open || cost == 0 || taken <= b.void || taken < b.since {
		return
	}
	first := 0
	for first < len(b.peaks) && b.peaks[first].at <= taken {
		first++
	}
	high := peak{level: b.level, part: b.part}
	if first < len(b.peaks) {
		top := b.peaks[first] // the others are lower
		if high.below(top) {
			high = top
		}
		for i := first; i < len(b.peaks); i++ {
			b.lift(&b.peaks[i].level, &b.peaks[i].part, cost, top)
		}
		for first > 0 && !b.peaks[first].below(b.peaks[first-1]) {
			b.peaks = append(b.peaks[:first-1], b.peaks[first:]...)
			first--
		}
	}
	b.lift(&b.level, &b.part, cost, high)
}

// lift raises a level by cost, or by as much as there was room for above high.
func (b *Bucket) lift(level *Amount, part *uint64, cost Amount, high peak) {
	room := b.burst - high.level
	if cost < room {
		*level += cost
		return
	}
	*level += room
	if *part < high.part {
		*part += b.span
		*level--
	}
	*part -= high.part
}

// ReadyAt returns the first instant at which Has(cost) is true if nothing else is taken: the last Advance when it is
// true already, and [Never] when the rate is blocked.
func (b *Bucket) ReadyAt(cost Amount) Time {
	if b.Has(cost) {
		return b.last
	}
	if b.amount == 0 {
		return Never
	}
	// The smallest elapsed with elapsed×amount + part ≥ missing×span, rounded up to a whole nanosecond.
	missing := uint64(min(cost, b.burst) - b.level)
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
