package scheduler

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/policy"
)

func randomConfig(r *rand.Rand) Config {
	cfg := Config{
		Workers:  pick(r, 1, 2, 5, 20),
		Seed:     r.Uint64(),
		AgeAfter: pick(r, 0, 100*time.Millisecond, 3*time.Second),
	}
	for i := range r.IntN(3) {
		cfg.Groups = append(cfg.Groups, Group{Name: fmt.Sprint("group ", i), Workers: pick(r, 1, 2, 5)})
	}
	if oneIn(r, 3) {
		cfg.KeyWorkers = pick(r, 1, 3)
	}
	if oneIn(r, 3) {
		cfg.Budget = policy.Budget{Ratio: pick(r, .1, .5), MinRetries: pick(r, 1, 3), Window: pick(r, 100*time.Millisecond, 5*time.Second)}
	}
	for i := range r.IntN(4) {
		cfg.Limits = append(cfg.Limits, randomLimit(r, fmt.Sprint("limit ", i)))
	}
	if !oneIn(r, 4) {
		cfg.Retry = randomRetry(r)
	}
	if !oneIn(r, 3) {
		cfg.Breaker = randomBreaker(r)
	}
	return cfg
}

func randomLimit(r *rand.Rand, name string) policy.Limit {
	limit := policy.Limit{
		Name: name, Rate: policy.PerSecond(pick(r, 1.0, 10, 1000)), Burst: pick(r, 0.0, 1, 5, 50),
		PerKey: oneIn(r, 2), Settled: oneIn(r, 2), Strict: oneIn(r, 3),
	}
	if oneIn(r, 4) {
		limit.Sliding = true
		if limit.Rate == policy.PerSecond(1) {
			limit.Rate = policy.PerMinute(60) // or its own costs would be too high for it
		}
	}
	if oneIn(r, 4) {
		limit.Initial = pick(r, policy.Empty, 1.0)
	}
	if limit.Settled && oneIn(r, 3) {
		limit.MaxDebt = 20
	}
	return limit
}

func randomRetry(r *rand.Rand) policy.Retry {
	return policy.Retry{
		MaxAttempts:     pick(r, 1, 2, 5, policy.UnlimitedAttempts),
		Delay:           pick(r, time.Millisecond, 100*time.Millisecond),
		MaxElapsed:      pick(r, 0, 0, 5*time.Second),
		MaxHint:         pick(r, 0, 0, time.Second),
		BeyondMaxHint:   pick(r, policy.HintFails, policy.HintWaits, policy.HintCapped),
		MaxThrottleWait: pick(r, 0, 0, 2*time.Second),
	}
}

func randomBreaker(r *rand.Rand) policy.Breaker {
	b := policy.Breaker{
		RecoveryTimeout: pick(r, 100*time.Millisecond, 2*time.Second),
		Counts:          pick(r, policy.CountAttempts, policy.CountJobs),
		Probes:          pick(r, 1, 2),
		Successes:       pick(r, 1, 2, 3),
		ProbeTimeout:    pick(r, 0, 50*time.Millisecond),
		Reprobe:         pick(r, 0, time.Second),
	}
	if oneIn(r, 2) {
		b.RecoveryBackoff, b.RecoveryJitter = 2, .5
	}
	switch r.IntN(4) {
	case 0:
		b.FailureRatio, b.MinSamples, b.Window = .3, 3, 10
	case 1:
		b.FailureRatio, b.MinSamples, b.WindowTime = .3, 2, time.Second
	case 2:
		b.SlowRatio, b.MinSamples, b.SlowCall = .5, 2, 100*time.Millisecond
	default:
		b.FailureThreshold = pick(r, 1, 3)
	}
	return b
}

func randomOutcome(r *rand.Rand) policy.Outcome {
	var out policy.Outcome
	switch r.IntN(24) {
	case 0:
		out.Verdict = policy.VerdictUnusable
	case 1, 2:
		out.Verdict = policy.VerdictNeutral
	case 3, 4, 5:
		out.Verdict, out.Retry, out.Throttled = policy.VerdictNeutral, true, true
	case 6, 7, 8, 9, 10, 11:
		out.Verdict, out.Retry = policy.VerdictFailure, !oneIn(r, 4)
	default: // a success
	}
	if out.Retry && oneIn(r, 2) {
		out.Hinted, out.Hint = true, time.Duration(r.IntN(2000))*time.Millisecond
	}
	out.Unbilled = out.Verdict != policy.VerdictSuccess && oneIn(r, 4)
	return out
}

// pick returns one of the choices.
func pick[T any](r *rand.Rand, choices ...T) T { return choices[r.IntN(len(choices))] }

func oneIn(r *rand.Rand, n int) bool { return r.IntN(n) == 0 }

func amountOf(t *testing.T, tokens float64) policy.Amount {
	t.Helper()
	amount, err := policy.AmountOf("tokens", tokens)
	require.NoError(t, err)
	return amount
}
