package scheduler_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/scheduler"
)

// TestSettledTellsHowManyAttemptsCounted: S-R1, S-R12: the end of a job that has used up its attempts says how many of them counted,
// throttles not among them.
func TestSettledTellsHowManyAttemptsCounted(t *testing.T) {
	core := scheduler.New(scheduler.Config{Workers: 1, Retry: policy.Retry{MaxAttempts: 3, Delay: 1, Backoff: 1, Jitter: policy.NoJitter}})
	e := &scheduler.Entry{Key: "k"}
	core.Submit(0, e)
	now := policy.Time(0)
	for _, out := range []policy.Outcome{
		{Verdict: policy.VerdictFailure, Retry: true},
		{Verdict: policy.VerdictNeutral, Retry: true, Throttled: true, Hinted: true},
		{Verdict: policy.VerdictFailure, Retry: true},
		{Verdict: policy.VerdictFailure, Retry: true},
	} {
		for core.Effects(); e.State() != scheduler.Running; core.Effects() {
			now = core.NextWake()
			core.Advance(now)
		}
		core.Done(now, e, e.Runs(), out)
	}
	effects := core.Effects()
	require.NotEmpty(t, effects)
	require.Equal(t, scheduler.Effect{Kind: scheduler.Settle, Entry: e, Reason: scheduler.AttemptsUsedUp, Attempt: 3}, effects[0])
	require.Equal(t, 4, e.Runs())
}

// TestBounds: what the documentation promises of priorities and weights.
func TestBounds(t *testing.T) {
	require.Equal(t, -4, scheduler.MinPriority)
	require.Equal(t, 4, scheduler.MaxPriority)
	require.Equal(t, 1000, scheduler.MaxWeight)
}

// TestSharedBurstFollowsTheRate: S-L12, S-L11: a burst that is left to its default is a second of the rate, also after SetRate; one that
// is set stays.
func TestSharedBurstFollowsTheRate(t *testing.T) {
	for _, tt := range []struct {
		burst, want float64
	}{{0, 100}, {20, 20}} {
		pool := scheduler.NewShared(policy.Limit{Name: "pool", Rate: policy.PerSecond(10), Burst: tt.burst})
		pool.SetRate(0, policy.PerSecond(100))
		require.Equal(t, tt.want, pool.Level(1_000_000_000_000).Tokens())
	}
}

// TestCancelBeforeSubmit: S-F1: a cancel of a job that has not been submitted changes nothing, not even once it is.
func TestCancelBeforeSubmit(t *testing.T) {
	core, e := scheduler.New(scheduler.Config{Workers: 1}), new(scheduler.Entry)
	core.Step(scheduler.Event{Kind: scheduler.Cancel, Entry: e})
	require.Empty(t, core.Effects())
	core.Step(scheduler.Event{Kind: scheduler.Submit, Entry: e})
	require.Equal(t, []scheduler.Effect{{Kind: scheduler.Start, Entry: e}}, core.Effects())
}

// TestWhatIsKnownOfAJob: S-O3: when it came, and that no time can tell when a group has a place for it.
func TestWhatIsKnownOfAJob(t *testing.T) {
	core := scheduler.New(scheduler.Config{Workers: 2, Groups: []scheduler.Group{{Name: "g", Workers: 1}}})
	first, second := &scheduler.Entry{Terms: &scheduler.Terms{Groups: 1}}, &scheduler.Entry{Terms: &scheduler.Terms{Groups: 1}}
	core.Submit(3, first)
	core.Submit(5, second)
	require.Equal(t, []scheduler.Effect{{Kind: scheduler.Start, Entry: first}}, core.Effects())
	require.Equal(t, policy.Time(3), first.Submitted())
	require.Equal(t, policy.Time(5), second.Submitted())
	require.Equal(t, []scheduler.Wait{{Kind: scheduler.ForGroup, Name: "g", In: -1}}, core.Explain(second))
	free := &scheduler.Entry{}
	core.Submit(5, free)
	require.Equal(t, []scheduler.Wait{{Kind: scheduler.ForItsTurn, In: -1}}, core.Explain(free), "before it is looked at")
}

// TestIdleKeyWhileUnlimited: S-A9: a key that comes to rest while its limit's rate is unlimited is forgotten, also when the same key is
// taken up again at once: then its bucket is full when there is a rate again.
func TestIdleKeyWhileUnlimited(t *testing.T) {
	core := scheduler.New(scheduler.Config{Workers: 9, Limits: []policy.Limit{{Name: "calls", Rate: policy.Blocked, Burst: 2, PerKey: true}}})
	run := func() *scheduler.Entry {
		t.Helper()
		e := &scheduler.Entry{Key: "k"}
		core.Submit(0, e)
		require.Equal(t, scheduler.Effect{Kind: scheduler.Start, Entry: e}, core.Effects()[0])
		return e
	}
	end := func(e *scheduler.Entry) {
		core.Done(0, e, 1, policy.Outcome{})
		core.Effects()
	}
	setRate := func(r policy.Rate) {
		core.Step(scheduler.Event{Kind: scheduler.SetRate, Rate: r})
		core.Effects()
	}
	end(run()) // one of two is left
	setRate(policy.Unlimited)
	end(run())
	under := run()
	setRate(policy.Blocked)
	end(run())
	end(run())
	end(under)
}

// TestKeyTakenUpAgainGivesBack: S-L1, S-A9: a key that was forgotten and comes back in the same instant cannot be told from a new one:
// what its attempt has taken comes back, although what was taken in that instant before, and corrected, would not.
func TestKeyTakenUpAgainGivesBack(t *testing.T) {
	core := scheduler.New(scheduler.Config{Workers: 9, Limits: []policy.Limit{{Name: "tokens", Rate: policy.Blocked, Burst: 1, PerKey: true, Settled: true}}})
	first, second := &scheduler.Entry{Key: "k"}, &scheduler.Entry{Key: "k"}
	core.Submit(0, first)
	core.Effects()
	core.Step(scheduler.Event{Kind: scheduler.Correct, Entry: first, Attempt: 1, Amount: 0})
	core.Done(0, first, 1, policy.Outcome{})
	require.Contains(t, core.Effects(), scheduler.Effect{Kind: scheduler.Forgotten, Key: "k"})
	core.Submit(0, second)
	core.Effects()
	core.Step(scheduler.Event{Kind: scheduler.Unstarted, Entry: second, Attempt: 1})
	require.Equal(t, []scheduler.Effect{{Kind: scheduler.Start, Entry: second}}, core.Effects())
}

// TestExplainParked: S-O3: a job that is parked waits for what is known to be closed for longer as well: its cooldown, and its circuit.
func TestExplainParked(t *testing.T) {
	core := scheduler.New(scheduler.Config{
		Workers: 9,
		Retry:   policy.Retry{MaxAttempts: 9, Delay: 10, Backoff: 1, Jitter: policy.NoJitter},
		Breaker: policy.Breaker{FailureThreshold: 1, RecoveryTimeout: 100},
	})
	failed := policy.Outcome{Verdict: policy.VerdictFailure, Retry: true}
	throttled := policy.Outcome{Verdict: policy.VerdictNeutral, Retry: true, Throttled: true, Hinted: true, Hint: 1000}
	first, late, cooled := &scheduler.Entry{}, &scheduler.Entry{Terms: &scheduler.Terms{NotBefore: 200}}, &scheduler.Entry{Key: "other"}
	soon := &scheduler.Entry{Key: "other", Terms: &scheduler.Terms{NotBefore: 5}}
	core.Submit(0, soon)
	core.Submit(0, first)
	core.Submit(0, late)
	core.Submit(0, cooled)
	core.Effects()
	core.Done(0, first, 1, failed)
	core.Done(0, cooled, 1, throttled)
	core.Effects()
	require.Equal(t, []scheduler.Wait{{Kind: scheduler.ForInstant, In: 10}, {Kind: scheduler.ForCircuit, In: 100}}, core.Explain(first))
	require.Equal(t, []scheduler.Wait{{Kind: scheduler.ForInstant, In: 200}}, core.Explain(late), "by then it may be closed")
	require.Equal(t, []scheduler.Wait{{Kind: scheduler.ForInstant, In: 5}, {Kind: scheduler.ForCooldown, In: 1000}}, core.Explain(soon))
	core.Step(scheduler.Event{Kind: scheduler.Override, Mode: policy.ForcedOpen})
	core.Effects()
	require.Equal(t, []scheduler.Wait{{Kind: scheduler.ForInstant, In: 200}, {Kind: scheduler.ForCircuit, In: -1}}, core.Explain(late))
}

// TestEachAttemptIsCorrectedOnce: S-L5: what each attempt really costs is told once, and of the next attempt anew.
func TestEachAttemptIsCorrectedOnce(t *testing.T) {
	core := scheduler.New(scheduler.Config{
		Workers: 1,
		Limits:  []policy.Limit{{Name: "tokens", Rate: policy.Blocked, Burst: 10, Settled: true}},
		Retry:   policy.Retry{MaxAttempts: 3, Delay: 1, Backoff: 1, Jitter: policy.NoJitter},
	})
	const token = 1_000_000
	e := &scheduler.Entry{Terms: &scheduler.Terms{Costs: []policy.Amount{4 * token}}}
	core.Submit(0, e)
	for n, want := range []float64{8, 6} { // two of each are billed
		core.Effects()
		for _, tokens := range []policy.Amount{2, 3} { // the second is told too late
			core.Step(scheduler.Event{Kind: scheduler.Correct, Entry: e, Attempt: n + 1, Amount: tokens * token})
		}
		core.Effects()
		require.Equal(t, want, core.Snapshot().Limits[0].Level)
		now := policy.Time(10 * n)
		core.Done(now, e, n+1, policy.Outcome{Verdict: policy.VerdictFailure, Retry: true})
		core.Effects()
		core.Advance(now + 1)
	}
}

// TestLeastMaxElapsed: S-R6: a MaxElapsed of a nanosecond is a bound, too.
func TestLeastMaxElapsed(t *testing.T) {
	core := scheduler.New(scheduler.Config{Workers: 1, Retry: policy.Retry{MaxAttempts: 3, MaxElapsed: 1}})
	e := &scheduler.Entry{}
	core.Submit(0, e)
	core.Effects()
	core.Done(0, e, 1, policy.Outcome{Verdict: policy.VerdictFailure, Retry: true})
	require.Equal(t, scheduler.Effect{Kind: scheduler.Settle, Entry: e, Reason: scheduler.ElapsedUsedUp}, core.Effects()[0])
}
