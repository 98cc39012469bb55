package main

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/policy"
)

// The same scenario runs against the model of Toller and against a dispatcher that is configured alike.

// settings are those of @toller.task. What is zero is not enabled.
type settings struct {
	rate, burst     float64       // rl_calls_per_second, rl_max_burst_calls
	attempts        int           // retry_max_attempts
	delay, maxDelay time.Duration // retry_delay, retry_max_delay
	backoff         float64       // retry_backoff
	jitter          any           // retry_jitter
	threshold       int           // cb_failure_threshold
	recovery        time.Duration // cb_recovery_timeout
	expected        expected      // cb_expected_exception
}

type expected uint8

const (
	anyException       expected = iota // Exception
	transientException                 // TransientError
	retriesException                   // MaxRetriesExceeded
)

// contestant is one of the two, as far as a scenario needs it. Functions that are wrapped by one share its limiter and breaker.
type contestant struct {
	wrap   func(fn func(context.Context) error, calls float64) func(context.Context) error
	tokens func() float64 // in the limiter
	state  func() string  // of the circuit
}

func newToller(_ *testing.T, s settings) contestant {
	task := tollerTask{retry: tollerRetry{attempts: s.attempts, delay: s.delay, maxDelay: s.maxDelay, backoff: s.backoff, jitter: s.jitter}}
	if s.rate > 0 {
		task.limiter = newTollerLimiter(s.rate, s.burst)
	}
	if s.threshold > 0 {
		task.breaker = &tollerBreaker{threshold: s.threshold, recovery: s.recovery, state: "closed", expected: map[expected]func(error) bool{
			anyException: isException, transientException: is[transientError], retriesException: is[maxRetriesExceededError],
		}[s.expected]}
	}
	return contestant{
		wrap: func(fn func(context.Context) error, calls float64) func(context.Context) error {
			own := task
			own.fn, own.calls = fn, calls
			return own.call
		},
		tokens: func() float64 { return task.limiter.level() },
		state:  func() string { return task.breaker.current() },
	}
}

// config is what the settings are called here.
func (s settings) config() dispatcher.Config {
	cfg := dispatcher.Config{
		Retry:   policy.Retry{MaxAttempts: s.attempts, Delay: s.delay, MaxDelay: s.maxDelay, Backoff: s.backoff},
		Breaker: policy.Breaker{FailureThreshold: s.threshold, RecoveryTimeout: s.recovery},
	}
	if s.rate > 0 {
		cfg.Limits = []policy.Limit{{Name: "calls", Rate: policy.PerSecond(s.rate), Burst: s.burst}}
	}
	if s.threshold > 0 && s.expected != transientException {
		cfg.Breaker.Counts = policy.CountJobs
	}
	switch jitter := s.jitter.(type) {
	case bool:
		cfg.Retry.Jitter = policy.NoJitter
		if jitter {
			cfg.Retry.Jitter = policy.FullJitter
		}
	case int:
		cfg.Retry.Jitter = policy.JitterFraction(float64(jitter))
	case float64:
		cfg.Retry.Jitter = policy.JitterFraction(jitter)
	case [2]float64:
		cfg.Retry.Jitter = policy.JitterRange(jitter[0], jitter[1])
	}
	return cfg
}

func newOurs(t *testing.T, s settings) contestant {
	t.Helper()
	d := open(t, s.config())
	return contestant{
		wrap: func(fn func(context.Context) error, calls float64) func(context.Context) error {
			marked := func(ctx context.Context, _ struct{}) (struct{}, error) { return struct{}{}, mark(fn(ctx)) }
			var options []dispatcher.Option
			if s.rate > 0 {
				options = append(options, dispatcher.WithCost("calls", calls))
			}
			wrapped := dispatcher.Wrap(d, marked, options...)
			return func(ctx context.Context) error {
				_, err := wrapped(ctx, struct{}{})
				return err
			}
		},
		tokens: func() float64 { d.Snapshot(); return d.Snapshot().Limits[0].Level }, // a snapshot may be as old as the turn before it
		state:  func() string { return circuit(d).String() },
	}
}

// mark says what an error means, which in Python its class does.
func mark(err error) error {
	switch {
	case is[transientError](err):
		return policy.Transient(err)
	case is[fatalError](err):
		return policy.Fatal(err)
	default:
		return err
	}
}

// rejected reports whether a call was turned away by the circuit.
func rejected(err error) bool {
	return is[openCircuitError](err) || errors.Is(err, policy.ErrOpenCircuit)
}

// surprise runs a scenario against both, each in a bubble of its own. What is to be seen with the model of Toller is the surprise;
// with ours it must be something else.
func surprise[T any](t *testing.T, s settings, scenario func(t *testing.T, c contestant) T, toller, ours T) {
	t.Helper()
	if reflect.DeepEqual(toller, ours) {
		t.Fatal("what is the same is no surprise")
	}
	for _, run := range []struct {
		name  string
		enter func(*testing.T, settings) contestant
		want  T
	}{{"model of Toller", newToller, toller}, {"ours", newOurs, ours}} {
		t.Run(run.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				same(t, "seen", scenario(t, run.enter(t, s)), run.want)
			})
		})
	}
}
