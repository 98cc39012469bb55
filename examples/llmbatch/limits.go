package main

import (
	"time"

	"github.com/toller-go/toller/policy"
)

// The names of the limits, which package api gives those that servers tell of in their headers, too.
const (
	limitRequests    = "requests"
	limitRequestsDay = "requests-day"
	limitTokens      = "tokens"
	limitInput       = "input-tokens"
	limitOutput      = "output-tokens"
)

// minute is over what a limit per minute is kept: requests that left us 60 s apart can arrive a little closer together, and a
// server that counts them as they arrive must not find one too many.
const minute = time.Minute + 250*time.Millisecond

// limits is what the flags ask for, each for every key with every model.
//
// Requests go through a bucket that can never let more than rpm go in any minute, the burst at the start included, and spreads
// them evenly. Tokens are different: what is charged is an estimate until the answer tells, and a bucket whose refill makes up
// for its burst would have to hold the surplus of all requests in flight; with estimates ten times too high that would be most
// of the limit. So their bound is a sliding window, in which a charge is corrected at the instant it was made: what was
// estimated too high is there again as soon as it is known, and nothing is set aside for a burst.
func (s *settings) limits() []policy.Limit {
	var limits []policy.Limit
	if s.rpm > 0 {
		limits = append(limits, policy.Limit{Name: limitRequests, Rate: policy.Per(s.rpm-s.burst, minute), Burst: s.burst, PerKey: true})
	}
	if s.rpd > 0 {
		limits = append(limits, policy.Limit{Name: limitRequestsDay, Rate: policy.PerDay(s.rpd), Burst: s.rpd, Sliding: true, PerKey: true})
	}
	for _, l := range []struct {
		name string
		most float64
	}{{limitTokens, s.tpm}, {limitInput, s.itpm}, {limitOutput, s.otpm}} {
		if l.most > 0 {
			limits = append(limits, policy.Limit{Name: l.name, Rate: policy.Per(l.most, minute), Burst: l.most, Sliding: true, PerKey: true, Settled: true})
		}
	}
	return limits
}
