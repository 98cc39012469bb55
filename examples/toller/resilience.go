package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
)

// What the model's API answers when it does not answer. In Python these are subclasses of TransientError and FatalError; here
// the function that meets one says what it means.
var (
	errTooMany     = errors.New("429 too many requests")
	errUnavailable = errors.New("503 service unavailable")
	errTooShort    = errors.New("400 bad request: the prompt is too short")
)

// model is a made-up API. It is not safe for concurrent use.
type model struct {
	diary  diary
	chance *rand.Rand
	down   int // how many attempts it will still fail
}

// complete is one call of the API, well or not.
func (m *model) complete(ctx context.Context, prompt string) (string, error) {
	if err := pause(ctx, time.Duration(10+m.chance.IntN(21))*time.Millisecond); err != nil {
		return "", err
	}
	answer, err := m.answer(prompt)
	attempt, _ := job.AttemptFrom(ctx)
	if err != nil {
		m.diary.note("  attempt %d: %v", attempt.N, err)
	} else {
		m.diary.note("  attempt %d: 200 OK", attempt.N)
	}
	return answer, err
}

func (m *model) answer(prompt string) (string, error) {
	switch {
	case m.down > 0:
		m.down--
		return "", policy.Transient(errUnavailable)
	case m.chance.IntN(5) == 0:
		return "", policy.Throttled(errTooMany, policy.NoHint)
	case len(prompt) < 5:
		return "", policy.Fatal(errTooShort)
	}
	return fmt.Sprintf("generated text for %q", prompt), nil
}

// calls are the prompts of the story, and for how many attempts the API goes down before each. In the original, "Short" has
// five letters, which is not too short, and the outage begins with the first prompt and is over before the circuit can open.
var calls = []struct {
	prompt string
	outage int
}{
	{prompt: "Tell me a story about a brave duck."},
	{prompt: "Explain async programming."},
	{prompt: "Shor"},
	{prompt: "Another valid prompt after fatal."},
	{prompt: "Prompt to trigger server errors 1", outage: 6},
	{prompt: "Prompt to trigger server errors 2"},
	{prompt: "Prompt after the circuit should open"},
	{prompt: "Prompt after the recovery"},
}

// resilience is example 1: one limit, retries and a circuit breaker around calls of a model.
func resilience(ctx context.Context, diary diary, seed uint64) (err error) {
	diary.note("Example 1: resilience for calls of a model. All times are a tenth of those in Toller's README.")
	d, err := dispatcher.New(dispatcher.Config{
		Name: "model",
		// 10 calls a second, and 5 at once.
		Limits: []policy.Limit{{Name: "calls", Rate: policy.PerSecond(10), Burst: 5}},
		// 3 attempts, of which each passes the limit; a 429 is none of them.
		Retry: policy.Retry{MaxAttempts: 3, Delay: 100 * time.Millisecond, Backoff: 2},
		// Two calls in a row that have used up their attempts open the circuit for 2 s.
		Breaker: policy.Breaker{FailureThreshold: 2, RecoveryTimeout: 2 * time.Second, Counts: policy.CountJobs},
		Seed:    seed,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close(ctx)) }()
	api := &model{diary: diary, chance: rand.New(rand.NewPCG(seed, seed))}
	complete := dispatcher.Wrap(d, api.complete)

	state := circuit(d)
	for _, call := range calls {
		if call.outage > 0 {
			diary.note("The API goes down for the next %d attempts", call.outage)
			api.down = call.outage
		}
		diary.note("Sending %q", call.prompt)
		answer, err := complete(ctx, call.prompt)
		wait := tell(diary, answer, err)
		if now := circuit(d); now != state {
			state = now
			diary.note("  The circuit is %v now", state)
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
	return nil
}

// tell notes how a call has ended, and returns how long to wait before the next one.
func tell(diary diary, answer string, err error) time.Duration {
	var exceeded *job.MaxRetriesExceededError
	var open *policy.OpenCircuitError
	switch {
	case err == nil:
		diary.note("  Success: %s", answer)
	case errors.As(err, &exceeded):
		diary.note("  Retries exceeded: %d attempts, and the last error is: %v", exceeded.Attempts, exceeded.Last)
	case errors.As(err, &open):
		diary.note("  Open circuit: not sent, because of: %v", open.Cause)
		diary.note("Waiting for the %.1f s until the circuit is tested", open.RetryAfter.Seconds())
		return open.RetryAfter
	case errors.Is(err, errTooShort):
		diary.note("  Fatal, and so not tried again: %v", errTooShort)
	default:
		diary.note("  Unexpected: %v", err)
	}
	return 30 * time.Millisecond
}

// circuit returns the state of the circuit of d's only key.
func circuit(d *dispatcher.Dispatcher) policy.State {
	for _, key := range d.Snapshot().Keys {
		return key.Circuit
	}
	return policy.Closed // there is nothing to say of a key that is as new
}
