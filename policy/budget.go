package policy

import (
	"cmp"
	"errors"
	"time"
)

// Defaults of the fields of a [Budget] that is on.
const (
	DefaultMinRetries   = 10 // in a window
	DefaultBudgetWindow = 10 * time.Second
)

// Budget bounds the share of retries in what a key's backend is sent: one that fails everything must not get several times
// its load because of that (S-R11). The zero Budget is off.
//
// The retries scheduled within Window are at most Ratio for each attempt started within it, or MinRetries where that is
// more. A retry is charged when it is scheduled (S-R6), and the charge stands if it never starts. When it does start, it is an
// attempt like any other: where all attempts fail, the backend gets 1/(1-Ratio) times the jobs' first ones, which is 1.25
// times for a Ratio of 0.2. With a Ratio of 1 each retry pays for the next, and only how many are due at once is bounded.
//
// That retries count among the attempts is the per-client budget (of 10 %) in the book "Site Reliability Engineering",
// chapter "Handling Overload". That both are forgotten by age is Finagle's RetryBudget, whose minRetriesPerSec comes on top of
// its percentCanRetry. Here the larger of the two holds, as in Envoy's retry_budget, whose budget_percent and
// min_retry_concurrency are of what is in flight.
type Budget struct {
	// Ratio is how many retries may be scheduled for each attempt; in (0, 1]. Zero turns the budget off.
	Ratio float64
	// MinRetries is how many retries a window may have, however few attempts it has seen. Defaults to 10.
	MinRetries int
	// Window is how far back attempts and retries are recent. Kept in ten slices, it may last one
	// slice longer. Defaults to 10 s.
	Window time.Duration
}

// Off reports whether b bounds nothing.
func (b Budget) Off() bool { return b.Ratio == 0 }

// Validate returns nil, or one [*FieldError] for each field that makes no sense, joined.
func (b Budget) Validate() error {
	var faults []error
	fault := func(bad bool, field string, value any, allowed string) {
		if bad {
			faults = append(faults, &FieldError{Field: "Budget." + field, Value: value, Allowed: allowed})
		}
	}
	fault(!(b.Ratio >= 0 && b.Ratio <= 1), "Ratio", b.Ratio, "a share above 0 and up to 1, or 0 for off")
	fault(b.Off() && b != Budget{}, "Ratio", b.Ratio, "set, because other fields of Budget are: zero turns the budget off")
	fault(b.MinRetries < 0 || b.MinRetries > maxCount, "MinRetries", b.MinRetries, "positive and at most a million, or 0 for the default")
	fault(b.Window < 0, "Window", b.Window, "positive, or 0 for the default")
	return errors.Join(faults...)
}

// Spending is the running state of one key's [Budget]: how many attempts and retries are recent. The zero Spending is that
// of a budget that is off.
//
// Both are counted in slices of a tenth of the window, rounded up to a nanosecond, and are forgotten together, a slice at a
// time: not before they are older than the window, and at most one slice later. So what is granted within any one window
// is never more than the budget has for the attempts of that window and the slice before.
//
// A Spending has one owner, which tells it the time; time that runs backwards is taken to stand still (S-L7). It takes no
// memory of its own before the first attempt or retry, then some 200 bytes, which a copy would share: don't copy one in use.
type Spending struct {
	ratio  float64 // 0: off
	floor  int
	slice  time.Duration // length of a slice
	recent *recentTries  // nil until there is something to remember
}

// windowSlices is how many slices make a window. One more is remembered: the present one has only begun.
const windowSlices = 10

// recentTries is what a budget remembers.
type recentTries struct {
	slices [windowSlices + 1]tries // the one with number n at n%len(slices)
	total  tries                   // of all slices
	head   int64                   // number of the present slice: the latest that any call fell into
	noted  int64                   // number of the slice that was added to last
}

// tries is a number of attempts and of retries.
type tries struct {
	attempts, retries int
}

// NewSpending returns the state of a key of which nothing is recent, for b, which must be valid.
func NewSpending(b Budget) Spending {
	if b.Off() {
		return Spending{}
	}
	return Spending{
		ratio: b.Ratio,
		floor: cmp.Or(b.MinRetries, DefaultMinRetries),
		slice: (cmp.Or(b.Window, DefaultBudgetWindow)-1)/windowSlices + 1,
	}
}

// Renew makes s what NewSpending returns, and keeps its memory.
func (s *Spending) Renew(b Budget) {
	recent := s.recent
	*s = NewSpending(b)
	if recent != nil {
		*recent = recentTries{}
		s.recent = recent
	}
}

// Attempt notes that an attempt has started, be it a job's first or a retry that was granted before.
func (s *Spending) Attempt(now Time) {
	if s.ratio > 0 {
		s.advance(now)
		s.recent.note(tries{attempts: 1})
	}
}

// Return takes back an attempt that was noted at the instant started: its function was never called.
func (s *Spending) Return(now, started Time) {
	if s.ratio == 0 {
		return
	}
	s.advance(now)
	r, n := s.recent, int64(started)/int64(s.slice)
	if n <= r.head-int64(len(r.slices)) || r.at(n).attempts == 0 {
		return // it is forgotten
	}
	r.at(n).attempts--
	r.total.attempts--
	for r.noted > max(0, r.head-int64(len(r.slices))) && *r.at(r.noted) == (tries{}) {
		r.noted-- // which may be as if it had never been
	}
}

// Retry charges one retry, if the budget has it, and reports whether it has. Nothing is charged if it has not.
func (s *Spending) Retry(now Time) bool {
	if s.ratio == 0 {
		return true
	}
	s.advance(now)
	if !s.affords(s.recent.total) {
		return false
	}
	s.recent.note(tries{retries: 1})
	return true
}

// affords reports whether the budget has one more retry than these. The share is not rounded, and it is compared as a
// quotient: 29 of 100 are the very number that is written 0.29, while 0.29 × 100 is a little less than 29. Without
// attempts the quotient is infinite.
func (s *Spending) affords(t tries) bool {
	n := t.retries + 1
	return n <= s.floor || float64(n)/float64(t.attempts) <= s.ratio
}

// FreshAt returns from when on s cannot be told from a new one, if nothing is asked of it: now if it can't be already.
func (s *Spending) FreshAt(now Time) Time {
	if s.ratio == 0 || s.recent == nil {
		return now
	}
	s.advance(now)
	last := s.recent.noted
	switch {
	case s.recent.total == tries{}:
		return now
	case last > int64(Never)/int64(s.slice)-windowSlices-1: // or the product would overflow
		return Never
	default:
		return Time(last+windowSlices+1) * Time(s.slice)
	}
}

// advance forgets what has left the window.
func (s *Spending) advance(now Time) {
	if s.recent == nil {
		s.recent = new(recentTries)
	}
	s.recent.forget(int64(now) / int64(s.slice))
}

// forget makes n the number of the present slice, unless that is later already.
func (r *recentTries) forget(n int64) {
	for i := range min(n-r.head, int64(len(r.slices))) {
		old := r.at(r.head + 1 + i)
		r.total.attempts -= old.attempts
		r.total.retries -= old.retries
		*old = tries{}
	}
	r.head = max(r.head, n)
}

// note adds to the present slice.
func (r *recentTries) note(t tries) {
	r.noted = r.head
	r.at(r.head).add(t)
	r.total.add(t)
}

func (r *recentTries) at(n int64) *tries { return &r.slices[n%int64(len(r.slices))] }

func (t *tries) add(u tries) {
	t.attempts += u.attempts
	t.retries += u.retries
}
