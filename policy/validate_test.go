package policy_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/policy"
)

// faults takes a joined error apart.
func faults(t *testing.T, err error) []*policy.FieldError {
	t.Helper()
	if err == nil {
		return nil
	}
	require.ErrorIs(t, err, policy.ErrInvalid)
	joined, ok := err.(interface{ Unwrap() []error })
	require.True(t, ok, "not a joined error: %T", err)
	var list []*policy.FieldError
	for _, part := range joined.Unwrap() {
		var fault *policy.FieldError
		require.ErrorAs(t, part, &fault)
		require.ErrorIs(t, part, policy.ErrInvalid)
		list = append(list, fault)
	}
	return list
}

// fields checks that each fault is told in full, and returns the names of the fields.
func fields(t *testing.T, err error) []string {
	t.Helper()
	var names []string
	for _, fault := range faults(t, err) {
		assert.NotEmpty(t, fault.Field)
		assert.NotNil(t, fault.Value)
		assert.NotEmpty(t, fault.Allowed)
		assert.Contains(t, err.Error(), fault.Field)
		assert.Contains(t, err.Error(), fault.Allowed)
		names = append(names, fault.Field)
	}
	return names
}

func TestLimitValidate(t *testing.T) {
	ten := policy.PerSecond(10)
	for _, tt := range []struct {
		name  string
		limit policy.Limit
		want  []string // the fields at fault
	}{
		{"plain", policy.Limit{Name: "a", Rate: ten}, nil},
		{"full", policy.Limit{Name: "a", Rate: ten, Burst: 20, DefaultCost: 20, CostRequired: true, Strict: true, PerKey: true}, nil},
		{"blocked", policy.Limit{Name: "a", Rate: policy.Blocked}, nil},
		{"unlimited", policy.Limit{Name: "a", Rate: policy.Unlimited}, nil},
		{"least", policy.Limit{Name: "a", Rate: policy.Per(1e-6, math.MaxInt64), Burst: 1e-6, DefaultCost: 1e-6}, nil},
		{"most", policy.Limit{Name: "a", Rate: policy.PerSecond(1e12), Burst: 1e12, DefaultCost: 1e12}, nil},
		{"default cost above burst goes into debt (S-L4)", policy.Limit{Name: "a", Rate: ten, Burst: 1, DefaultCost: 2}, nil},
		{"zero", policy.Limit{}, []string{`Limit("").Name`, `Limit("").Rate`}},
		{"no name", policy.Limit{Rate: ten}, []string{`Limit("").Name`}},
		{"no rate (S-L8)", policy.Limit{Name: "a"}, []string{`Limit("a").Rate`}},
		{"zero rate", policy.Limit{Name: "a", Rate: policy.PerSecond(0)}, []string{`Limit("a").Rate`}},
		{"zero per zero", policy.Limit{Name: "a", Rate: policy.Per(0, 0)}, []string{`Limit("a").Rate`}},
		{"negative rate", policy.Limit{Name: "a", Rate: policy.PerMinute(-1)}, []string{`Limit("a").Rate`}},
		{"rate not a number", policy.Limit{Name: "a", Rate: policy.PerHour(math.NaN())}, []string{`Limit("a").Rate`}},
		{"infinite rate", policy.Limit{Name: "a", Rate: policy.PerDay(math.Inf(1))}, []string{`Limit("a").Rate`}},
		{"rate too low", policy.Limit{Name: "a", Rate: policy.PerSecond(1e-7)}, []string{`Limit("a").Rate`}},
		{"rate too high", policy.Limit{Name: "a", Rate: policy.PerSecond(1.1e12)}, []string{`Limit("a").Rate`}},
		{"zero span", policy.Limit{Name: "a", Rate: policy.Per(1, 0)}, []string{`Limit("a").Rate`}},
		{"negative span", policy.Limit{Name: "a", Rate: policy.Per(1, -time.Second)}, []string{`Limit("a").Rate`}},
		{"not Unlimited by accident", policy.Limit{Name: "a", Rate: policy.Per(0, -1)}, []string{`Limit("a").Rate`}},
		{"negative burst", policy.Limit{Name: "a", Rate: ten, Burst: -1}, []string{`Limit("a").Burst`}},
		{"burst too small", policy.Limit{Name: "a", Rate: ten, Burst: 1e-7}, []string{`Limit("a").Burst`}},
		{"burst too large", policy.Limit{Name: "a", Rate: ten, Burst: 1.1e12}, []string{`Limit("a").Burst`}},
		{"burst not a number", policy.Limit{Name: "a", Rate: ten, Burst: math.NaN()}, []string{`Limit("a").Burst`}},
		{"burst infinite", policy.Limit{Name: "a", Rate: ten, Burst: math.Inf(1)}, []string{`Limit("a").Burst`}},
		{"negative cost", policy.Limit{Name: "a", Rate: ten, DefaultCost: -1}, []string{`Limit("a").DefaultCost`}},
		{"cost not a number", policy.Limit{Name: "a", Rate: ten, DefaultCost: math.NaN()}, []string{`Limit("a").DefaultCost`}},
		{"cost infinite", policy.Limit{Name: "a", Rate: ten, DefaultCost: math.Inf(-1)}, []string{`Limit("a").DefaultCost`}},
		{"cost too large", policy.Limit{Name: "a", Rate: ten, DefaultCost: 2e12}, []string{`Limit("a").DefaultCost`}},
		{"strict, and the burst is at fault", policy.Limit{Name: "a", Rate: ten, Burst: -1, Strict: true}, []string{`Limit("a").Burst`}},
		{"strict, and the cost is at fault", policy.Limit{Name: "a", Rate: ten, DefaultCost: 2e12, Strict: true}, []string{`Limit("a").DefaultCost`}},
		{"strict, unlimited", policy.Limit{Name: "a", Rate: policy.Unlimited, DefaultCost: 5, Strict: true}, nil},
		{"strict, default cost above burst", policy.Limit{Name: "a", Rate: ten, Burst: 0.5, Strict: true}, []string{`Limit("a").DefaultCost`}},
		{"strict, but costs are named", policy.Limit{Name: "a", Rate: ten, Burst: 0.5, Strict: true, CostRequired: true}, nil},
		{"strict, cost above burst", policy.Limit{Name: "a", Rate: ten, Burst: 5, DefaultCost: 6, Strict: true}, []string{`Limit("a").DefaultCost`}},
		{"strict, cost above default burst", policy.Limit{Name: "a", Rate: ten, DefaultCost: 11, Strict: true}, []string{`Limit("a").DefaultCost`}},
		{"sliding (S-L3)", policy.Limit{Name: "a", Rate: ten, Sliding: true}, nil},
		{"sliding, without a span", policy.Limit{Name: "a", Rate: policy.Blocked, Sliding: true}, []string{`Limit("a").Sliding`}},
		{"sliding, unlimited", policy.Limit{Name: "a", Rate: policy.Unlimited, Sliding: true}, []string{`Limit("a").Sliding`}},
		{"sliding, and the rate is at fault", policy.Limit{Name: "a", Sliding: true}, []string{`Limit("a").Rate`}},
		{"sliding, blocked later", policy.Limit{Name: "a", Rate: ten, Sliding: true}.WithRate(policy.Blocked), nil},
		{"sliding, lifted later", policy.Limit{Name: "a", Rate: ten, Sliding: true}.WithRate(policy.Blocked).WithRate(policy.Unlimited), nil},
		{"sliding, default cost at the cap", policy.Limit{Name: "a", Rate: ten, Burst: 1, DefaultCost: 10, Sliding: true}, nil},
		{"sliding, default cost above the cap", policy.Limit{Name: "a", Rate: ten, Burst: 99, DefaultCost: 11, Sliding: true}, []string{`Limit("a").DefaultCost`}},
		{"sliding, default cost of 1 above the cap", policy.Limit{Name: "a", Rate: policy.PerSecond(0.5), Sliding: true}, []string{`Limit("a").DefaultCost`}},
		{"sliding, but costs are named", policy.Limit{Name: "a", Rate: policy.PerSecond(0.5), Sliding: true, CostRequired: true}, nil},
		{"settled, with a bound on its debt (S-L5)", policy.Limit{Name: "a", Rate: ten, Settled: true, MaxDebt: 1e-6}, nil},
		{"debt of what is never corrected", policy.Limit{Name: "a", Rate: ten, MaxDebt: 5}, []string{`Limit("a").MaxDebt`}},
		{"debt negative", policy.Limit{Name: "a", Rate: ten, Settled: true, MaxDebt: -1}, []string{`Limit("a").MaxDebt`}},
		{"debt not a number", policy.Limit{Name: "a", Rate: ten, Settled: true, MaxDebt: math.NaN()}, []string{`Limit("a").MaxDebt`}},
		{"debt too small", policy.Limit{Name: "a", Rate: ten, Settled: true, MaxDebt: 1e-7}, []string{`Limit("a").MaxDebt`}},
		{"empty at the start (S-L3)", policy.Limit{Name: "a", Rate: ten, Initial: policy.Empty}, nil},
		{"full at the start", policy.Limit{Name: "a", Rate: ten, Initial: 10}, nil},
		{"a millionth at the start", policy.Limit{Name: "a", Rate: ten, Burst: 1e-6, Initial: 1e-6}, nil},
		{"more than full at the start", policy.Limit{Name: "a", Rate: ten, Initial: 10.5}, []string{`Limit("a").Initial`}},
		{"more than the burst at the start", policy.Limit{Name: "a", Rate: ten, Burst: 2, Initial: 3}, []string{`Limit("a").Initial`}},
		{"too little at the start", policy.Limit{Name: "a", Rate: ten, Initial: 1e-7}, []string{`Limit("a").Initial`}},
		{"debt at the start", policy.Limit{Name: "a", Rate: ten, Initial: -2}, []string{`Limit("a").Initial`}},
		{"start is not a number", policy.Limit{Name: "a", Rate: ten, Initial: math.NaN()}, []string{`Limit("a").Initial`}},
		{"start is infinite", policy.Limit{Name: "a", Rate: ten, Initial: math.Inf(1)}, []string{`Limit("a").Initial`}},
		{"a start that fits, and the burst is at fault", policy.Limit{Name: "a", Rate: ten, Burst: -1, Initial: 5}, []string{`Limit("a").Burst`}},
		{"both start and burst at fault", policy.Limit{Name: "a", Rate: ten, Burst: -1, Initial: -5}, []string{`Limit("a").Burst`, `Limit("a").Initial`}},
		{"a start that a later rate has no room for", policy.Limit{Name: "a", Rate: ten, Initial: 5}.WithRate(policy.PerSecond(2)), nil},
		{
			"all at once", policy.Limit{Rate: policy.PerSecond(-1), Burst: math.NaN(), DefaultCost: -2},
			[]string{`Limit("").Name`, `Limit("").Rate`, `Limit("").Burst`, `Limit("").DefaultCost`},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, fields(t, tt.limit.Validate()))
		})
	}
}

// TestRateTooLow: who is told that his rate is too low learns what is high enough.
func TestRateTooLow(t *testing.T) {
	for _, rate := range []policy.Rate{{}, policy.PerSecond(1e-7), policy.Per(10, 0)} {
		err := policy.Limit{Name: "a", Rate: rate}.Validate()
		require.ErrorContains(t, err, "must be from a millionth to 1e+12 tokens over a span above zero", "%v", rate)
	}
}

func TestRetryValidate(t *testing.T) {
	on := func(change func(*policy.Retry)) policy.Retry {
		r := policy.Retry{MaxAttempts: 3}
		change(&r)
		return r
	}
	pass := func(error) bool { return true }
	for _, tt := range []struct {
		name  string
		retry policy.Retry
		want  []string
	}{
		{"zero is off (S-R13)", policy.Retry{}, nil},
		{"one attempt", policy.Retry{MaxAttempts: 1}, nil},
		{"unlimited (S-R1)", policy.Retry{MaxAttempts: policy.UnlimitedAttempts}, nil},
		{"full", policy.Retry{
			MaxAttempts: 5, Delay: 1, MaxDelay: math.MaxInt64, Backoff: math.MaxFloat64, Jitter: policy.JitterRange(0, math.MaxFloat64),
			MaxElapsed: 1, MaxHint: 1, BeyondMaxHint: policy.HintCapped, MaxThrottleWait: 1, On: pass, StopOn: pass,
			OnResult: func(any) bool { return true },
		}, nil},
		{"fixed delay", on(func(r *policy.Retry) { r.Backoff = 1 }), nil},
		{"delay at its cap", on(func(r *policy.Retry) { r.Delay, r.MaxDelay = 5, 5 }), nil},
		{"delay above the default cap", on(func(r *policy.Retry) { r.Delay = time.Hour }), nil},
		{"attempts", policy.Retry{MaxAttempts: -2}, []string{"Retry.MaxAttempts"}},
		{"delay", on(func(r *policy.Retry) { r.Delay = -1 }), []string{"Retry.Delay"}},
		{"max delay", on(func(r *policy.Retry) { r.MaxDelay = -1 }), []string{"Retry.MaxDelay"}},
		{"max elapsed", on(func(r *policy.Retry) { r.MaxElapsed = -1 }), []string{"Retry.MaxElapsed"}},
		{"max hint", on(func(r *policy.Retry) { r.MaxHint = -1 }), []string{"Retry.MaxHint"}},
		{"throttle wait", on(func(r *policy.Retry) { r.MaxThrottleWait = -1 }), []string{"Retry.MaxThrottleWait"}},
		{"delay above its cap", on(func(r *policy.Retry) { r.Delay, r.MaxDelay = 6, 5 }), []string{"Retry.Delay"}},
		{"factor below one", on(func(r *policy.Retry) { r.Backoff = 0.99 }), []string{"Retry.Backoff"}},
		{"factor negative", on(func(r *policy.Retry) { r.Backoff = -2 }), []string{"Retry.Backoff"}},
		{"factor not a number", on(func(r *policy.Retry) { r.Backoff = math.NaN() }), []string{"Retry.Backoff"}},
		{"factor infinite", on(func(r *policy.Retry) { r.Backoff = math.Inf(1) }), []string{"Retry.Backoff"}},
		{"choice", on(func(r *policy.Retry) { r.BeyondMaxHint = policy.HintCapped + 1 }), []string{"Retry.BeyondMaxHint"}},
		{"all at once", policy.Retry{
			MaxAttempts: -2, Delay: -1, MaxDelay: -1, Backoff: 0.5, Jitter: policy.JitterFraction(2), MaxElapsed: -1, MaxHint: -1,
			BeyondMaxHint: 9, MaxThrottleWait: -1,
		}, []string{
			"Retry.MaxAttempts", "Retry.Delay", "Retry.MaxDelay", "Retry.MaxElapsed", "Retry.MaxHint", "Retry.MaxThrottleWait",
			"Retry.Backoff", "Retry.Jitter", "Retry.BeyondMaxHint",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, fields(t, tt.retry.Validate()))
		})
	}
}

// S-R13: a Retry of which only MaxAttempts was forgotten is an error and not silently off.
func TestRetryValidateForgottenMaxAttempts(t *testing.T) {
	pass := func(error) bool { return true }
	for name, r := range map[string]policy.Retry{
		"Delay":           {Delay: 1},
		"MaxDelay":        {MaxDelay: 1},
		"Backoff":         {Backoff: 1},
		"Jitter":          {Jitter: policy.NoJitter},
		"MaxElapsed":      {MaxElapsed: 1},
		"MaxHint":         {MaxHint: 1},
		"BeyondMaxHint":   {BeyondMaxHint: policy.HintWaits},
		"MaxThrottleWait": {MaxThrottleWait: 1},
		"On":              {On: pass},
		"StopOn":          {StopOn: pass},
		"OnResult":        {OnResult: func(any) bool { return true }},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, []string{"Retry.MaxAttempts"}, fields(t, r.Validate()))
		})
	}
}

// S-R3: parameters of jitter are validated, never ignored.
func TestJitterValidate(t *testing.T) {
	for _, tt := range []struct {
		jitter policy.Jitter
		ok     bool
	}{
		{policy.Jitter{}, true},
		{policy.FullJitter, true},
		{policy.NoJitter, true},
		{policy.EqualJitter, true},
		{policy.DecorrelatedJitter, true},
		{policy.JitterFraction(0), true},
		{policy.JitterFraction(0.5), true},
		{policy.JitterFraction(1), true},
		{policy.JitterFraction(1.01), false},
		{policy.JitterFraction(-0.01), false},
		{policy.JitterFraction(50), false},
		{policy.JitterFraction(math.NaN()), false},
		{policy.JitterFraction(math.Inf(1)), false},
		{policy.JitterFraction(math.Inf(-1)), false},
		{policy.JitterRange(0, 0), true},
		{policy.JitterRange(1, 1), true},
		{policy.JitterRange(0.5, 10), true},
		{policy.JitterRange(2, 1), false},
		{policy.JitterRange(-1, 1), false},
		{policy.JitterRange(-2, -1), false},
		{policy.JitterRange(math.NaN(), 1), false},
		{policy.JitterRange(0, math.NaN()), false},
		{policy.JitterRange(0, math.Inf(1)), false},
		{policy.JitterRange(math.Inf(1), math.Inf(1)), false},
	} {
		r := policy.Retry{MaxAttempts: 2, Jitter: tt.jitter}
		if tt.ok {
			assert.NoError(t, r.Validate(), "%v", tt.jitter)
		} else {
			assert.Equal(t, []string{"Retry.Jitter"}, fields(t, r.Validate()), "%v", tt.jitter)
		}
	}
}

func TestFieldErrorText(t *testing.T) {
	r := policy.Retry{MaxAttempts: 2, Delay: -time.Second}
	require.EqualError(t, r.Validate(), "policy: Retry.Delay is -1s; it must be positive, or 0 for the default")

	fault := &policy.FieldError{Field: "Limit(\"tokens\").Burst", Value: -1.5, Allowed: "positive"}
	require.EqualError(t, fault, `policy: Limit("tokens").Burst is -1.5; it must be positive`)
	require.NotErrorIs(t, fault, policy.ErrOpenCircuit)
}

// S-L8: costs are refused that are not numbers, infinite or negative; none is rounded down to free.
func TestAmountOf(t *testing.T) {
	for _, tt := range []struct {
		tokens float64
		want   policy.Amount
	}{
		{0, 0},
		{math.Copysign(0, -1), 0},
		{1, 1_000_000},
		{2.5, 2_500_000},
		{1e-6, 1},
		{1e-7, 1},
		{1.0000005, 1_000_001},
		{1.0000004, 1_000_000},
		{4.35, 4_350_000}, // 4.35 × 10⁶ is 4,349,999.999…
		{0.0000014, 1},
		{0.0000016, 2},
		{math.SmallestNonzeroFloat64, 1},
		{1e12, 1_000_000_000_000_000_000},
	} {
		got, err := policy.AmountOf("cost", tt.tokens)
		require.NoError(t, err, "%v", tt.tokens)
		assert.Equal(t, tt.want, got, "%v", tt.tokens)
	}
	for _, tokens := range []float64{
		math.NaN(), math.Inf(1), math.Inf(-1), -1, -1e-300, math.Nextafter(1e12, math.Inf(1)), math.MaxFloat64,
	} {
		got, err := policy.AmountOf(`Cost("tokens")`, tokens)
		require.ErrorIs(t, err, policy.ErrInvalid, "%v", tokens)
		var fault *policy.FieldError
		require.ErrorAs(t, err, &fault)
		assert.Equal(t, `Cost("tokens")`, fault.Field)
		assert.Contains(t, fault.Allowed, "from 0 to")
		assert.Zero(t, got)
	}
}

func TestAmountText(t *testing.T) {
	assert.Equal(t, "2.5", policy.Amount(2_500_000).String())
	assert.Equal(t, "-0.000001", policy.Amount(-1).String())
	assert.Equal(t, "1000000000000", policy.Amount(1_000_000_000_000_000_000).String())
	assert.InDelta(t, 2.5, policy.Amount(2_500_000).Tokens(), 0)
}

// S-L12: a cost that a job does not name is the limit's default, and that is 1 when it is not set.
func TestLimitCost(t *testing.T) {
	assert.Equal(t, token, policy.Limit{}.Cost())
	assert.Equal(t, 7*token/2, policy.Limit{DefaultCost: 3.5}.Cost())
	assert.Equal(t, policy.Amount(1), policy.Limit{DefaultCost: 1e-6}.Cost())
}

// S-L4: a strict limit refuses what it could never hold; the others admit it, into debt.
func TestLimitAdmits(t *testing.T) {
	strict := policy.Limit{Name: "tokens", Rate: policy.PerSecond(10), Burst: 20, Strict: true}
	require.NoError(t, strict.Admits(0))
	require.NoError(t, strict.Admits(20*token))
	err := strict.Admits(20*token + 1)
	require.ErrorIs(t, err, policy.ErrInvalid)
	var fault *policy.FieldError
	require.ErrorAs(t, err, &fault)
	assert.Equal(t, 20*token+1, fault.Value)
	assert.Contains(t, err.Error(), `"tokens"`)
	assert.Contains(t, err.Error(), "20.000001")

	strict.Burst = 0 // one second of the rate
	require.NoError(t, strict.Admits(10*token))
	require.Error(t, strict.Admits(10*token+1))

	strict.Rate = policy.Unlimited
	require.NoError(t, strict.Admits(math.MaxInt64))
	strict.Rate = policy.Blocked
	require.Error(t, strict.Admits(token+1))

	strict.Strict = false
	require.NoError(t, strict.Admits(math.MaxInt64))
}

// S-L3, S-L4: a sliding limit refuses what no window could ever hold, whatever its burst is, while its rate has a span.
func TestLimitAdmitsSliding(t *testing.T) {
	for _, burst := range []float64{0, 5, 1000} {
		l := policy.Limit{Name: "tokens", Rate: policy.PerMinute(100), Burst: burst, Sliding: true}
		require.NoError(t, l.Admits(100*token))
		err := l.Admits(100*token + 1)
		require.EqualError(t, err, `policy: cost of limit "tokens" is 100.000001; `+
			"it must be at most the 100 that may be charged in any 1m0s, because the limit is sliding")
		var fault *policy.FieldError
		require.ErrorAs(t, err, &fault)
		assert.Equal(t, 100*token+1, fault.Value)

		require.NoError(t, l.WithRate(policy.Blocked).Admits(math.MaxInt64))
		require.NoError(t, l.WithRate(policy.Unlimited).Admits(math.MaxInt64))
		require.Error(t, l.WithRate(policy.Blocked).WithRate(policy.PerHour(100)).Admits(100*token+1))
		require.NoError(t, l.WithRate(policy.PerHour(200)).Admits(200*token))
	}
	both := policy.Limit{Name: "tokens", Rate: policy.PerMinute(100), Burst: 5, Sliding: true, Strict: true}
	require.NoError(t, both.Admits(5*token))
	require.ErrorContains(t, both.Admits(6*token), "the burst of 5")
}

// S-L12: a default burst follows the rate, and stays what it was when the rate has no span; so does an Initial, as far as
// it fits.
func TestLimitWithRate(t *testing.T) {
	l := policy.Limit{Name: "a", Rate: policy.PerSecond(10), Initial: 5}
	assert.InDelta(t, 10, l.Capacity(), 0)
	assert.InDelta(t, 20, l.WithRate(policy.PerSecond(20)).Capacity(), 0)
	assert.InDelta(t, 10, l.WithRate(policy.Blocked).Capacity(), 0)
	assert.InDelta(t, 10, l.WithRate(policy.Unlimited).WithRate(policy.Blocked).Capacity(), 0)
	assert.InDelta(t, 2, l.WithRate(policy.Unlimited).WithRate(policy.PerSecond(2)).Capacity(), 0)
	assert.InDelta(t, 5, l.WithRate(policy.Blocked).Initial, 0)
	assert.InDelta(t, 5, l.WithRate(policy.PerSecond(5)).Initial, 0)
	assert.InDelta(t, 0, l.WithRate(policy.PerSecond(4)).Initial, 0)
	l.Burst = 7
	assert.InDelta(t, 7, l.WithRate(policy.PerSecond(2)).WithRate(policy.Blocked).Capacity(), 0)
	l.Initial = 7
	assert.InDelta(t, 7, l.WithBurst(7).Initial, 0, "it fits")
	assert.InDelta(t, 0, l.WithBurst(6).Initial, 0, "it does not fit any more")
	require.NoError(t, l.WithBurst(6).Validate())
	l.Initial = policy.Empty
	assert.InDelta(t, policy.Empty, l.WithRate(policy.PerSecond(1)).Initial, 0)
}

// S-L4: a strict limit admits a cost equal to its burst, however the two are written.
func TestLimitAdmitsItsBurst(t *testing.T) {
	for i := 1; i < 300_000; i += 7 {
		tokens := float64(i) / 1000
		cost, err := policy.AmountOf("cost", tokens)
		require.NoError(t, err)
		l := policy.Limit{Name: "a", Rate: policy.PerSecond(1), Burst: tokens, Strict: true}
		if l.Admits(cost) != nil || l.Admits(cost+1) == nil {
			t.Fatalf("burst and cost of %v", tokens)
		}
	}
}

func TestRateText(t *testing.T) {
	for want, r := range map[string]policy.Rate{
		"10/s":      policy.PerSecond(10),
		"2.5/s":     policy.PerSecond(2.5),
		"500/min":   policy.PerMinute(500),
		"7/h":       policy.PerHour(7),
		"1000/day":  policy.PerDay(1000),
		"3/1.5s":    policy.Per(3, 1500*time.Millisecond),
		"blocked":   policy.Blocked,
		"unlimited": policy.Unlimited,
		"no rate":   {},
		"0/s":       policy.PerSecond(0),
		"-1/min":    policy.PerMinute(-1),
		"NaN/h":     policy.PerHour(math.NaN()),
		"3/-1s":     policy.Per(3, -time.Second),
		"0/0s":      policy.Per(0, 0),
	} {
		assert.Equal(t, want, r.String())
	}
	assert.True(t, policy.Rate{}.IsZero())
	for _, r := range []policy.Rate{policy.Blocked, policy.Unlimited, policy.PerSecond(1), policy.PerSecond(0), policy.Per(0, 0), policy.Per(1, 0)} {
		assert.False(t, r.IsZero(), "%v", r)
	}
}

func TestJitterText(t *testing.T) {
	for want, j := range map[string]policy.Jitter{
		"FullJitter":          {},
		"NoJitter":            policy.NoJitter,
		"EqualJitter":         policy.EqualJitter,
		"DecorrelatedJitter":  policy.DecorrelatedJitter,
		"JitterFraction(0.5)": policy.JitterFraction(0.5),
		"JitterFraction(0.1)": policy.JitterFraction(0.1), // as given, not 1.1 - 1
		"JitterFraction(7)":   policy.JitterFraction(7),
		"JitterRange(0.1, 3)": policy.JitterRange(0.1, 3),
	} {
		assert.Equal(t, want, j.String())
	}
	assert.Equal(t, policy.Jitter{}, policy.FullJitter, "the zero Jitter is FullJitter")
}

func TestOpenCircuitError(t *testing.T) {
	cause := errors.New("bad gateway")
	for _, tt := range []struct {
		err  *policy.OpenCircuitError
		want string
	}{
		{&policy.OpenCircuitError{}, "circuit open, retry after 0s"},
		{&policy.OpenCircuitError{RetryAfter: -1}, "circuit open until it is reset"},
		{&policy.OpenCircuitError{Key: "a", RetryAfter: 1500 * time.Millisecond}, `circuit of key "a" open, retry after 1.5s`},
		{&policy.OpenCircuitError{Key: "a", RetryAfter: -1, Cause: cause}, `circuit of key "a" open until it is reset (opened by: bad gateway)`},
	} {
		require.EqualError(t, tt.err, tt.want)
		require.ErrorIs(t, tt.err, policy.ErrOpenCircuit)
		require.NotErrorIs(t, tt.err, policy.ErrInvalid)
		if tt.err.Cause != nil {
			require.ErrorIs(t, tt.err, cause)
		}
	}
}

func TestTime(t *testing.T) {
	for _, tt := range []struct {
		t    policy.Time
		d    time.Duration
		want policy.Time
	}{
		{0, 0, 0},
		{5, 3, 8},
		{5, -3, 2},
		{5, -6, 0},
		{5, math.MinInt64, 0},
		{0, math.MaxInt64, policy.Never},
		{1, math.MaxInt64, policy.Never},
		{policy.Never, 1, policy.Never},
		{policy.Never, math.MaxInt64, policy.Never},
		{policy.Never - 1, 1, policy.Never},
	} {
		assert.Equal(t, tt.want, tt.t.Add(tt.d), "%d + %d", tt.t, tt.d)
	}
	assert.Equal(t, time.Second, at(3*time.Second).Sub(at(2*time.Second)))
	assert.Equal(t, -time.Second, at(2*time.Second).Sub(at(3*time.Second)))
	assert.Equal(t, time.Duration(math.MaxInt64), policy.Never.Sub(0))
	assert.Equal(t, "1m3.5s", at(63500*time.Millisecond).String())
	assert.Equal(t, "never", policy.Never.String())
}
