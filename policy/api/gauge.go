package api

import (
	"math"

	"github.com/toller-go/toller/policy"
)

// Gauge follows one limit of a server by what its answers say of it. What an answer says is as of when the server counted the
// request, and answers overtake one another: so what is charged is noted when a request is sent, and an answer is taken for
// what it says about the moment at which its own request was sent. One that was sent before the latest that was heard of is
// dropped (S-L7).
//
// The zero Gauge has heard nothing. It has one owner, which tells it the time; its calls must not overlap.
type Gauge struct {
	sent    uint64  // how many requests have been
	charged float64 // by all of them
	heard   uint64  // the number of the latest whose answer has been taken; 0 for none
	span    spanned // what all answers say together
	rate    policy.Rate
}

// Sent is what [Gauge.Send] returns, to be kept until the request is answered.
type Sent struct {
	n       uint64
	charged float64 // by the request and all before it
	at      policy.Time
}

// Level is what is known of a limit.
type Level struct {
	// Left is what can still be taken, at most, that which has been sent since taken off.
	Left float64
	// Known is false if the answer did not say.
	Known bool
	// Rate is how fast the limit is replenished; the zero Rate if it has not become clear yet.
	Rate policy.Rate
}

// Send notes that a request goes out which costs so many tokens of the limit, or 1 if the limit counts requests.
func (g *Gauge) Send(now policy.Time, tokens float64) Sent {
	g.sent++
	if tokens > 0 {
		g.charged += tokens
	}
	return Sent{n: g.sent, charged: g.charged, at: now}
}

// Hear takes what the answer to a request says of the limit, and returns what is left by now. ok is false, and what is said is
// dropped, if a request that was sent later has been heard of before.
//
// What has come in since the request was sent is counted in, as far as the rate is known, so that the result errs to the high
// side, by what comes in while the request is on its way to the server: who takes the smaller of this and of what he knows
// himself is never starved by answers that are old. What the server has refused counts as taken until a request that was sent
// later is heard of.
func (g *Gauge) Hear(now policy.Time, s Sent, o Observation) (_ Level, ok bool) {
	if s.n <= g.heard || s.n > g.sent {
		return Level{}, false
	}
	g.heard = s.n
	g.learn(o)
	l := Level{Rate: g.rate}
	if o.Remaining == Unknown {
		return l, true
	}
	left := o.Remaining - (g.charged - s.charged)
	switch {
	case !o.Window && !g.rate.IsZero():
		left += g.rate.Over(now.Sub(s.at))
	case o.Window && o.Reset >= 0 && now.Sub(s.at) >= o.Reset:
		return l, true // of a window that is over by now, perhaps
	}
	if o.Max != Unknown {
		left = min(left, o.Max)
	}
	if !math.IsNaN(left) {
		l.Left, l.Known = max(0, left), true
	}
	return l, true
}

// learn makes the rate what the answers say together, as far as that is clear. One that turns out to be wrong is forgotten.
func (g *Gauge) learn(o Observation) {
	if o.Span > 0 {
		if rate, ok := o.Rate(); ok {
			g.rate = rate
		}
		return
	}
	said, ok := o.estimate()
	if !ok {
		return
	}
	g.span = g.span.narrow(said)
	if rate, ok := g.span.rate(); ok {
		g.rate = rate
	} else if !g.span.admits(g.rate) {
		g.rate = policy.Rate{}
	}
}
