package policy_test

import (
	"math"
	"testing"
	"time"

	"github.com/toller-go/toller/policy"
)

func TestRateOver(t *testing.T) {
	for _, test := range []struct {
		rate policy.Rate
		over time.Duration
		want float64
	}{
		{policy.PerSecond(10), time.Minute, 600},
		{policy.PerMinute(60), 1500 * time.Millisecond, 1.5},
		{policy.Per(3, 1500*time.Millisecond), 500 * time.Millisecond, 1},
		{policy.PerDay(1), 36 * time.Hour, 1.5},
		{policy.PerSecond(10), 0, 0},
		{policy.PerSecond(10), -time.Second, 0},
		{policy.Blocked, time.Hour, 0},
		{policy.Unlimited, time.Hour, math.Inf(1)},
		{policy.Rate{}, time.Hour, 0},
	} {
		if got := test.rate.Over(test.over); got != test.want {
			t.Errorf("%v over %v: got %v, want %v", test.rate, test.over, got, test.want)
		}
	}
}

func TestRateSlower(t *testing.T) {
	inOrder := []policy.Rate{policy.Blocked, policy.PerDay(1), policy.PerHour(1), policy.PerMinute(1), policy.PerSecond(1), policy.PerMinute(61), policy.Unlimited}
	for i, r := range inOrder {
		for j, s := range inOrder {
			if got := r.Slower(s); got != (i < j) {
				t.Errorf("%v slower than %v: %v", r, s, got)
			}
		}
	}
	if policy.PerMinute(60).Slower(policy.PerSecond(1)) || policy.PerSecond(1).Slower(policy.PerMinute(60)) {
		t.Error("one and the same rate is slower than itself")
	}
}
