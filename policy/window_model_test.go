package policy_test

import (
	"cmp"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/policy"
)

// exactLog is the oracle: every charge with its instant, in the order in which they were made, without a thought for memory.
type exactLog struct {
	most    policy.Amount
	span    time.Duration
	charges []*logged
}

type logged struct {
	at     policy.Time
	amount policy.Amount // as corrected
}

func (o *exactLog) add(when policy.Time, amount policy.Amount) *logged {
	c := &logged{when, amount}
	o.charges = append(o.charges, c)
	return c
}

// within is what was charged from one instant to another, both included.
func (o *exactLog) within(from, to policy.Time) policy.Amount {
	var sum policy.Amount
	first, _ := slices.BinarySearchFunc(o.charges, from, func(c *logged, from policy.Time) int { return cmp.Compare(c.at, from) })
	for _, c := range o.charges[first:] {
		if c.at > to {
			break
		}
		sum += c.amount
	}
	return sum
}

func (o *exactLog) charged(now policy.Time) policy.Amount { return o.within(now-at(o.span), now) }

// readyAt is the first instant at which cost would not make too much, if nothing else is charged.
func (o *exactLog) readyAt(now policy.Time, cost policy.Amount) policy.Time {
	switch {
	case cost == 0:
		return now
	case cost > o.most:
		return policy.Never
	}
	left := o.charged(now)
	if left+cost <= o.most {
		return now
	}
	for _, c := range o.charges {
		if now.Sub(c.at) > o.span {
			continue
		}
		if left -= c.amount; left+cost <= o.most {
			return c.at.Add(o.span).Add(1)
		}
	}
	return policy.Never
}

// worst is the most that was charged in any window.
func (o *exactLog) worst() policy.Amount {
	var most, sum policy.Amount
	first := 0
	for _, c := range o.charges {
		sum += c.amount
		for ; c.at.Sub(o.charges[first].at) > o.span; first++ {
			sum -= o.charges[first].amount
		}
		most = max(most, sum)
	}
	return most
}

// sliceOf is how long a slice of a window is, rounded up.
func sliceOf(span time.Duration) policy.Time { return at((span + 127) / 128) }

// walk is a random story of one sliding limit, told to a bucket and an oracle.
type walk struct {
	t    *testing.T
	seed uint64
	rng  *rand.Rand
	b    *policy.Bucket
	log  *exactLog
	now  policy.Time
	held []*logged // takes that may still be given back or corrected
}

func newWalk(t *testing.T, seed, stream uint64, burst float64) *walk {
	t.Helper()
	w := &walk{t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, stream))}
	amount := 1 + w.rng.Int64N(30)
	span := []time.Duration{time.Second, time.Minute, 7 * time.Second, 1001 * ms, 1000, 300, 128, 127, 5, 1}[w.rng.IntN(10)]
	l := policy.Limit{Name: "tokens", Rate: policy.Per(float64(amount), span), Burst: burst, Sliding: true}
	if burst == 0 {
		l.Burst = float64(amount)
	}
	w.b = slidingBucket(t, l)
	w.log = &exactLog{most: policy.Amount(amount) * token, span: span}
	return w
}

func (w *walk) cost() policy.Amount {
	switch w.rng.IntN(8) {
	case 0:
		return w.log.most
	case 1:
		return 0
	case 2:
		return w.log.most + 1
	case 3, 4:
		return 1 + policy.Amount(w.rng.Int64N(int64(w.log.most)))
	default:
		return 1 + policy.Amount(w.rng.Int64N(int64(2*token)))
	}
}

// pass lets some time go by: about a slice, a part of the span, until something fits, or a nanosecond less.
func (w *walk) pass() {
	switch w.rng.IntN(5) {
	case 0:
		w.now = w.now.Add(time.Duration(w.rng.Int64N(int64(w.log.span)/64 + 2)))
	case 1:
		w.now = w.now.Add(time.Duration(w.rng.Int64N(int64(w.log.span)/4 + 2)))
	case 2:
		w.now = w.now.Add(time.Duration(exponential(w.rng, float64(3*w.log.span+2))))
	default:
		if ready := w.b.ReadyAt(w.cost()); ready < policy.Never {
			w.now = max(w.now, ready-policy.Time(w.rng.IntN(2)))
		}
	}
	w.b.Advance(w.now)
}

// take takes what there is room for, which must leave the window within its cap.
func (w *walk) take() *logged {
	cost := w.cost()
	if !w.b.Has(cost) {
		return nil
	}
	if charged := w.log.charged(w.now); cost > 0 && charged+cost > w.log.most {
		w.t.Fatalf("seed %d at %d: %d on top of %d", w.seed, w.now, cost, charged)
	}
	w.b.Take(cost)
	c := w.log.add(w.now, cost)
	w.held = append(w.held, c)
	return c
}

// letGo returns one of the takes that are held, which is held no longer.
func (w *walk) letGo() *logged {
	if len(w.held) == 0 {
		return &logged{at: w.now}
	}
	i := w.rng.IntN(len(w.held))
	if w.rng.IntN(2) == 0 {
		i = len(w.held) - 1
	}
	c := w.held[i]
	w.held = slices.Delete(w.held, i, i+1)
	return c
}

// check fails unless the bucket says for each cost that it is ready when the oracles do, or at most a slice later. bucket
// says when the bucket alone would be ready.
func (w *walk) check(step int, bucket func(policy.Amount) policy.Time) {
	w.t.Helper()
	if err := w.b.WindowFault(); err != nil {
		w.t.Fatalf("seed %d step %d: %v", w.seed, step, err)
	}
	for _, cost := range []policy.Amount{1, w.cost(), w.cost(), w.log.most} {
		want := max(w.log.readyAt(w.now, cost), bucket(cost))
		got := w.b.ReadyAt(cost)
		if got < want || got > want.Add(time.Duration(sliceOf(w.log.span))) {
			w.t.Fatalf("seed %d step %d at %d: ReadyAt(%d) = %d, want %d", w.seed, step, w.now, cost, got, want)
		}
		if has := w.b.Has(cost); has != (got == w.now) {
			w.t.Fatalf("seed %d step %d at %d: Has(%d) = %v, and it is ready at %d", w.seed, step, w.now, cost, has, got)
		}
		if got == policy.Never || got == w.now {
			continue
		}
		before := w.b.Clone()
		before.Advance(got - 1)
		if before.Has(cost) || before.ReadyAt(cost) != got {
			w.t.Fatalf("seed %d step %d: ready for %d before %d", w.seed, step, cost, got)
		}
		before.Advance(got)
		if !before.Has(cost) {
			w.t.Fatalf("seed %d step %d: not ready for %d at %d", w.seed, step, cost, got)
		}
	}
}

// S-L3, S-L1, S-L5: after any sequence of calls the window stands where the list of all charges does, or up to a slice on
// the safe side of it, and no window ever holds more than the cap: neither when something was admitted nor, since
// corrections here are downward, in the end.
func TestSlidingAgreesWithTheListOfCharges(t *testing.T) {
	for seed := range uint64(150) {
		w := newWalk(t, seed, 21, 1e6) // the bucket never binds
		unbound := func(policy.Amount) policy.Time { return w.now }
		for step := range 150 {
			switch w.rng.IntN(8) {
			case 0, 1:
				w.pass()
			case 2:
				c := w.letGo()
				w.b.GiveBack(c.amount, c.at)
				c.amount = 0
			case 3:
				c := w.letGo()
				by := -policy.Amount(w.rng.Int64N(int64(c.amount) + 1))
				w.b.Settle(by, c.at)
				c.amount += by
			default:
				w.take()
			}
			w.check(step, unbound)
		}
		if worst := w.log.worst(); worst > w.log.most {
			t.Fatalf("seed %d: %v in one window, and the cap is %v", seed, worst, w.log.most)
		}
	}
}

// S-L3, S-L5: with corrections upwards, what was charged at admission still never exceeds the cap; what does is only the
// differences.
func TestSlidingExceedsOnlyByDifferences(t *testing.T) {
	beyond := 0
	for seed := range uint64(150) {
		w := newWalk(t, seed, 22, 1e6)
		unbound := func(policy.Amount) policy.Time { return w.now }
		admitted := &exactLog{most: w.log.most, span: w.log.span}    // as charged at admission
		differences := &exactLog{most: w.log.most, span: w.log.span} // how far estimates were too low
		extra := map[*logged]*logged{}
		for step := range 150 {
			switch w.rng.IntN(8) {
			case 0, 1, 2:
				w.pass()
			case 3:
				c := w.letGo()
				by := policy.Amount(w.rng.Int64N(int64(w.log.most)))
				if extra[c] == nil {
					continue // nothing was held
				}
				w.b.Settle(by, c.at)
				c.amount += by
				extra[c].amount += by
			default:
				if c := w.take(); c != nil {
					admitted.add(w.now, c.amount)
					extra[c] = differences.add(w.now, 0)
				}
			}
			w.check(step, unbound)
		}
		require.LessOrEqual(t, admitted.worst(), admitted.most, "seed %d", seed)
		if w.log.worst() > w.log.most {
			beyond++
		}
		for _, c := range w.log.charges { // every window that holds the most it can ends with a charge
			from := c.at - at(w.log.span)
			require.LessOrEqual(t, w.log.within(from, c.at), w.log.most+differences.within(from, c.at), "seed %d", seed)
		}
	}
	require.Greater(t, beyond, 75, "too few stories in which anything exceeds the cap")
}

// S-L2, S-L3, S-L8: bucket and window together: the later of the two decides. The bucket is judged in rational numbers.
func TestSlidingAgreesWithBoth(t *testing.T) {
	for seed := range uint64(100) {
		burst := policy.Amount(1+seed%20) * token
		w := newWalk(t, seed, 23, burst.Tokens())
		o := &exactBucket{perNano: big.NewRat(int64(w.log.most), int64(w.log.span)), burst: ratOf(burst), level: ratOf(burst)}
		for step := range 100 {
			switch w.rng.IntN(6) {
			case 0, 1:
				w.pass()
				o.advance(w.now)
			case 2:
				c := w.letGo()
				by := policy.Amount(w.rng.Int64N(int64(3*token))) - min(c.amount, 2*token)
				if w.now.Sub(c.at) > w.log.span {
					by = min(by, 0)
				}
				w.b.Settle(by, c.at)
				o.add(ratOf(-by))
				if c.amount += by; !slices.Contains(w.log.charges, c) {
					w.log.add(c.at, c.amount) // nothing was held: as if what cost nothing had been taken just now
				}
			default:
				if c := w.take(); c != nil {
					o.take(c.amount)
				}
			}
			w.check(step, o.readyAt)
		}
	}
}

// S-L6, S-L3: the rate changes while charges are in the window. Nothing that a window of the time would have remembered is
// ever forgotten; and what is forgotten never comes back, so that the bucket is ready when a list of all charges is, or
// a slice of the longest window later.
func TestSlidingSetRateKeepsCharges(t *testing.T) {
	spans := []time.Duration{time.Second, 1300 * ms, 2 * time.Second, 10 * time.Second, time.Minute, 100 * ms}
	for seed := range uint64(100) {
		w := newWalk(t, seed, 25, 1e6)
		all := &exactLog{most: w.log.most, span: w.log.span} // w.log forgets what leaves its window
		longest := sliceOf(w.log.span)
		forget := func() {
			w.log.charges = slices.DeleteFunc(w.log.charges, func(c *logged) bool { return w.now.Sub(c.at) > w.log.span })
			w.held = slices.DeleteFunc(w.held, func(c *logged) bool { return !slices.Contains(w.log.charges, c) })
		}
		for step := range 200 {
			switch w.rng.IntN(12) {
			case 0, 1, 2:
				w.pass()
			case 3:
				c := w.letGo()
				w.b.GiveBack(c.amount, c.at)
				c.amount = 0
			case 4:
				amount, span := 1+w.rng.Int64N(30), spans[w.rng.IntN(len(spans))]
				forget()
				w.b.SetRate(w.now, policy.Per(float64(amount), span))
				w.log.most, w.log.span = policy.Amount(amount)*token, span
				all.most, all.span = w.log.most, w.log.span
				longest = max(longest, sliceOf(span))
			default:
				if c := w.take(); c != nil {
					all.charges = append(all.charges, c)
				}
			}
			forget()
			if err := w.b.WindowFault(); err != nil {
				t.Fatalf("seed %d step %d: %v", seed, step, err)
			}
			cost := w.cost()
			soonest, latest := w.log.readyAt(w.now, cost), all.readyAt(w.now, cost).Add(time.Duration(longest))
			if got := w.b.ReadyAt(cost); got < soonest || got > latest {
				t.Fatalf("seed %d step %d at %d: ReadyAt(%d) = %d, want %d to %d", seed, step, w.now, cost, got, soonest, latest)
			}
		}
	}
}

// S-L3: with a burst of the rate's whole amount the window is all that binds: the bucket never holds less than may still be
// charged. Corrections downwards and takes that are undone at once don't change that.
func TestSlidingBurstOfTheWholeAmountNeverBinds(t *testing.T) {
	for seed := range uint64(150) {
		w := newWalk(t, seed, 26, 0)
		corrected := policy.Time(-1)
		for step := range 200 {
			switch w.rng.IntN(8) {
			case 0, 1:
				w.pass()
			case 2:
				c := w.letGo()
				by := -policy.Amount(w.rng.Int64N(int64(c.amount) + 1))
				w.b.Settle(by, c.at)
				c.amount += by
				corrected = w.now
			case 3: // after a correction at this very instant the bucket gives nothing back
				if cost := w.cost(); w.b.Has(cost) && w.now > corrected {
					w.b.Take(cost)
					w.b.GiveBack(cost, w.now)
				}
			default:
				w.take()
			}
			if rest := w.log.most - w.b.Charged(); w.b.Level() != rest {
				t.Fatalf("seed %d step %d: %v may be charged, and the bucket holds %v", seed, step, rest, w.b.Level())
			}
		}
	}
}
