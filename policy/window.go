package policy

import (
	"math"
	"slices"
	"time"
)

// window is what a sliding [Limit] keeps besides its bucket: what was charged lately, so that in any window of the rate's
// span, both ends included, it is no more than the rate's amount (S-L3).
//
// Charges are kept in slices. Those that lie less than a 128th of the span apart may share one, and it counts until more
// than the span has passed since the last of them: for some of them too long, by less than a slice, and for none too short.
// Where charges come further apart, each has a slice of its own and the window is exact.
//
// There are never many more than 130 slices, or twice that after a change of the span; their memory is used again. A slice
// is added once and dropped once, so that the cost of forgetting does not grow with the load.
type window struct {
	most   Amount        // that may be charged in one span
	span   time.Duration // 0 until a rate that has one is known: then nothing is charged
	sum    Amount        // of the slices that count; above most after a correction upwards, or a lower rate
	slices []slice       // those from head on count; oldest first, apart from each other, and the last is not empty
	head   int           // 0 when there are none
	gone   Time          // what was taken until then may not be in the window, or not any more, and is not corrected
}

// slice is what was charged from one instant to another, both included.
type slice struct {
	first, last Time
	amount      Amount // never negative; 0 when all of it has been given back
}

const (
	slicesPerSpan = 128
	// maxCharged is where corrections end, so that sums cannot overflow: some four of the largest costs there can be.
	maxCharged Amount = math.MaxInt64 / 2
)

// grain is how long a slice is at most: its first and last charge are less than that apart. At least a nanosecond.
func (w *window) grain() time.Duration { return (w.span-1)/slicesPerSpan + 1 }

// setRate makes r the rate from now on. Blocked and Unlimited have no span, and leave everything as it is. What the
// window holds stays in it, so that a longer one begins with what the shorter remembered.
func (w *window) setRate(now Time, r Rate) {
	if r.kind != ratePer {
		return
	}
	w.most, w.span = amountOf(r.amount), r.span
	w.expire(now)
	// The slices of a shorter span are many for a longer one: they become as few as if they had been made for it.
	joined := w.slices[:0]
	for _, s := range w.slices[w.head:] {
		if n := len(joined) - 1; n >= 0 && s.last.Sub(joined[n].first) < w.grain() {
			joined[n].last = s.last
			joined[n].amount += s.amount
			continue
		}
		joined = append(joined, s)
	}
	w.slices, w.head = joined, 0
}

// expire drops the slices that lie further back than the span.
func (w *window) expire(now Time) {
	for w.head < len(w.slices) && now.Sub(w.slices[w.head].last) > w.span {
		s := w.slices[w.head]
		w.sum -= s.amount
		w.gone = max(w.gone, s.last)
		w.head++
	}
	w.rewind()
}

// rewind starts at the beginning of the memory again when the window is empty.
func (w *window) rewind() {
	if w.head == len(w.slices) {
		w.slices, w.head = w.slices[:0], 0
	}
}

// has reports whether cost may be charged besides what is.
func (w *window) has(cost Amount) bool { return w.span == 0 || cost <= w.most-w.sum }

// rest returns how much of level may still be charged; negative when too much is.
func (w *window) rest(level Amount) Amount {
	if w.span == 0 {
		return level
	}
	return min(level, w.most-w.sum)
}

// charge adds cost, which is not zero and for which there is room, at the instant now.
func (w *window) charge(now Time, cost Amount) {
	if w.span == 0 {
		return
	}
	w.sum += cost
	if w.joins(now) {
		n := len(w.slices) - 1
		w.slices[n].last = now
		w.slices[n].amount += cost
		return
	}
	// The memory is moved only when more than a quarter of it comes free: a few slices on average for each that is added.
	if len(w.slices) == cap(w.slices) && w.head > len(w.slices)/4 {
		w.slices, w.head = slices.Delete(w.slices, 0, w.head), 0
	}
	w.slices = append(w.slices, slice{first: now, last: now, amount: cost})
}

// joins reports whether what is charged now goes into the last slice, and not into one of its own.
func (w *window) joins(now Time) bool {
	if len(w.slices) == 0 {
		return false
	}
	s := w.slices[len(w.slices)-1]
	return now == s.last || now.Sub(s.first) < w.grain()
}

// correct changes by so much what was charged at the instant taken, and never to less than nothing. What does not count
// any more is left alone.
func (w *window) correct(now Time, by Amount, taken Time) {
	taken = min(taken, now)
	if taken <= w.gone || w.span == 0 {
		return
	}
	by = min(by, maxCharged-w.sum)
	i := len(w.slices) - 1
	for i >= w.head && w.slices[i].first > taken {
		i--
	}
	if i < w.head || w.slices[i].last < taken { // no slice holds it: it cost nothing until now
		if by <= 0 || now.Sub(taken) > w.span {
			return
		}
		i = w.sliceFor(i, taken)
	}
	by = max(by, -w.slices[i].amount)
	w.slices[i].amount += by
	w.sum += by
	for len(w.slices) > w.head && w.slices[len(w.slices)-1].amount == 0 {
		w.slices = w.slices[:len(w.slices)-1] // or the window would count as empty later than it is
	}
	w.rewind()
}

// sliceFor makes the slice before the instant t, which has the index i, or the one after it hold t. Where both are too far
// away it makes one in between. It returns the index of the slice that holds t.
func (w *window) sliceFor(i int, t Time) int {
	next := i + 1
	switch {
	case i >= w.head && t.Sub(w.slices[i].first) < w.grain():
		w.slices[i].last = t
		return i
	case next < len(w.slices) && w.slices[next].last.Sub(t) < w.grain():
		w.slices[next].first = t
		return next
	default:
		w.slices = slices.Insert(w.slices, next, slice{first: t, last: t})
		return next
	}
}

// freeAt returns the first instant at which cost could be charged if nothing else is, now or later, than extra now: now if
// it could at once, and [Never] if it is more than any window may hold. There must be room for extra, unless it is zero.
func (w *window) freeAt(now Time, cost, extra Amount) Time {
	if w.span == 0 {
		return now
	}
	if cost > w.most {
		return Never
	}
	over := w.sum + extra + cost - w.most
	if over <= 0 {
		return now
	}
	counted := w.slices[w.head:]
	if extra > 0 && w.joins(now) {
		counted = counted[:len(counted)-1] // it will count for as long as extra
	}
	for _, s := range counted {
		if over -= s.amount; over <= 0 {
			return w.expiry(s.last)
		}
	}
	return w.expiry(now)
}

// emptyAt returns when nothing will be charged any more if nothing is added: now if nothing is.
func (w *window) emptyAt(now Time) Time {
	if len(w.slices) == 0 {
		return now
	}
	return w.expiry(w.slices[len(w.slices)-1].last)
}

// expiry is the first instant at which a charge made at the instant last does not count any more.
func (w *window) expiry(last Time) Time { return last.Add(w.span).Add(1) }

// renewed returns a copy of like, which may be nil, that shares nothing with it. It is made of w unless that is nil.
func (w *window) renewed(like *window) *window {
	if like == nil {
		return nil
	}
	if w == nil {
		w = new(window)
	}
	own := w.slices
	own = append(own[:0], like.slices[like.head:]...)
	*w = *like
	w.slices, w.head = own, 0
	w.gone = -1 // nobody has taken anything from it
	return w
}
