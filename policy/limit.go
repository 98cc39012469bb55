package policy

import (
	"errors"
	"fmt"
	"math"
)

// Limit is a token bucket: it holds at most Burst tokens, fills at Rate, and an attempt starts only when its cost is
// there, which is deducted in the same step. A dispatcher may have any number of limits; an attempt is admitted when all
// of them have room (S-A2).
//
// A cost above Burst is not impossible: it starts when the bucket is full and leaves it in debt, so that those behind pay
// by waiting (S-L4). In any span of t seconds, what is charged is therefore at most t × rate + Burst + one oversized cost.
// Sliding bounds it further.
type Limit struct {
	// Name is how costs refer to this limit. Required, and unique within a dispatcher.
	Name string
	// Rate is how fast the bucket fills. Required: there is no default that would not surprise somebody.
	Rate Rate
	// Burst is the most the bucket holds, in tokens. Defaults to one second of Rate, at least 1.
	Burst float64
	// Initial is what the bucket holds at the start, in tokens: a millionth to Burst, or [Empty] for nothing. Defaults to
	// Burst, and then the first minute of PerMinute(100) with a Burst of 100 has room for 200.
	Initial float64
	// Sliding makes Rate hold in any window of its span as well, both ends included: PerMinute(100) then means at most 100
	// in any 60 s, where the bucket alone has room for 100 and a Burst. The cap is strict: a cost above it is refused,
	// whatever Burst is. A cost that is corrected counts as such from then on, at the instant at which it was charged; one
	// that was estimated too low can exceed the cap by the difference, and then what costs anything waits until enough has
	// left the window.
	//
	// A charge leaves the window when it is older than the span, or up to a 128th of the span later if others came within
	// that. With a Burst of the rate's whole amount the window is all that binds, and that amount can start at once; with
	// the default, starts are spread over the span. Needs a Rate with a span. Defaults to the bucket alone.
	Sliding bool
	// DefaultCost is what an attempt costs when its job names no cost for this limit, in tokens. Defaults to 1.
	DefaultCost float64
	// CostRequired makes Submit refuse a job that names no cost for this limit.
	CostRequired bool
	// Strict makes Submit refuse a cost above Burst, instead of letting it go into debt.
	Strict bool
	// Settled says that the cost is an estimate, which the job corrects with job.Attempt.Settle: tokens or money, as
	// opposed to calls. What failed and was certainly not billed, see [Unbilled], is refunded.
	Settled bool
	// MaxDebt is how far a correction may take the bucket below zero, in tokens; what goes beyond is forgotten. Defaults
	// to no bound.
	MaxDebt float64
	// PerKey gives every key a bucket of its own. Defaults to one bucket shared by all keys.
	PerKey bool

	paced Rate // what Rate was before WithRate made it one that has no span
}

// Empty is the [Limit.Initial] of a bucket that holds nothing at the start.
const Empty = -1

// WithRate returns l with another rate. A burst that is left to its default follows it, save to Blocked and Unlimited, of
// which a second holds nothing in particular: then it stays as it was. An Initial that does not fit any more is dropped.
// A sliding limit may become Blocked or Unlimited this way, although Validate refuses one that never had a span.
func (l Limit) WithRate(r Rate) Limit {
	if l.Rate.kind == ratePer {
		l.paced = l.Rate
	}
	l.Rate = r
	if l.Initial > l.Capacity() {
		l.Initial = 0
	}
	return l
}

// WithBurst returns l with another burst, in tokens; 0 for the default. An Initial that does not fit any more is dropped.
func (l Limit) WithBurst(tokens float64) Limit {
	l.Burst = tokens
	if l.Initial > l.Capacity() {
		l.Initial = 0
	}
	return l
}

// Validate returns nil, or one [*FieldError] for each field that makes no sense, joined.
func (l Limit) Validate() error {
	var faults []error
	fault := func(field string, value any, allowed string) {
		faults = append(faults, &FieldError{Field: fmt.Sprintf("Limit(%q).%s", l.Name, field), Value: value, Allowed: allowed})
	}
	if l.Name == "" {
		fault("Name", `""`, "a name, such as \"requests\"")
	}
	if !l.Rate.valid() {
		fault("Rate", l.Rate, fmt.Sprintf("from a millionth to %g tokens over a span above zero, such as PerSecond(10); or Blocked, or Unlimited", float64(maxTokens)))
	}
	for _, f := range []struct {
		name  string
		value float64
	}{{"Burst", l.Burst}, {"DefaultCost", l.DefaultCost}, {"MaxDebt", l.MaxDebt}} {
		if !(f.value == 0 || f.value >= 1.0/tokenUnit && f.value <= maxTokens) {
			fault(f.name, f.value, fmt.Sprintf("a number of tokens from a millionth to %g, or 0 for the default", float64(maxTokens)))
		}
	}
	if l.MaxDebt != 0 && !l.Settled {
		fault("MaxDebt", l.MaxDebt, "left out, because only the costs of a settled limit are corrected")
	}
	if l.Sliding && l.Rate.valid() && l.pace().kind != ratePer {
		fault("Sliding", l.Sliding, fmt.Sprintf("left out, because a rate that is %v has no span", l.Rate))
	}
	most, burst := float64(maxTokens), "the burst"
	if len(faults) == 0 { // otherwise there may be no telling
		most = l.Capacity()
		burst = fmt.Sprintf("the burst of %g", most)
	}
	if !(l.Initial == 0 || l.Initial == Empty || l.Initial >= 1.0/tokenUnit && l.Initial <= most) {
		fault("Initial", l.Initial, fmt.Sprintf("a number of tokens from a millionth to %s, or Empty, or 0 for a full bucket", burst))
	}
	if len(faults) == 0 && !l.CostRequired {
		if most := l.refusal(l.Cost()); most != "" {
			fault("DefaultCost", l.Cost(), most)
		}
	}
	return errors.Join(faults...)
}

// pace is Rate, or what it was before it became one without a span.
func (l Limit) pace() Rate {
	if l.Rate.kind == ratePer {
		return l.Rate
	}
	return l.paced
}

// Capacity is Burst with its default, in tokens.
func (l Limit) Capacity() float64 {
	switch pace := l.pace(); {
	case l.Burst != 0:
		return l.Burst
	case pace.kind != ratePer:
		return 1
	default:
		return math.Min(math.Max(1, pace.perSecond()), maxTokens)
	}
}

// initial is Initial with its default.
func (l Limit) initial() Amount {
	switch l.Initial {
	case 0:
		return amountOf(l.Capacity())
	case Empty:
		return 0
	default:
		return amountOf(l.Initial)
	}
}

// Cost returns what an attempt costs whose job names no cost for this limit.
func (l Limit) Cost() Amount {
	if l.DefaultCost == 0 {
		return tokenUnit
	}
	return amountOf(l.DefaultCost)
}

// Admits returns nil when a job of this cost can be admitted at some time, and otherwise the [*FieldError] with which
// Submit refuses it.
func (l Limit) Admits(cost Amount) error {
	if most := l.refusal(cost); most != "" {
		return &FieldError{Field: fmt.Sprintf("cost of limit %q", l.Name), Value: cost, Allowed: most}
	}
	return nil
}

// refusal says what a cost that can never be admitted must be instead, in words that follow "must be"; it is empty for
// any other cost.
func (l Limit) refusal(cost Amount) string {
	switch {
	case l.Strict && l.Rate != Unlimited && cost > amountOf(l.Capacity()):
		return fmt.Sprintf("at most the burst of %g, because the limit is strict", l.Capacity())
	case l.Sliding && l.Rate.kind == ratePer && cost > amountOf(l.Rate.amount):
		return fmt.Sprintf("at most the %g that may be charged in any %v, because the limit is sliding", l.Rate.amount, l.Rate.span)
	default:
		return ""
	}
}
