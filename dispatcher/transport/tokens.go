package transport

import (
	"math"
	"sync"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/policy/api"
)

// Tokens says what requests to an LLM cost, for limits that count tokens: Cost estimates it, and Actual takes it from what the
// answer says of its usage, and learns for the next estimates of the same model. Where the answer does not say, the estimate
// stands. Give both to a [Config]:
//
//	tokens := &transport.Tokens{Total: "tokens"}
//	t, err := transport.New(d, transport.Config{Key: transport.KeyByModel, Cost: tokens.Cost, Actual: tokens.Actual})
//
// The limits must be declared as Settled. Requests that have no body, and those to endpoints that are none of an LLM, cost
// nothing. Its fields must not be changed when it is in use, and its methods may be called from any goroutine. A Tokens must not
// be copied, and may be shared by several transports.
type Tokens struct {
	// Total, Input and Output are the names of limits that count all tokens, those of the prompt, and those of the answer; empty
	// where there is none.
	Total, Input, Output string
	// Uncached counts as input only what did not come from a cache, as Anthropic's limits do.
	Uncached bool
	// Exact counts the tokens of a request's body, on the goroutine that calls RoundTrip. ok is false if it can't. Defaults to an
	// estimate from the length.
	Exact func(model string, body []byte) (tokens float64, ok bool)

	mu        sync.Mutex
	estimator api.Estimator // guarded by mu
}

// Cost is for Config.Cost.
func (t *Tokens) Cost(c *Call) []dispatcher.Cost {
	says := c.Says()
	if c.Shape() == api.Any || len(c.Body()) == 0 {
		return t.costs(0, 0)
	}
	says.Model = c.Model()
	if t.Exact != nil {
		if n, ok := t.Exact(says.Model, c.Body()); ok && n >= 0 && !math.IsInf(n, 0) {
			says.Input, says.Exact = n, true
		}
	}
	t.mu.Lock()
	c.tokens = t.estimator.Estimate(says)
	t.mu.Unlock()
	return t.costs(c.tokens.Input, c.tokens.Output)
}

// Actual is for Config.Actual.
func (t *Tokens) Actual(c *Call, m api.Meaning) []dispatcher.Cost {
	if !m.Usage.Known() {
		return nil
	}
	t.mu.Lock()
	t.estimator.Learn(c.Model(), c.tokens, m.Usage)
	t.mu.Unlock()
	input := m.Usage.Input
	if t.Uncached {
		input -= m.Usage.Cached
	}
	return t.costs(float64(input), float64(m.Usage.Output))
}

func (t *Tokens) costs(input, output float64) []dispatcher.Cost {
	costs := make([]dispatcher.Cost, 0, 3)
	for _, cost := range []dispatcher.Cost{{Limit: t.Total, Tokens: input + output}, {Limit: t.Input, Tokens: input}, {Limit: t.Output, Tokens: output}} {
		if cost.Limit != "" {
			costs = append(costs, cost)
		}
	}
	return costs
}
