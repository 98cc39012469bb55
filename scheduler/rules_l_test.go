package scheduler_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/scheduler"
)

const never = time.Duration(policy.Never)

// S-L1: an attempt that could not start after all gives back what it took, whatever has become of its job.
func TestUnstartedGivesBack(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(*scheduler.Entry) []scheduler.Event
		want string
	}{
		{"queued again", func(*scheduler.Entry) []scheduler.Event { return nil }, "a"},
		{"canceled", func(a *scheduler.Entry) []scheduler.Event { return []scheduler.Event{cancel(a)} }, "(a canceled) b"},
		{"paused", func(*scheduler.Entry) []scheduler.Event { return []scheduler.Event{{Kind: scheduler.Pause}} }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := newOwner(t, scheduler.Config{Workers: 9, Limits: []policy.Limit{bucket("calls", 1)}})
			a := job("a")
			require.Equal(t, "a", o.turn(0, submit(a), submit(job("b"))))
			require.Equal(t, tt.want, o.turn(500*time.Millisecond, append(tt.end(a), unstarted(a))...))
			if tt.want == "" {
				require.Equal(t, []float64{1}, o.levels(), "and no more: what came in meanwhile would not have fitted")
				require.Equal(t, "a", o.turn(500*time.Millisecond, scheduler.Event{Kind: scheduler.Resume}))
			}
			require.Equal(t, []float64{0}, o.levels())
		})
	}
}

// S-L1, S-L10: which of those that were admitted, should they not have started yet, are not to start any more.
func TestUnwelcome(t *testing.T) {
	o := newOwner(t, scheduler.Config{Workers: 9, Breaker: policy.Breaker{FailureThreshold: 1, RecoveryTimeout: 10 * time.Second}})
	unwelcome := func() (names []any) {
		o.Unwelcome(func(e *scheduler.Entry) { names = append(names, e.Owner) })
		return names
	}
	x, y := jobOf("k", "x"), jobOf("k", "y")
	require.Equal(t, "x z y a b", o.turn(0, submit(x), submit(y), submit(jobOf("k", "a")), submit(jobOf("k", "b")), submit(jobOf("o", "z"))))
	require.Empty(t, unwelcome())
	o.turn(0, refused(x, 5*time.Second))
	require.Equal(t, []any{"y", "a", "b"}, unwelcome(), "the key cools down")
	o.turn(5*time.Second - 1)
	require.Equal(t, []any{"y", "a", "b"}, unwelcome())
	o.turn(5 * time.Second)
	require.Empty(t, unwelcome())
	o.turn(6*time.Second, fails(y))
	require.Equal(t, []any{"a", "b"}, unwelcome(), "its circuit is open")
	o.turn(16 * time.Second)
	require.Empty(t, unwelcome(), "and tested")
	o.turn(16*time.Second, scheduler.Event{Kind: scheduler.Pause})
	require.Equal(t, []any{"z", "a", "b"}, unwelcome())
	o.turn(16*time.Second, scheduler.Event{Kind: scheduler.Resume})
	require.Empty(t, unwelcome())
	o.turn(16*time.Second, scheduler.Event{Kind: scheduler.Stop})
	require.Equal(t, []any{"z", "a", "b"}, unwelcome())
}

// S-L2: each limit is asked for what the job costs of it, and of no other.
func TestEveryLimitIsAskedForItsOwnCost(t *testing.T) {
	for _, limits := range [][]policy.Limit{
		{bucket("calls", 10), bucket("tokens", 10)},
		{bucket("calls", 10), keyBucket("tokens", 10)},
		{keyBucket("calls", 10), bucket("tokens", 10)},
		{keyBucket("calls", 10), keyBucket("tokens", 10)},
	} {
		o := newOwner(t, scheduler.Config{Workers: 9, Limits: limits})
		require.Equal(t, "a c", o.turn(0, submit(job("a", 0, 9.5)), submit(job("b", 0, 1)), submit(job("c", 10, 0))))
		require.Equal(t, 500*time.Millisecond, o.wake())
		require.Equal(t, "b", o.turn(500*time.Millisecond))
	}
}

// S-L4: a strict limit whose burst is lowered fails the jobs that this makes impossible, wherever they wait.
func TestLoweredBurstFailsTheImpossible(t *testing.T) {
	strict := bucket("tokens", 10)
	strict.Strict = true
	o := newOwner(t, scheduler.Config{Workers: 1, Limits: []policy.Limit{strict}})
	parked := job("parked", 9)
	parked.NotBefore = policy.Time(5 * time.Second)
	require.Equal(t, "a", o.turn(0, submit(job("a", 10)), submit(job("queued", 8)), submit(parked), submit(job("possible", 5))))
	require.Equal(t, "(queued cost too high) (parked cost too high)",
		o.turn(time.Second, scheduler.Event{Kind: scheduler.SetBurst, Burst: 5}))
	require.Equal(t, 1, o.Snapshot().Queued)
}

// S-L5: what an attempt really costs is told once; a second word changes nothing, neither while it runs nor by its end.
func TestSettleOnce(t *testing.T) {
	tokens := bucket("tokens", 100)
	tokens.Settled = true
	o := newOwner(t, scheduler.Config{Workers: 9, Retry: everyTenth, Limits: []policy.Limit{bucket("calls", 10), tokens}})
	a := job("a", 1, 80)
	correct := func(limit int, amount policy.Amount) scheduler.Event {
		return scheduler.Event{Kind: scheduler.Correct, Entry: a, Attempt: a.Runs(), Limit: limit, Amount: amount * 1e6}
	}
	require.Equal(t, "a", o.turn(0, submit(a)))
	require.Equal(t, []float64{9, 20}, o.levels())
	o.turn(0, correct(1, 30))
	require.Equal(t, []float64{9, 70}, o.levels())
	o.turn(0, correct(1, 1), correct(0, 0))
	require.Equal(t, []float64{9, 70}, o.levels(), "calls are counted, and not settled")
	o.turn(0, done(a, policy.Outcome{Verdict: policy.VerdictFailure, Retry: true, Unbilled: true}))
	require.Equal(t, []float64{9, 70}, o.levels(), "who knows what it cost knows more than who knows that it failed")
}

// S-L5: a failure that was certainly not billed costs no tokens, but it was a call; one that may have been costs both.
func TestUnbilledRefundsOnlySettledLimits(t *testing.T) {
	tokens := bucket("tokens", 100)
	tokens.Settled = true
	o := newOwner(t, scheduler.Config{Workers: 9, Limits: []policy.Limit{bucket("calls", 10), tokens}})
	a, b := job("a", 1, 80), job("b", 1, 10)
	require.Equal(t, "a b", o.turn(0, submit(a), submit(b)))
	o.turn(0, done(a, policy.Outcome{Verdict: policy.VerdictFailure, Unbilled: true}), fails(b))
	require.Equal(t, []float64{8, 90}, o.levels())
}

// S-L6: jobs that sleep on a limit, be it of all keys or of each, wake by the new rate, burst or level at once.
func TestNewRateWakesThoseWhoWait(t *testing.T) {
	for _, limit := range []policy.Limit{bucket("tokens", 10), keyBucket("tokens", 10)} {
		o := newOwner(t, scheduler.Config{Workers: 9, Limits: []policy.Limit{limit}})
		require.Equal(t, "a", o.turn(0, submit(job("a", 10)), submit(job("b", 10))))
		require.Equal(t, 10*time.Second, o.wake())
		require.Empty(t, o.turn(time.Second, scheduler.Event{Kind: scheduler.SetRate, Rate: policy.PerSecond(9000)}))
		require.Equal(t, time.Second+time.Millisecond, o.wake(), "one token came at the old rate, nine come at the new one")
		require.Equal(t, "b", o.turn(time.Second, scheduler.Event{Kind: scheduler.SetBurst, Burst: 1}),
			"more than the burst waits for a full bucket, and that it is now")
	}
}

// S-L7: events whose instants come out of order happen at the latest that was seen.
func TestTimeNeverRunsBackwards(t *testing.T) {
	o := newOwner(t, scheduler.Config{Workers: 9, Retry: everyTenth, Limits: []policy.Limit{bucket("calls", 1)}})
	a := job("a")
	require.Equal(t, "a", o.turn(10*time.Second, submit(a)))
	require.Empty(t, o.turn(5*time.Second, fails(a)))
	require.Equal(t, 10*time.Second+100*time.Millisecond, o.wake(), "the backoff begins when it is plain that there is one")
	require.Empty(t, o.turn(10*time.Second+100*time.Millisecond))
	require.Equal(t, 11*time.Second, o.wake())
	require.Equal(t, "a", o.turn(11*time.Second))
}

// S-L9: one wake-up, for the instant at which a job that lacks several limits has all of them, and none for what no time
// brings.
func TestOneUsefulWakeUp(t *testing.T) {
	slow, fast := bucket("slow", 10), policy.Limit{Name: "fast", Rate: policy.PerSecond(10), Burst: 10}
	for _, limits := range [][]policy.Limit{{slow, fast}, {fast, slow}} {
		for _, perKey := range []bool{false, true} {
			limits[0].PerKey, limits[1].PerKey = perKey, perKey
			o := newOwner(t, scheduler.Config{Workers: 9, Limits: limits})
			require.Equal(t, "a", o.turn(0, submit(job("a", 10, 10)), submit(job("b", 10, 10)), submit(job("c", 10, 10))))
			require.Equal(t, 10*time.Second, o.wake(), "not before b has both")
			require.Equal(t, "b", o.turn(10*time.Second))
			require.Equal(t, 20*time.Second, o.wake())
		}
	}
	for name, cfg := range map[string]scheduler.Config{
		"worker": {Workers: 1},
		"key":    {Workers: 9, KeyWorkers: 1},
		"group":  {Workers: 9, Groups: []scheduler.Group{{Name: "g", Workers: 1}}},
	} {
		o := newOwner(t, cfg)
		a, b := job("a"), job("b")
		if len(cfg.Groups) > 0 {
			a.Groups, b.Groups = 1, 1
		}
		require.Equal(t, "a", o.turn(0, submit(a), submit(b)))
		require.Equal(t, never, o.wake(), "the end of an attempt is no matter of time: %s", name)
	}
}

// S-L10: the word of a server that its key has had too much holds for all of the key, also when the job that was told so
// is not wanted any more, and for no other key.
func TestThrottleHoldsAllOfItsKey(t *testing.T) {
	for _, canceled := range []bool{false, true} {
		o := newOwner(t, scheduler.Config{Workers: 2})
		a, other := jobOf("k", "a"), jobOf("o", "other")
		parked := jobOf("k", "parked")
		parked.NotBefore = policy.Time(5 * time.Second)
		require.Equal(t, "a other", o.turn(0, submit(a), submit(other), submit(jobOf("k", "queued")), submit(parked)))
		if canceled {
			require.Equal(t, "(a canceled)", o.turn(time.Second, cancel(a)))
		}
		o.turn(time.Second, refused(a, 10*time.Second))
		require.Equal(t, "(other succeeded)", o.turn(time.Second, succeeds(other), submit(jobOf("k", "fresh"))))
		require.Equal(t, 5*time.Second, o.wake(), "for the one that is parked, who is ready then")
		require.Empty(t, o.turn(5*time.Second))
		require.Equal(t, 11*time.Second, o.wake())
		require.Empty(t, o.turn(11*time.Second-1))
		require.Equal(t, "o", o.turn(11*time.Second-1, submit(jobOf("o", "o"))))
	}
}
