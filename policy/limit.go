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
type Limit struct {
	// Name is how costs refer to this limit. Required, and unique within a dispatcher.
	Name string
	// Rate is how fast the bucket fills. Required: there is no default that would not surprise somebody.
	Rate Rate
	// Burst is the most the bucket holds, in tokens, and what it holds at the start. Defaults to one second of Rate, at
	// least 1.
	Burst float64
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

	kept float64 // what Capacity was before WithRate made the rate one that says nothing of it
}

// WithRate returns l with another rate. A burst that is left to its default follows it, save to Blocked and Unlimited, of
// which a second holds nothing in particular: then it stays as it was.
func (l Limit) WithRate(r Rate) Limit {
	l.kept = l.Capacity()
	l.Rate = r
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
		fault("Rate", l.Rate, fmt.Sprintf("positive, such as PerSecond(10), and at most %g; or Blocked, or Unlimited", float64(maxTokens)))
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
	if len(faults) == 0 && !l.CostRequired && l.Admits(l.Cost()) != nil {
		fault("DefaultCost", l.Cost(), fmt.Sprintf("at most the burst of %g, because the limit is strict", l.Capacity()))
	}
	return errors.Join(faults...)
}

// Capacity is Burst with its default, in tokens.
func (l Limit) Capacity() float64 {
	switch {
	case l.Burst != 0:
		return l.Burst
	case l.Rate == Blocked || l.Rate == Unlimited:
		return math.Max(1, l.kept)
	default:
		return math.Min(math.Max(1, l.Rate.perSecond()), maxTokens)
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
	if l.Strict && l.Rate != Unlimited && cost > amountOf(l.Capacity()) {
		return &FieldError{
			Field: fmt.Sprintf("cost of limit %q", l.Name), Value: cost,
			Allowed: fmt.Sprintf("at most the burst of %g, because the limit is strict", l.Capacity()),
		}
	}
	return nil
}
