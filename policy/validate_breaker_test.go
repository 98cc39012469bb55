package policy_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/toller-go/toller/policy"
)

func TestBreakerValidate(t *testing.T) {
	for _, tt := range []struct {
		name    string
		breaker policy.Breaker
		want    []string
	}{
		{"zero is off (S-R13)", policy.Breaker{}, nil},
		{"plain", policy.Breaker{FailureThreshold: 1}, nil},
		{"full", policy.Breaker{
			FailureThreshold: 5, RecoveryTimeout: 1, Probes: 3, Successes: 2, ProbeTimeout: 1, Reprobe: 1, WhenOpen: policy.Wait,
		}, nil},
		{"off, but keys can be unusable", policy.Breaker{Reprobe: time.Minute, WhenOpen: policy.FailFast}, nil},
		{"full, ratios by number", policy.Breaker{
			FailureRatio: 1, SlowCall: 1, SlowRatio: 1, Window: 1_000_000, MinSamples: 1_000_000, Counts: policy.CountJobs,
			RecoveryTimeout: 5, MaxRecoveryTimeout: 5, RecoveryBackoff: math.MaxFloat64, RecoveryJitter: 1,
		}, nil},
		{"full, ratios by time", policy.Breaker{FailureRatio: 1e-9, WindowTime: 1, MinSamples: 1_000_000}, nil},
		{"slow probes only", policy.Breaker{FailureThreshold: 1, SlowCall: 1}, nil},
		{"long recovery", policy.Breaker{FailureThreshold: 1, RecoveryTimeout: time.Hour}, nil},
		{"ratio negative", policy.Breaker{FailureRatio: -0.1}, []string{"Breaker.FailureRatio"}},
		{"ratio in percent", policy.Breaker{FailureRatio: 50}, []string{"Breaker.FailureRatio"}},
		{"ratio not a number", policy.Breaker{FailureRatio: math.NaN()}, []string{"Breaker.FailureRatio"}},
		{"slow ratio", policy.Breaker{SlowRatio: 1.01, SlowCall: 1}, []string{"Breaker.SlowRatio"}},
		{"slow ratio without slow calls", policy.Breaker{SlowRatio: 0.5}, []string{"Breaker.SlowCall"}},
		{"slow calls negative", policy.Breaker{FailureThreshold: 1, SlowCall: -1}, []string{"Breaker.SlowCall"}},
		{"slow calls alone are not looked at", policy.Breaker{SlowCall: 1}, []string{"Breaker.FailureThreshold"}},
		{"window negative", policy.Breaker{FailureRatio: 0.5, Window: -1}, []string{"Breaker.Window"}},
		{"window too large", policy.Breaker{FailureRatio: 0.5, Window: 1_000_001}, []string{"Breaker.Window"}},
		{"window time", policy.Breaker{FailureRatio: 0.5, WindowTime: -1}, []string{"Breaker.WindowTime"}},
		{"both windows", policy.Breaker{FailureRatio: 0.5, Window: 10, WindowTime: 1}, []string{"Breaker.Window"}},
		{"samples negative", policy.Breaker{FailureRatio: 0.5, MinSamples: -1}, []string{"Breaker.MinSamples"}},
		{"samples beyond the window", policy.Breaker{FailureRatio: 0.5, Window: 10, MinSamples: 11}, []string{"Breaker.MinSamples"}},
		{"samples beyond the default window", policy.Breaker{FailureRatio: 0.5, MinSamples: 101}, []string{"Breaker.MinSamples"}},
		{"cap below recovery", policy.Breaker{FailureThreshold: 1, RecoveryTimeout: time.Minute, MaxRecoveryTimeout: time.Second}, []string{"Breaker.MaxRecoveryTimeout"}},
		{"cap below default recovery", policy.Breaker{FailureThreshold: 1, MaxRecoveryTimeout: time.Second}, []string{"Breaker.MaxRecoveryTimeout"}},
		{"cap negative", policy.Breaker{FailureThreshold: 1, MaxRecoveryTimeout: -1}, []string{"Breaker.MaxRecoveryTimeout"}},
		{"growth below one", policy.Breaker{FailureThreshold: 1, RecoveryBackoff: 0.5}, []string{"Breaker.RecoveryBackoff"}},
		{"growth infinite", policy.Breaker{FailureThreshold: 1, RecoveryBackoff: math.Inf(1)}, []string{"Breaker.RecoveryBackoff"}},
		{"growth not a number", policy.Breaker{FailureThreshold: 1, RecoveryBackoff: math.NaN()}, []string{"Breaker.RecoveryBackoff"}},
		{"jitter negative", policy.Breaker{FailureThreshold: 1, RecoveryJitter: -0.1}, []string{"Breaker.RecoveryJitter"}},
		{"jitter in percent", policy.Breaker{FailureThreshold: 1, RecoveryJitter: 10}, []string{"Breaker.RecoveryJitter"}},
		{"counted", policy.Breaker{FailureThreshold: 1, Counts: policy.CountJobs + 1}, []string{"Breaker.Counts"}},
		{"threshold", policy.Breaker{FailureThreshold: -1}, []string{"Breaker.FailureThreshold"}},
		{"recovery", policy.Breaker{FailureThreshold: 1, RecoveryTimeout: -1}, []string{"Breaker.RecoveryTimeout"}},
		{"probes", policy.Breaker{FailureThreshold: 1, Probes: -1}, []string{"Breaker.Probes"}},
		{"successes", policy.Breaker{FailureThreshold: 1, Successes: -1}, []string{"Breaker.Successes"}},
		{"probe timeout", policy.Breaker{FailureThreshold: 1, ProbeTimeout: -1}, []string{"Breaker.ProbeTimeout"}},
		{"reprobe", policy.Breaker{Reprobe: -1}, []string{"Breaker.Reprobe"}},
		{"choice", policy.Breaker{WhenOpen: policy.Wait + 1}, []string{"Breaker.WhenOpen"}},
		{"forgotten threshold: recovery", policy.Breaker{RecoveryTimeout: 1}, []string{"Breaker.FailureThreshold"}},
		{"forgotten threshold: probes", policy.Breaker{Probes: 1}, []string{"Breaker.FailureThreshold"}},
		{"forgotten threshold: successes", policy.Breaker{Successes: 1}, []string{"Breaker.FailureThreshold"}},
		{"forgotten threshold: probe timeout", policy.Breaker{ProbeTimeout: 1}, []string{"Breaker.FailureThreshold"}},
		{"all at once", policy.Breaker{
			FailureThreshold: -1, RecoveryTimeout: -1, Probes: -1, Successes: -1, ProbeTimeout: -1, Reprobe: -1, WhenOpen: 7,
		}, []string{
			"Breaker.FailureThreshold", "Breaker.RecoveryTimeout", "Breaker.ProbeTimeout", "Breaker.Reprobe", "Breaker.Probes",
			"Breaker.Successes", "Breaker.WhenOpen",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, fields(t, tt.breaker.Validate()))
		})
	}
}
