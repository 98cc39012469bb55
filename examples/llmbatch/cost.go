package main

import (
	"context"
	"math"
	"slices"
	"sync"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/policy/api"
)

// The names of the budgets, which are limits that never fill again and that all keys share.
const (
	budgetUSD    = "budget-usd"
	budgetTokens = "budget-tokens"
)

// mills is how many units of the limit make a dollar. Amounts are kept to a millionth of a unit: to a billionth of a dollar, which
// is less than any token costs.
const mills = 1000

// budgets are the bounds on what the whole run may use. What a request may cost is taken out before it is sent, in the step that
// admits it; what it did not cost comes back with its answer. So a budget is not overshot, however many are under way, as far as that is
// known beforehand: where bodies bound their answers, and what is estimated of prompts is not too low. Where they don't, the answers under
// way can have more than was taken out for each (see [estimate]); what they had is taken out when they come, and nothing is sent after that.
func (s *settings) budgets() []policy.Limit {
	var limits []policy.Limit
	add := func(name string, amount float64) {
		if amount > 0 {
			limits = append(limits, policy.Limit{Name: name, Rate: policy.Blocked, Burst: amount, Strict: true, CostRequired: true, Settled: true})
		}
	}
	add(budgetUSD, s.budgetUSD*mills)
	add(budgetTokens, s.budgetTokens)
	return limits
}

// meter says what prompts cost: it estimates, and learns from what was billed. Its methods may be called from any goroutine.
type meter struct {
	limits []policy.Limit
	price  price

	mu        sync.Mutex
	estimator api.Estimator  // guarded by mu
	answers   map[string]int // guarded by mu; by model: how many it has learnt from
}

// estimate is what a prompt is expected to cost.
type estimate struct {
	api.Estimate         // at most, as far as is known: for budgets
	likely       float64 // output, as far as experience goes: for limits per minute
}

const (
	experience = 50  // answers of a model, before what they have tells what is likely
	headroom   = 2.0 // times what nine of ten answers stay below
)

func newMeter(s *settings) *meter {
	return &meter{limits: slices.Concat(s.limits(), s.budgets()), price: s.price}
}

// estimate says what a prompt is expected to cost. Many ask for far more tokens than any answer has: were all of that set aside in a
// limit per minute while they are in flight, much of the limit would go unused. So once there is experience, that is what counts there.
func (m *meter) estimate(r api.Request) estimate {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := estimate{Estimate: m.estimator.Estimate(r)}
	e.likely = e.Output
	if r.MaxOutput > 0 && m.answers[r.Model] >= experience {
		r.MaxOutput = 0
		e.likely = min(e.Output, headroom*m.estimator.Estimate(r).Output)
	}
	return e
}

func (m *meter) learn(model string, e estimate, u api.Usage) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.estimator.Learn(model, e.Estimate, u)
	if m.answers == nil {
		m.answers = make(map[string]int)
	}
	if u.Known() {
		m.answers[model]++
	}
}

// costs is what an attempt is charged at the start. Of a limit per minute it is never more than a minute has, or the prompt could
// not be sent at all, for an estimate's sake; the server has the last word on that.
func (m *meter) costs(e estimate) []dispatcher.Cost {
	costs := make([]dispatcher.Cost, 0, len(m.limits))
	for _, l := range m.limits {
		output := e.Output
		if l.Sliding {
			output = e.likely
		}
		if amount, counts := m.amount(l.Name, e.Input, output, m.price.estimated(e.Estimate)); counts {
			if l.Sliding {
				amount = min(amount, l.Burst)
			}
			costs = append(costs, dispatcher.Cost{Limit: l.Name, Tokens: amount})
		}
	}
	return costs
}

// amount is what so many tokens, and so many dollars, are of a limit; counts is false for one of calls.
func (m *meter) amount(limit string, input, output, usd float64) (amount float64, counts bool) {
	switch limit {
	case limitTokens, budgetTokens:
		return input + output, true
	case limitInput:
		return input, true
	case limitOutput:
		return output, true
	case budgetUSD:
		return usd * mills, true
	default:
		return 0, false
	}
}

// settle corrects the charge of an attempt by what its answer says it was billed. Where that is not said, be it only of the input, the
// estimate stands.
func (m *meter) settle(ctx context.Context, e estimate, u api.Usage) {
	attempt, ok := job.AttemptFrom(ctx)
	if !ok || !u.Known() {
		return
	}
	if u.Input == 0 { // no request has none
		u.Input = int64(math.Ceil(e.Input))
	}
	for _, l := range m.limits {
		if amount, counts := m.amount(l.Name, float64(u.Input), float64(u.Output), m.price.billed(u)); counts {
			_ = attempt.Settle(l.Name, amount) // the limit exists and is settled, and usage is never negative
		}
	}
}
