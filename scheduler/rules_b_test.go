package scheduler_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/scheduler"
)

const sec = time.Second

// strikes is a breaker that opens for ten seconds after so many failures in a row.
func strikes(n int) policy.Breaker {
	return policy.Breaker{FailureThreshold: n, RecoveryTimeout: 10 * sec}
}

// override hands the circuit of the jobs that name no key to a person.
func (s *stage) override(now time.Duration, mode policy.Mode) string {
	return s.step(now, scheduler.Event{Kind: scheduler.Override, Mode: mode})
}

func (s *stage) cancel(now time.Duration, name string) string {
	return s.step(now, scheduler.Event{Kind: scheduler.Cancel, Entry: s.jobs[name]})
}

// key returns the snapshot of the one key that there is.
func (s *stage) key() scheduler.KeySnapshot {
	s.t.Helper()
	keys := s.Snapshot().Keys
	require.Len(s.t, keys, 1)
	return keys[0]
}

// S-B1: how long a call takes is counted from its start; neither a wait in the queue nor an earlier attempt makes it slow.
func TestSlowCallsBeginWithTheirAttempt(t *testing.T) {
	p := newStage(t, scheduler.Config{
		Workers: 1, Retry: exactly(2, 5*sec, 1), Breaker: policy.Breaker{SlowRatio: .2, SlowCall: sec, MinSamples: 1, RecoveryTimeout: 10 * sec},
	})
	p.start(0, "a")
	require.Empty(t, p.submit(0, "b", scheduler.Entry{}))
	require.Equal(t, "parked a until 5.999999999s, start b", p.done(sec-1, "a", bad))
	require.Equal(t, "settle b: succeeded", p.done(2*sec-2, "b", good))
	require.Equal(t, "start a", p.tick(6*sec-1))
	require.Equal(t, "settle a: succeeded", p.done(7*sec-2, "a", good))
	p.start(7*sec, "c")
	require.Equal(t, "opened c until 18s, settle c: succeeded", p.done(8*sec, "c", good), "slow by a nanosecond")
}

// S-B2, S-B3: a probe that is called off, before it runs or while it does, hands its lease back when it ends, and proves nothing.
func TestCanceledProbes(t *testing.T) {
	p := newStage(t, scheduler.Config{Breaker: strikes(1)})
	p.start(0, "a")
	p.done(0, "a", hopeless)
	for _, name := range []string{"b", "c", "d", "e"} {
		require.Empty(t, p.submit(sec, name, scheduler.Entry{}))
	}
	require.Equal(t, "half-opened, start b", p.tick(10*sec))
	require.Equal(t, "signal b, settle b: canceled", p.cancel(11*sec, "b"))
	require.Equal(t, "start c", p.unstarted(12*sec, "b"), "it never ran")
	require.Equal(t, "signal c, settle c: canceled", p.cancel(12*sec, "c"))
	require.Equal(t, "start d", p.done(13*sec, "c", bad), "it failed, and nobody cares")
	require.Equal(t, "start d", p.unstarted(13*sec, "d"), "once more")
	require.Equal(t, "closed d, settle d: succeeded, start e", p.done(14*sec, "d", good))
}

// S-B4: what an attempt from before a person's word comes to is nothing to the circuit, in whatever state it is by now.
func TestOverrideMakesResultsStale(t *testing.T) {
	p := newStage(t, scheduler.Config{Breaker: strikes(1)})
	p.start(0, "a")
	p.start(0, "b")
	require.Empty(t, p.override(sec, policy.Automatic), "closed it was, and is")
	require.Equal(t, "settle a: failed", p.done(sec, "a", hopeless))
	p.start(sec, "c")
	require.Equal(t, "opened c until 11s, settle c: failed", p.done(sec, "c", hopeless))
	require.Equal(t, "half-opened", p.tick(11*sec))
	require.Equal(t, "settle b: succeeded", p.done(11*sec, "b", good))
	require.Equal(t, policy.HalfOpen, p.key().Circuit)
}

// S-B6: the server's word on when to come back is the floor of the open time, of failed probes as well.
func TestHintIsTheFloorOfTheOpenTime(t *testing.T) {
	p := newStage(t, scheduler.Config{Retry: exactly(1, sec, 1), Breaker: strikes(1)})
	p.start(0, "a")
	require.Equal(t, "opened a until 1m0s, settle a: attempts used up", p.done(0, "a", hinting(bad, time.Minute)))
	require.Equal(t, "half-opened", p.tick(60*sec))
	require.Equal(t, "start b", p.submit(60*sec, "b", scheduler.Entry{FailFast: true}))
	require.Equal(t, "opened b until 1m30s, settle b: attempts used up", p.done(60*sec, "b", hinting(bad, 30*sec)))
}

// S-B7: what a failed probe uses up depends on who waits for it, and so does what an open circuit makes of a retry.
func TestOpenCircuitIsWaitedForOrNot(t *testing.T) {
	waits, failsFast := scheduler.Entry{}, scheduler.Entry{FailFast: true}
	open := func(t *testing.T, attempts int) *stage {
		t.Helper()
		p := newStage(t, scheduler.Config{Retry: exactly(attempts, sec, 1), Breaker: strikes(1)})
		p.start(0, "a")
		require.Equal(t, "opened a until 10s, settle a: failed", p.done(0, "a", hopeless))
		return p
	}

	p := open(t, 2)
	require.Empty(t, p.submit(sec, "w", waits))
	for now := 10 * sec; now < 100*sec; now += 10 * sec {
		require.Equal(t, "half-opened, start w", p.tick(now))
		require.Equal(t, sec, p.fails(now, "w", bad))
	}

	p = open(t, 1)
	require.Equal(t, "settle f: circuit open", p.submit(sec, "f", failsFast))
	p.tick(10 * sec)
	require.Equal(t, "start g", p.submit(10*sec, "g", failsFast))
	require.Equal(t, "settle h: circuit open", p.submit(10*sec, "h", failsFast), "all probes are out")
	require.Equal(t, "opened g until 20s, settle g: attempts used up", p.done(10*sec, "g", bad))

	// No job that won't wait does, be it that nothing is admitted just now.
	p = open(t, 1)
	p.step(sec, scheduler.Event{Kind: scheduler.Pause})
	require.Equal(t, "settle f: circuit open", p.submit(sec, "f", failsFast))
	require.Equal(t, "half-opened", p.tick(10*sec))
	require.Empty(t, p.submit(10*sec, "g", failsFast))
	require.Empty(t, p.submit(10*sec, "h", failsFast))
	require.Empty(t, p.submit(10*sec, "w", waits))
	require.Equal(t, "start g, settle h: circuit open", p.step(10*sec, scheduler.Event{Kind: scheduler.Resume}))

	// A retry that would come while the circuit is open fails at once; one that comes when it is not, waits.
	for _, tt := range []struct {
		delay time.Duration
		job   scheduler.Entry
		want  string
	}{
		{10*sec - 1, failsFast, "opened a until 10s, settle a: circuit open"},
		{10 * sec, failsFast, "opened a until 10s, parked a until 10s"},
		{sec, waits, "opened a until 10s, parked a until 1s"},
	} {
		p := newStage(t, scheduler.Config{Retry: exactly(9, tt.delay, 1), Breaker: strikes(1)})
		p.submit(0, "a", tt.job)
		require.Equal(t, tt.want, p.done(0, "a", bad))
	}
}

// S-B8: what was admitted and never ran is neither a failure nor a success, and neither is what was turned away.
func TestOnlyWhatRanCounts(t *testing.T) {
	p := newStage(t, scheduler.Config{Breaker: strikes(2)})
	p.start(0, "a")
	require.Equal(t, "settle a: failed", p.done(0, "a", hopeless))
	p.start(0, "b")
	require.Equal(t, "start b", p.unstarted(0, "b"))
	require.Equal(t, "opened b until 10s, settle b: failed", p.done(0, "b", hopeless), "two in a row")

	rule := strikes(2)
	rule.Counts = policy.CountJobs
	p = newStage(t, scheduler.Config{Retry: exactly(9, sec, 1), Breaker: rule})
	for _, name := range []string{"a", "b", "c"} {
		p.start(0, name)
		p.fails(0, name, bad)
		require.Equal(t, "settle "+name+": canceled", p.cancel(0, name), "while it waits")
	}
	require.Empty(t, p.Snapshot().Keys, "nothing is held against them")
	p.start(0, "d")
	p.submit(0, "late", scheduler.Entry{FailFast: true})
	require.Equal(t, "settle d: failed", p.done(0, "d", hopeless))
	p.override(0, policy.ForcedOpen)
	require.Equal(t, "settle e: circuit open", p.submit(0, "e", scheduler.Entry{FailFast: true}))
	p.override(0, policy.Automatic)
	p.start(0, "f")
	require.Equal(t, "settle f: failed", p.done(0, "f", hopeless), "the first since the reset")
}

// S-B9: where jobs count, one that fails three times is one failure, and its failed attempts alone are none. A probe is judged
// by its attempt all the same.
func TestJobsCountOnce(t *testing.T) {
	rule := strikes(2)
	rule.Counts = policy.CountJobs
	p := newStage(t, scheduler.Config{Retry: exactly(3, sec, 1), Breaker: rule})
	exhaust := func(now time.Duration, name string) string {
		p.start(now, name)
		for range 2 {
			require.Equal(t, sec, p.fails(now, name, bad))
			now += sec
			require.Equal(t, "start "+name, p.tick(now))
		}
		return p.done(now, name, bad)
	}
	require.Equal(t, "settle a: attempts used up", exhaust(0, "a"))
	p.start(10*sec, "b")
	require.Equal(t, sec, p.fails(10*sec, "b", bad))
	p.tick(11 * sec)
	require.Equal(t, "settle b: succeeded", p.done(11*sec, "b", good), "it has made it in the end")
	require.Equal(t, "settle c: attempts used up", exhaust(20*sec, "c"))
	require.Equal(t, "settle d: attempts used up, opened d until 42s", exhaust(30*sec, "d"))
	require.Equal(t, "half-opened", p.tick(42*sec))
	p.start(42*sec, "e")
	require.Equal(t, "opened e until 52s, parked e until 43s", p.done(42*sec, "e", bad))
	require.Equal(t, "half-opened, start e", p.tick(52*sec))
	require.Equal(t, "closed e, settle e: succeeded", p.done(52*sec, "e", good))
	require.Equal(t, "settle f: attempts used up", exhaust(100*sec, "f"), "the count began anew")
	p.start(200*sec, "g")
	p.start(200*sec, "h")
	p.cancel(200*sec, "h")
	require.Empty(t, p.done(200*sec, "h", bad), "called off")
	require.Equal(t, "settle g: failed, opened g until 3m30s", p.done(200*sec, "g", hopeless))
}

// S-B9: a job fails as well when its time or its key's retries are used up.
func TestJobsFailInManyWays(t *testing.T) {
	rule := strikes(1)
	rule.Counts = policy.CountJobs
	retry := exactly(9, sec, 1)
	retry.MaxElapsed = sec
	p := newStage(t, scheduler.Config{Retry: retry, Breaker: rule})
	p.start(0, "a")
	require.Equal(t, "settle a: elapsed time used up, opened a until 10s", p.done(0, "a", bad))

	p = newStage(t, scheduler.Config{Retry: exactly(9, sec, 1), Breaker: rule, Budget: policy.Budget{Ratio: .01, MinRetries: 1}})
	p.start(0, "a")
	p.start(0, "b")
	require.Equal(t, "parked a until 1s", p.done(0, "a", bad))
	require.Equal(t, "settle b: budget used up, opened b until 10s", p.done(0, "b", bad))

	retry = exactly(9, sec, 1)
	retry.MaxHint = sec
	p = newStage(t, scheduler.Config{Retry: retry, Breaker: rule})
	p.start(0, "a")
	come := bad
	come.Hinted, come.Hint = true, time.Minute
	require.Equal(t, "settle a: hint too long, opened a until 1m0s", p.done(0, "a", come))
}

// S-B10: every transition happens at its instant, though nobody waits for it, and the wake-up says when.
func TestTransitionsAreOnTime(t *testing.T) {
	rule := strikes(1)
	rule.ProbeTimeout = 2 * sec
	p := newStage(t, scheduler.Config{Breaker: rule})
	p.start(0, "a")
	p.done(0, "a", hopeless)
	require.Equal(t, policy.Time(10*sec), p.NextWake())
	require.Empty(t, p.tick(10*sec-1))
	require.Equal(t, policy.Open, p.key().Circuit)
	require.Equal(t, time.Duration(1), p.key().RetryIn)
	require.Equal(t, "half-opened", p.tick(10*sec))
	require.Equal(t, policy.HalfOpen, p.key().Circuit)
	require.Equal(t, policy.Never, p.NextWake(), "until somebody probes")
	p.start(11*sec, "b")
	require.Equal(t, policy.Time(13*sec), p.NextWake())
	require.Empty(t, p.tick(13*sec-1))
	require.Equal(t, "opened until 23s", p.tick(13*sec))
	require.Equal(t, "half-opened", p.tick(100*sec), "late, as the owner was")
	require.Equal(t, policy.HalfOpen, p.key().Circuit)
}

// S-B11: what a person does is to be seen: who decides, in which state, for how long, after how many outages.
func TestSnapshotShowsWhoDecides(t *testing.T) {
	p := newStage(t, scheduler.Config{Breaker: strikes(1)})
	p.start(0, "a")
	p.done(0, "a", hopeless)
	assert.Equal(t, scheduler.KeySnapshot{Circuit: policy.Open, Trips: 1, RetryIn: 10 * sec}, p.key())
	p.tick(sec)
	assert.Equal(t, scheduler.KeySnapshot{Circuit: policy.Open, Trips: 1, RetryIn: 9 * sec}, p.key())
	for _, tt := range []struct {
		mode    policy.Mode
		want    policy.State
		retryIn time.Duration
		says    string
	}{
		{policy.ForcedOpen, policy.Open, -1, ""},
		{policy.ForcedClosed, policy.Closed, 0, "closed"},
		{policy.Disabled, policy.Closed, 0, ""},
		{policy.ForcedOpen, policy.Open, -1, "opened until never"},
	} {
		assert.Equal(t, tt.says, p.override(2*sec, tt.mode))
		assert.Equal(t, scheduler.KeySnapshot{Circuit: tt.want, Mode: tt.mode, Trips: 1, RetryIn: tt.retryIn}, p.key())
	}
	require.Empty(t, p.tick(time.Hour))
	require.Empty(t, p.submit(time.Hour, "b", scheduler.Entry{}))
	assert.Equal(t, scheduler.KeySnapshot{Queued: 1, Circuit: policy.Open, Mode: policy.ForcedOpen, Trips: 1, RetryIn: -1, Waits: []scheduler.Wait{{Kind: scheduler.ForCircuit, In: -1}}}, p.key(), "it is not tested")
	require.Equal(t, "closed, start b", p.override(time.Hour, policy.Automatic))
}

// S-B11: forced closed and disabled, nothing opens; a reset forgets what was counted, in a state that stays as well.
func TestForcedCircuitsStay(t *testing.T) {
	for _, mode := range []policy.Mode{policy.ForcedClosed, policy.Disabled} {
		p := newStage(t, scheduler.Config{Breaker: strikes(2)})
		p.override(0, mode)
		for range 5 {
			p.start(0, "a")
			require.Equal(t, "settle a: failed", p.done(0, "a", hopeless))
			p.start(0, "b")
			require.Equal(t, "settle b: failed", p.done(0, "b", policy.Outcome{Verdict: policy.VerdictUnusable}), mode)
		}
		p.override(0, policy.Automatic)
		for range 3 {
			p.start(sec, "c")
			require.Equal(t, "settle c: failed", p.done(sec, "c", hopeless))
			require.Empty(t, p.override(sec, policy.Automatic))
		}
		p.start(sec, "d")
		p.done(sec, "d", hopeless)
		p.start(sec, "e")
		require.Equal(t, "opened e until 11s, settle e: failed", p.done(sec, "e", hopeless))
	}
}

// S-B1, S-B11: circuits are per key, each by its key's own rule, also where a person's word makes the key.
func TestOverrideMakesTheKeyByItsRules(t *testing.T) {
	rule := strikes(1)
	p := newStage(t, scheduler.Config{Breaker: strikes(5)})
	p.step(0, scheduler.Event{Kind: scheduler.Override, Key: "k", Mode: policy.ForcedOpen, Rules: &scheduler.KeyRules{Breaker: &rule}})
	require.Empty(t, p.submit(0, "a", scheduler.Entry{Key: "k"}))
	require.Equal(t, "start b", p.submit(0, "b", scheduler.Entry{Key: "other"}))
	require.Equal(t, "closed, start a", p.step(sec, scheduler.Event{Kind: scheduler.Override, Key: "k", Mode: policy.Automatic}))
	require.Equal(t, "settle b: failed", p.done(sec, "b", hopeless))
	require.Equal(t, "opened a until 11s, settle a: failed", p.done(sec, "a", hopeless))
}
