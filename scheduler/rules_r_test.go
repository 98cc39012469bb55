package scheduler_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/scheduler"
)

// What the core does with the rules of policy, at exact instants; the transcripts tell the longer stories.

const ms = time.Millisecond

var (
	good      = policy.Outcome{}
	bad       = policy.Outcome{Verdict: policy.VerdictFailure, Retry: true}
	hopeless  = policy.Outcome{Verdict: policy.VerdictFailure}
	throttled = policy.Outcome{Verdict: policy.VerdictNeutral, Retry: true, Throttled: true}
)

// hinting adds a server's hint to an outcome.
func hinting(out policy.Outcome, hint time.Duration) policy.Outcome {
	out.Hinted, out.Hint = true, hint
	return out
}

// stage plays a core at the instants that a test names. What comes out is told in words, as in the transcripts,
// save that keys are forgotten.
type stage struct {
	*scheduler.Core
	t    *testing.T
	jobs map[string]*scheduler.Entry
}

func newStage(t *testing.T, cfg scheduler.Config) *stage {
	t.Helper()
	require.NoError(t, cfg.Retry.Validate())
	require.NoError(t, cfg.Breaker.Validate())
	require.NoError(t, cfg.Budget.Validate())
	if cfg.Workers == 0 {
		cfg.Workers = 9
	}
	return &stage{scheduler.New(cfg), t, map[string]*scheduler.Entry{}}
}

// step hands in one event and returns what comes of it.
func (s *stage) step(now time.Duration, ev scheduler.Event) string {
	ev.At = policy.Time(now)
	s.Step(ev)
	var told []string
	for _, effect := range s.Effects() {
		if effect.Kind == scheduler.Forgotten {
			continue
		}
		words := effect.Kind.String()
		if effect.Entry != nil {
			words += " " + effect.Entry.Owner.(string)
		}
		switch effect.Kind {
		case scheduler.Settle:
			words += ": " + effect.Reason.String()
		case scheduler.Parked, scheduler.Opened, scheduler.Cooling:
			words += fmt.Sprint(" until ", effect.Until)
		default:
		}
		told = append(told, words)
	}
	return strings.Join(told, ", ")
}

func (s *stage) submit(now time.Duration, name string, e scheduler.Entry) string {
	e.Owner = name
	s.jobs[name] = &e
	return s.step(now, scheduler.Event{Kind: scheduler.Submit, Entry: &e})
}

// start submits a job that is started at once.
func (s *stage) start(now time.Duration, name string) {
	s.t.Helper()
	require.Equal(s.t, "start "+name, s.submit(now, name, scheduler.Entry{}))
}

// done ends the latest attempt of a job.
func (s *stage) done(now time.Duration, name string, out policy.Outcome) string {
	e := s.jobs[name]
	return s.step(now, scheduler.Event{Kind: scheduler.Done, Entry: e, Attempt: e.Runs(), Outcome: out})
}

// unstarted takes the latest attempt of a job back.
func (s *stage) unstarted(now time.Duration, name string) string {
	e := s.jobs[name]
	return s.step(now, scheduler.Event{Kind: scheduler.Unstarted, Entry: e, Attempt: e.Runs()})
}

func (s *stage) tick(now time.Duration) string { return s.step(now, scheduler.Event{}) }

// fails ends the latest attempt of a job, which must be parked, and returns for how long.
func (s *stage) fails(now time.Duration, name string, out policy.Outcome) time.Duration {
	s.t.Helper()
	told := s.done(now, name, out)
	_, until, found := strings.Cut(told, "parked "+name+" until ")
	require.True(s.t, found, "at %v: %s", now, told)
	instant, err := time.ParseDuration(until)
	require.NoError(s.t, err, told)
	return instant - now
}

// exactly is a retry without jitter.
func exactly(attempts int, delay time.Duration, factor float64) policy.Retry {
	return policy.Retry{MaxAttempts: attempts, Delay: delay, Backoff: factor, Jitter: policy.NoJitter}
}

// S-R1: the first execution counts; unlimited is explicit, and no number of failures ends it.
func TestAttemptsAreCounted(t *testing.T) {
	for _, attempts := range []int{1, 2, 7} {
		s := newStage(t, scheduler.Config{Retry: exactly(attempts, ms, 1)})
		s.start(0, "a")
		now := time.Duration(0)
		for range attempts - 1 {
			require.Equal(t, ms, s.fails(now, "a", bad), "%d attempts", attempts)
			now += ms
			require.Equal(t, "start a", s.tick(now))
		}
		require.Equal(t, "settle a: attempts used up", s.done(now, "a", bad))
	}
	s := newStage(t, scheduler.Config{Retry: exactly(policy.UnlimitedAttempts, ms, 1)})
	s.start(0, "a")
	for n := range 5000 {
		now := time.Duration(n) * ms
		require.Equal(t, ms, s.fails(now, "a", bad))
		require.Equal(t, "start a", s.tick(now+ms))
	}
}

// S-R3: decorrelated jitter is told the wait before. S-R4: that is the backoff, not what a server's hint made of it.
func TestDecorrelatedJitterKnowsTheWaitBefore(t *testing.T) {
	for _, out := range []policy.Outcome{bad, hinting(bad, 0)} {
		s := newStage(t, scheduler.Config{Retry: policy.Retry{MaxAttempts: policy.UnlimitedAttempts, Delay: ms, MaxDelay: time.Second, Jitter: policy.DecorrelatedJitter}})
		s.start(0, "a")
		var now, longest time.Duration
		before := ms
		for range 100 {
			wait := s.fails(now, "a", out)
			require.GreaterOrEqual(t, wait, ms)
			require.Less(t, wait, 3*before)
			before, longest = wait, max(longest, wait)
			now += wait
			require.Equal(t, "start a", s.tick(now))
		}
		require.Greater(t, longest, 100*ms, "it grows")
	}

	s := newStage(t, scheduler.Config{Retry: policy.Retry{MaxAttempts: 9, Delay: ms, Jitter: policy.DecorrelatedJitter}})
	s.start(0, "a")
	now := s.fails(0, "a", hinting(bad, time.Hour))
	require.Equal(t, "start a", s.tick(now))
	require.Less(t, s.fails(now, "a", bad), 9*ms)
}

// S-R4: MaxDelay caps the backoff and not a hint; a hint is the floor of one wait.
func TestHintGoesBeyondMaxDelay(t *testing.T) {
	rule := exactly(9, 100*ms, 2)
	rule.MaxDelay = time.Second
	s := newStage(t, scheduler.Config{Retry: rule})
	s.start(0, "a")
	now := s.fails(0, "a", hinting(bad, 10*time.Second))
	require.GreaterOrEqual(t, now, 10*time.Second)
	require.Less(t, now, 11*time.Second)
	require.Equal(t, "start a", s.tick(now))
	require.Equal(t, 200*ms, s.fails(now, "a", bad))
}

// S-R4: what becomes of a hint beyond MaxHint, in all three ways. A hint that is capped is capped for the key, too: the job
// would otherwise wait for the rest of it in the cooldown, or before the open circuit.
func TestHintBeyondMaxHint(t *testing.T) {
	for _, tt := range []struct {
		beyond              policy.BeyondHint
		transient, throttle string
	}{
		{policy.HintFails, "opened a until 1h0m0s, settle a: hint too long", "cooling a until 1h0m0s, settle a: hint too long"},
		{policy.HintWaits, "opened a until 1h0m0s, parked a until 1h", "cooling a until 1h0m0s, parked a until 1h"},
		{policy.HintCapped, "opened a until 1m0s, parked a until 1m", "cooling a until 1m0s, parked a until 1m"},
	} {
		rule := exactly(2, sec, 1)
		rule.MaxHint, rule.BeyondMaxHint, rule.MaxThrottleWait = time.Minute, tt.beyond, 2*time.Hour
		cfg := scheduler.Config{Retry: rule, Breaker: strikes(1)}
		s := newStage(t, cfg)
		s.start(0, "a")
		require.Contains(t, s.done(0, "a", hinting(bad, time.Hour)), tt.transient)
		s = newStage(t, cfg)
		s.start(0, "a")
		require.Contains(t, s.done(0, "a", hinting(throttled, time.Hour)), tt.throttle)
		require.Empty(t, s.submit(0, "b", scheduler.Entry{}))
		require.Contains(t, []policy.Time{policy.Time(time.Minute), policy.Time(time.Hour)}, s.NextWake(), "the cooldown's end")
	}
}

// S-R6: what forbids the next attempt is asked when one ends, as of the end of the wait; the budget is charged for a retry that
// will be, and for no other.
func TestBudgetIsAskedLast(t *testing.T) {
	cfg := scheduler.Config{Retry: exactly(3, time.Second, 1), Budget: policy.Budget{Ratio: .01, MinRetries: 1, Window: time.Hour}}
	cfg.Retry.MaxElapsed = 10 * time.Second
	cfg.Retry.MaxHint = time.Minute
	for _, tt := range []struct {
		name string
		out  policy.Outcome
		rest scheduler.Entry
		want string
	}{
		{"not worth it", hopeless, scheduler.Entry{}, "failed"},
		{"hint too long", hinting(bad, time.Hour), scheduler.Entry{}, "hint too long"},
		{"elapsed", hinting(bad, 10*time.Second), scheduler.Entry{}, "elapsed time used up"},
		{"deadline", bad, scheduler.Entry{Terms: &scheduler.Terms{Deadline: policy.Time(time.Second)}}, "deadline passed"},
		{"one attempt", bad, scheduler.Entry{Terms: &scheduler.Terms{Retry: &policy.Retry{MaxAttempts: 1}}}, "attempts used up"},
		{"well", good, scheduler.Entry{}, "succeeded"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t, cfg)
			require.Equal(t, "start a", s.submit(0, "a", tt.rest))
			s.start(0, "b")
			s.start(0, "c")
			require.Equal(t, "settle a: "+tt.want, s.done(0, "a", tt.out))
			require.Equal(t, time.Second, s.fails(0, "b", bad), "there is one retry, and it is left")
			require.Equal(t, "settle c: budget used up", s.done(0, "c", bad), "charged already, though b has not come back")
		})
	}
}

// S-R7: MaxElapsed is reached at the very instant, counted from Submit, waits for a start and cooldowns included.
func TestElapsedTimeIsThatSinceSubmit(t *testing.T) {
	rule := exactly(9, time.Second, 1)
	rule.MaxElapsed = 10 * time.Second
	for _, tt := range []struct {
		name      string
		notBefore time.Duration
		ends      time.Duration
		out       policy.Outcome
		want      string
	}{
		{"just in time", 0, 9*time.Second - 1, bad, "parked a until 9.999999999s"},
		{"reached", 0, 9 * time.Second, bad, "settle a: elapsed time used up"},
		{"since Submit", 5 * time.Second, 9 * time.Second, bad, "settle a: elapsed time used up"},
		{"cooldown", 0, 2 * time.Second, hinting(throttled, 8*time.Second), "cooling a until 10s, settle a: elapsed time used up"},
		{"cooldown in time", 0, 2 * time.Second, hinting(throttled, 7*time.Second), "cooling a until 9s, parked a until 9s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rule := rule
			if tt.out.Throttled {
				rule.Jitter = policy.NoJitter
			}
			s := newStage(t, scheduler.Config{Retry: rule})
			s.submit(0, "a", scheduler.Entry{Terms: &scheduler.Terms{NotBefore: policy.Time(tt.notBefore)}})
			s.tick(tt.notBefore)
			require.Equal(t, 1, s.jobs["a"].Runs())
			require.Equal(t, tt.want, s.done(tt.ends, "a", tt.out))
		})
	}

	// A failure while the key cools down because of another: the wait is as long as the cooldown.
	s := newStage(t, scheduler.Config{Retry: rule})
	s.start(0, "a")
	s.start(0, "b")
	s.done(0, "b", hinting(throttled, 9*time.Second))
	require.Equal(t, "parked a until 1s", s.done(0, "a", bad))
	s = newStage(t, scheduler.Config{Retry: rule})
	s.start(0, "a")
	s.start(0, "b")
	require.Equal(t, "cooling b until 10s, settle b: elapsed time used up", s.done(0, "b", hinting(throttled, 10*time.Second)))
	require.Equal(t, "settle a: elapsed time used up", s.done(0, "a", bad))
}

// S-R8: when the job has been called off, what its attempt returns is neutral and nothing is tried again.
func TestEndOfACanceledJobIsNeutral(t *testing.T) {
	s := newStage(t, scheduler.Config{Retry: exactly(3, time.Second, 1), Breaker: policy.Breaker{FailureThreshold: 1}})
	s.start(0, "a")
	require.Equal(t, "signal a, settle a: canceled", s.step(0, scheduler.Event{Kind: scheduler.Cancel, Entry: s.jobs["a"]}))
	require.Empty(t, s.done(time.Second, "a", bad))
	require.Empty(t, s.Snapshot().Keys, "nothing is known of its key")
	s.start(time.Second, "b")
	require.Equal(t, "opened b until 31s, parked b until 2s", s.done(time.Second, "b", bad))
}

// S-R11: retries are attempts of which the budget is a share. Throttles and the probes of waiting jobs are not its business.
func TestBudgetOfRetries(t *testing.T) {
	cfg := scheduler.Config{Workers: 100, Retry: exactly(policy.UnlimitedAttempts, time.Second, 1), Budget: policy.Budget{Ratio: .5, MinRetries: 1, Window: time.Hour}}
	t.Run("share", func(t *testing.T) {
		s := newStage(t, cfg)
		for n := range 4 {
			s.start(0, fmt.Sprint(n))
		}
		s.fails(0, "0", bad)
		s.fails(0, "1", bad)
		require.Equal(t, "settle 2: budget used up", s.done(0, "2", bad), "2 of 4")
		s.tick(time.Second)
		require.Equal(t, 2, s.jobs["1"].Runs())
		s.fails(time.Second, "0", bad)
		require.Equal(t, "settle 1: budget used up", s.done(time.Second, "1", bad), "3 of 6")
	})
	t.Run("throttles", func(t *testing.T) {
		s := newStage(t, cfg)
		s.start(0, "a")
		s.start(0, "b")
		now := time.Duration(0)
		for range 3 {
			now += s.fails(now, "a", hinting(throttled, 0))
			s.tick(now)
		}
		require.Equal(t, time.Second, s.fails(now, "b", bad), "the floor of one is left")
	})
	t.Run("probes", func(t *testing.T) {
		cfg := cfg
		cfg.Breaker = policy.Breaker{FailureThreshold: 1, RecoveryTimeout: 10 * time.Second}
		cfg.Budget.Ratio = .01
		s := newStage(t, cfg)
		s.start(0, "a")
		require.Equal(t, "opened a until 10s, parked a until 1s", s.done(0, "a", bad), "the floor of one is used up")
		for now := 10 * time.Second; now < 50*time.Second; now += 10 * time.Second {
			require.Equal(t, "half-opened, start a", s.tick(now))
			require.Equal(t, time.Second, s.fails(now, "a", bad))
		}
		require.Equal(t, "half-opened, start a", s.tick(50*time.Second))
		require.Equal(t, "closed a, settle a: succeeded", s.done(50*time.Second, "a", good))
		s.start(50*time.Second, "b")
		require.Equal(t, "opened b until 1m0s, settle b: budget used up", s.done(50*time.Second, "b", bad))
	})
}

// S-R12: throttles neither use up attempts nor make the backoff of failures grow, and the other way round; what a job waits
// for them is bounded by time.
func TestThrottlesAreNotFailures(t *testing.T) {
	s := newStage(t, scheduler.Config{Retry: exactly(3, 200*ms, 2)})
	s.start(0, "a")
	now := time.Duration(0)
	for _, step := range []struct {
		out  policy.Outcome
		want time.Duration
	}{
		{hinting(throttled, 0), 200 * ms},
		{hinting(throttled, 0), 400 * ms},
		{hinting(throttled, 0), 800 * ms},
		{bad, 200 * ms}, // the first failure
		{hinting(throttled, 0), 200 * ms},
		{hinting(throttled, 0), 400 * ms},
		{bad, 400 * ms}, // the second
		{hinting(throttled, 0), 200 * ms},
	} {
		require.Equal(t, step.want, s.fails(now, "a", step.out), "at %v", now)
		now += 2 * time.Second // the key's release is over
		require.Equal(t, "start a", s.tick(now))
	}
	require.Equal(t, "settle a: attempts used up", s.done(now, "a", bad))
}

// S-R12: the budget of throttles is the job's own time in its key's cooldowns, and in its backoff beyond them.
func TestThrottleBudgetIsTheJobsTime(t *testing.T) {
	rule := exactly(3, ms, 1)
	rule.MaxThrottleWait = 250 * ms

	s := newStage(t, scheduler.Config{Retry: rule})
	s.start(0, "a")
	for now := time.Duration(0); now < 2*time.Second; {
		require.Equal(t, 100*ms, s.fails(now, "a", hinting(throttled, 0)), "not below 100ms, which is no hot loop")
		now += time.Second
		require.Equal(t, "start a", s.tick(now))
	}
	require.Equal(t, "cooling a until 2s, settle a: throttled out", s.done(2*time.Second, "a", hinting(throttled, 0)), "300ms of 250ms")

	rule.MaxThrottleWait = time.Second
	s = newStage(t, scheduler.Config{Retry: rule})
	s.start(0, "a")
	s.done(0, "a", hinting(throttled, time.Second))
	require.Equal(t, scheduler.Waiting, s.jobs["a"].State(), "a second of a second")
	s.tick(2 * time.Second)
	require.Equal(t, "settle a: succeeded", s.done(2*time.Second, "a", good))
	s.start(2*time.Second, "long") // so that the key is not forgotten
	s.start(3*time.Second, "b")
	require.Equal(t, "cooling b until 4s, parked b until 4s", s.done(3*time.Second, "b", hinting(throttled, time.Second)), "it was not there before")
	s.tick(5 * time.Second)
	require.Equal(t, "cooling b until 5.001s, settle b: throttled out", s.done(5*time.Second, "b", hinting(throttled, ms)))
}

// S-R12: with retries off a throttle ends the job, and the cooldown stands. S-R13: the zero rules are off.
func TestZeroRulesAreOff(t *testing.T) {
	s := newStage(t, scheduler.Config{Workers: 100})
	for n := range 100 {
		name := fmt.Sprint(n)
		s.start(0, name)
		require.Equal(t, "settle "+name+": failed", s.done(0, name, bad), "no retry, no breaker")
	}
	s.start(0, "a")
	require.Equal(t, "cooling a until 1s, settle a: failed", s.done(0, "a", hinting(throttled, time.Second)))
	assert.Empty(t, s.submit(0, "b", scheduler.Entry{}))

	s = newStage(t, scheduler.Config{Workers: 100, Retry: exactly(policy.UnlimitedAttempts, 0, 1)})
	for n := range 100 {
		s.start(0, fmt.Sprint(n))
		s.fails(0, fmt.Sprint(n), bad) // the zero Budget grants all
	}
}
