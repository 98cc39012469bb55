package fakellm

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

func TestConfigValidate(t *testing.T) {
	good := []Config{
		{},
		{Rate: 1e-9}, {Rate: 1e9, Burst: 1e9}, {Rate: 2.5, Burst: 1},
		{Fail: 0.999, Throttle: 0.5, Slow: 0.1},
		{Latency: Range{Min: time.Second}}, {Latency: Range{Max: time.Second}}, {Latency: Range{Min: 1, Max: 1}},
		{OutageFor: time.Second}, {OutageAt: time.Second, OutageFor: 1},
		{Accounts: map[string]int{"a": 0, "b": 1}}, {Keys: []string{"a", "b"}, Seed: math.MaxUint64, MaxBody: 1},
		{Dialect: Silent, Concurrent: 1, Stall: time.Millisecond, WordDelay: maxWait},
		{Limits: []Limit{{Max: 600, Per: time.Minute}, {Max: 1e9, Per: maxWait, Engine: FixedWindow, Counts: OutputTokens}}},
		{Faults: Faults{Share: 0.99, Kinds: Transients(), PerPrompt: 9}, Rules: []Rule{{Fault: NoQuota}}},
		{Phases: []Phase{{Speed: 1e-3}, {Speed: 1e3}, {At: time.Hour, Fault: BadKey}}},
	}
	for _, c := range good {
		if err := c.Validate(); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
	bad := []struct {
		field string
		cfg   Config
	}{
		{"Rate", Config{Rate: -1}}, {"Rate", Config{Rate: 1e-10}}, {"Rate", Config{Rate: math.NaN()}},
		{"Rate", Config{Rate: math.Inf(1)}}, {"Rate", Config{Rate: 2e9}},
		{"Burst", Config{Burst: 0.5}}, {"Burst", Config{Burst: -1}}, {"Burst", Config{Burst: math.NaN()}},
		{"Fail", Config{Fail: 1}}, {"Fail", Config{Fail: -0.1}}, {"Fail", Config{Fail: math.NaN()}},
		{"Throttle", Config{Throttle: 1}}, {"Slow", Config{Slow: 1.5}},
		{"RetryAfter", Config{RetryAfter: -1}}, {"RetryAfter", Config{RetryAfter: maxWait + 1}},
		{"Latency.Min", Config{Latency: Range{Min: -1}}},
		{"Latency.Max", Config{Latency: Range{Min: 2, Max: 1}}}, {"Latency.Max", Config{Latency: Range{Max: maxWait + 1}}},
		{"SlowLatency", Config{SlowLatency: -1}},
		{"OutageAt", Config{OutageAt: -1, OutageFor: 1}}, {"OutageAt", Config{OutageAt: 1}}, {"OutageFor", Config{OutageFor: -1}},
		{"Dialect", Config{Dialect: Silent + 1}}, {"Concurrent", Config{Concurrent: -1}},
		{"Limits[0].Max", Config{Limits: []Limit{{Per: time.Minute, Engine: FixedWindow}}}},
		{"Limits[0].Max", Config{Limits: []Limit{{Max: math.NaN(), Per: time.Minute, Engine: FixedWindow}}}},
		{"Limits[0].Max", Config{Limits: []Limit{{Max: 1e7, Per: time.Second}}}},
		{"Limits[1].Per", Config{Limits: []Limit{{Max: 1, Per: time.Minute}, {Max: 1, Engine: FixedWindow}}}},
		{"Limits[0].Burst", Config{Limits: []Limit{{Max: 1, Per: time.Minute, Burst: 2, Engine: SlidingWindow}}}},
		{"Limits[0].Counts", Config{Limits: []Limit{{Max: 1, Per: time.Minute, Counts: OutputTokens + 1}}}},
		{"Limits[0].Engine", Config{Limits: []Limit{{Max: 1, Per: time.Minute, Engine: FixedWindow + 1}}}},
		{"Faults.Share", Config{Faults: Faults{Share: 1}}}, {"Faults.PerPrompt", Config{Faults: Faults{PerPrompt: -1}}},
		{"Faults.Kinds", Config{Faults: Faults{Kinds: []Fault{NoQuota}}}}, {"Faults.Kinds", Config{Faults: Faults{Kinds: []Fault{"x"}}}},
		{"Rules[0].Fault", Config{Rules: []Rule{{}}}}, {"Rules[0].Times", Config{Rules: []Rule{{Fault: Reset, Times: -1}}}},
		{"Phases[0].At", Config{Phases: []Phase{{At: -1}}}}, {"Phases[1].At", Config{Phases: []Phase{{At: 1}, {}}}},
		{"Phases[0].Speed", Config{Phases: []Phase{{Speed: 1e-4}}}}, {"Phases[0].Fault", Config{Phases: []Phase{{Fault: "x"}}}},
		{"Stall", Config{Stall: 1}}, {"WordDelay", Config{WordDelay: -1}},
		{"MaxBody", Config{MaxBody: -1}}, {"Keys", Config{Keys: []string{"a", ""}}},
		{"Accounts", Config{Accounts: map[string]int{"a": -1}}}, {"Accounts", Config{Accounts: map[string]int{"": 1}}},
	}
	for _, c := range bad {
		err := c.cfg.Validate()
		var fault *FieldError
		if !errors.Is(err, ErrConfig) || !errors.As(err, &fault) || fault.Field != c.field {
			t.Errorf("%+v: %v, want a fault of %s", c.cfg, err, c.field)
		}
		if _, err := New(c.cfg); !errors.Is(err, ErrConfig) {
			t.Errorf("New(%+v): %v", c.cfg, err)
		}
	}
}

func TestConfigReportsAllFaults(t *testing.T) {
	err := Config{Rate: -2, Fail: 1.5, MaxBody: -3}.Validate()
	for _, want := range []string{"Config.Rate is -2, allowed: 0", "Config.Fail is 1.5, allowed: a fraction", "Config.MaxBody is -3, allowed"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}

func TestConfigDefaults(t *testing.T) {
	c := Config{Latency: Range{Min: 5}}.withDefaults()
	if c.Burst != 1 || c.RetryAfter != time.Second || c.Latency.Max != 5 || c.SlowLatency != 2*time.Second || c.MaxBody != 4<<20 {
		t.Errorf("%+v", c)
	}
	if b := (Config{Rate: 7.5}).withDefaults().Burst; b != 7.5 {
		t.Errorf("burst %v for a rate of 7.5", b)
	}
}
