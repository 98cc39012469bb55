package scheduler_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/scheduler"
)

// The rules about admission, limits and concurrency (SEMANTICS.md), one short story each: what the transcripts tell at
// length and the random stories only bound.

// owner drives a core as a dispatcher does, and puts into words what comes out.
type owner struct{ *scheduler.Core }

func newOwner(t *testing.T, cfg scheduler.Config) owner {
	t.Helper()
	for _, limit := range cfg.Limits {
		require.NoError(t, limit.Validate())
	}
	require.NoError(t, cfg.Retry.Validate())
	cfg.Seed = 1
	return owner{scheduler.New(cfg)}
}

// turn steps events at one instant, and returns what has started and who is settled, in order.
func (o owner) turn(at time.Duration, events ...scheduler.Event) string {
	o.Step(scheduler.Event{At: policy.Time(at)})
	for _, ev := range events {
		ev.At = policy.Time(at)
		o.Step(ev)
	}
	var words []string
	for _, effect := range o.Effects() {
		switch effect.Kind {
		case scheduler.Start:
			words = append(words, fmt.Sprint(effect.Entry.Owner))
		case scheduler.Settle:
			words = append(words, fmt.Sprintf("(%v %v)", effect.Entry.Owner, effect.Reason))
		default:
		}
	}
	return strings.Join(words, " ")
}

// wake returns the instant of the one wake-up.
func (o owner) wake() time.Duration { return time.Duration(o.NextWake()) }

// levels returns what the limits that all keys share hold, in tokens.
func (o owner) levels() (levels []float64) {
	for _, limit := range o.Snapshot().Limits {
		levels = append(levels, limit.Level)
	}
	return levels
}

func job(name string, costs ...float64) *scheduler.Entry {
	e := &scheduler.Entry{Owner: name, Terms: new(scheduler.Terms)}
	for _, cost := range costs {
		e.Costs = append(e.Costs, policy.Amount(cost*1e6))
	}
	return e
}

// jobOf is a job of a key.
func jobOf(key, name string, costs ...float64) *scheduler.Entry {
	e := job(name, costs...)
	e.Key = key
	return e
}

// due is a job that is settled at an instant at the latest.
func due(at time.Duration, name string) *scheduler.Entry {
	e := job(name)
	e.Deadline = policy.Time(at)
	return e
}

func submit(e *scheduler.Entry) scheduler.Event {
	return scheduler.Event{Kind: scheduler.Submit, Entry: e}
}

func cancel(e *scheduler.Entry) scheduler.Event {
	return scheduler.Event{Kind: scheduler.Cancel, Entry: e}
}

// done is the end of the attempt of e that is in flight.
func done(e *scheduler.Entry, outcome policy.Outcome) scheduler.Event {
	return scheduler.Event{Kind: scheduler.Done, Entry: e, Attempt: e.Runs(), Outcome: outcome}
}

func succeeds(e *scheduler.Entry) scheduler.Event { return done(e, policy.Outcome{}) }

func fails(e *scheduler.Entry) scheduler.Event {
	return done(e, policy.Outcome{Verdict: policy.VerdictFailure, Retry: true})
}

// refused is an attempt's end by a server that names a wait.
func refused(e *scheduler.Entry, hint time.Duration) scheduler.Event {
	return done(e, policy.Outcome{Verdict: policy.VerdictNeutral, Retry: true, Throttled: true, Hinted: true, Hint: hint})
}

func unstarted(e *scheduler.Entry) scheduler.Event {
	return scheduler.Event{Kind: scheduler.Unstarted, Entry: e, Attempt: e.Runs()}
}

// bucket is a limit of one token a second.
func bucket(name string, burst float64) policy.Limit {
	return policy.Limit{Name: name, Rate: policy.PerSecond(1), Burst: burst}
}

// keyBucket is bucket, for each key.
func keyBucket(name string, burst float64) policy.Limit {
	limit := bucket(name, burst)
	limit.PerKey = true
	return limit
}

// everyTenth is a retry after 100 ms, without end.
var everyTenth = policy.Retry{MaxAttempts: policy.UnlimitedAttempts, Delay: 100 * time.Millisecond, Backoff: 1, Jitter: policy.NoJitter}

// S-A1: a retry waits for the limits and for its key's cooldown like everybody, workers or no workers.
func TestRetriesPassTheSameDoor(t *testing.T) {
	t.Run("limit", func(t *testing.T) {
		o := newOwner(t, scheduler.Config{Workers: 9, Retry: everyTenth, Limits: []policy.Limit{bucket("calls", 1)}})
		a := job("a")
		require.Equal(t, "a", o.turn(0, submit(a)))
		require.Empty(t, o.turn(0, fails(a)))
		require.Empty(t, o.turn(100*time.Millisecond), "the backoff is over, and the bucket is empty")
		require.Equal(t, time.Second, o.wake())
		require.Equal(t, "a", o.turn(time.Second))
	})
	t.Run("cooldown", func(t *testing.T) {
		o := newOwner(t, scheduler.Config{Workers: 9, Retry: everyTenth})
		a, b := job("a"), job("b")
		require.Equal(t, "a b", o.turn(0, submit(a), submit(b)))
		require.Empty(t, o.turn(0, fails(a), refused(b, 10*time.Second)))
		require.Empty(t, o.turn(100*time.Millisecond), "the backoff is over, and the key cools down")
		require.Equal(t, 10*time.Second, o.wake())
	})
}

// S-A2: what one limit refuses costs nothing of the others, however often it is looked at.
func TestRefusedByOneLimitTakesNothing(t *testing.T) {
	o := newOwner(t, scheduler.Config{Workers: 9, Limits: []policy.Limit{bucket("calls", 10), bucket("tokens", 10)}})
	require.Equal(t, "a", o.turn(0, submit(job("a", 1, 10)), submit(job("b", 1, 1))))
	for range 20 {
		require.Empty(t, o.turn(0), "no tokens")
		require.Equal(t, []float64{9, 0}, o.levels())
	}
	require.Equal(t, "b", o.turn(time.Second))
	require.Equal(t, []float64{9, 0}, o.levels(), "one call has come in, and one is taken")
}

// S-A3: who waits for a backoff has left its worker, its group and its key's only place to others.
func TestBackoffHoldsNothing(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  scheduler.Config
	}{
		{"worker", scheduler.Config{Workers: 1}},
		{"key", scheduler.Config{Workers: 9, KeyWorkers: 1}},
		{"group", scheduler.Config{Workers: 9, Groups: []scheduler.Group{{Name: "g", Workers: 1}}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.cfg.Retry = everyTenth
			o := newOwner(t, tt.cfg)
			a, b := job("a"), job("b")
			if len(tt.cfg.Groups) > 0 {
				a.Groups, b.Groups = 1, 1
			}
			require.Equal(t, "a", o.turn(0, submit(a), submit(b)))
			require.Equal(t, "b", o.turn(0, fails(a)))
			require.Empty(t, o.turn(100*time.Millisecond), "b holds it now")
			require.Equal(t, "(b succeeded) a", o.turn(time.Second, succeeds(b)))
		})
	}
}

// S-A4: a waiting job owns nothing. What was kept for it is at once for those behind it, and they pay nothing for it.
func TestCanceledWaiterOwnsNothing(t *testing.T) {
	for _, limit := range []policy.Limit{bucket("tokens", 10), keyBucket("tokens", 10)} {
		t.Run(fmt.Sprintf("per key %t", limit.PerKey), func(t *testing.T) {
			o := newOwner(t, scheduler.Config{Workers: 9, Limits: []policy.Limit{limit}})
			big := job("big", 8)
			require.Equal(t, "all", o.turn(0, submit(job("all", 10)), submit(big), submit(job("x", 1)), submit(job("y", 2))))
			require.Empty(t, o.turn(2*time.Second), "two tokens, which are kept for the one in front")
			require.Equal(t, 8*time.Second, o.wake())
			require.Equal(t, "(big canceled) x", o.turn(2*time.Second, cancel(big)))
			require.Equal(t, 3*time.Second, o.wake(), "when there are two again")
			require.Equal(t, "y", o.turn(3*time.Second))
		})
	}
}

// S-A5: who lacks one limit is not starved of another by those that cost only that; and they need not wait for nothing.
func TestWaitingForOneLimitIsNotStarvedOfAnother(t *testing.T) {
	for _, of := range []func(string, float64) policy.Limit{bucket, keyBucket} {
		limits := []policy.Limit{of("a", 10), of("b", 10)}
		t.Run(fmt.Sprintf("per key %t", limits[0].PerKey), func(t *testing.T) {
			o := newOwner(t, scheduler.Config{Workers: 9, Limits: limits})
			require.Equal(t, "all", o.turn(0, submit(job("all", 10, 0)), submit(job("big", 5, 10)), submit(job("small", 0, 6))),
				"six of b would not be back in time")
			require.Equal(t, "big", o.turn(5*time.Second))
			require.Equal(t, "small", o.turn(11*time.Second))

			o = newOwner(t, scheduler.Config{Workers: 9, Limits: limits})
			require.Equal(t, "all small", o.turn(0, submit(job("all", 10, 0)), submit(job("big", 5, 10)), submit(job("small", 0, 5))),
				"five of b are")
			require.Equal(t, "big", o.turn(5*time.Second))
		})
	}
}

// S-A5: a waiting job rises on time, and not when something happens to its key: who comes to its class afterwards is behind.
func TestAgingIsOnTime(t *testing.T) {
	o := newOwner(t, scheduler.Config{Workers: 1, AgeAfter: time.Minute})
	a, low := jobOf("ka", "a"), jobOf("kl", "low")
	low.Priority = -1
	require.Equal(t, "a", o.turn(0, submit(a), submit(low)))
	require.Equal(t, time.Minute, o.wake())
	require.Empty(t, o.turn(time.Minute))
	require.Empty(t, o.turn(2*time.Minute, submit(jobOf("kh", "h"))))
	require.Equal(t, "(a succeeded) low", o.turn(3*time.Minute, succeeds(a)))
}

// S-A5: keys have equal shares of the limits, whatever the size of their jobs: 6 and 6 of a, then 5 and 5 of b. What a
// has left of a turn, because its next job is too large, is kept for the next.
func TestKeysTakeTurnsBySize(t *testing.T) {
	size := policy.Limit{Name: "tokens", Rate: policy.Unlimited, Burst: 10}
	o := newOwner(t, scheduler.Config{Workers: 1, Limits: []policy.Limit{size}})
	running := job("first", 10) // the largest there is, which makes the quantum
	require.Equal(t, "first", o.turn(0, submit(running)))
	var jobs []*scheduler.Entry
	for i := range 6 {
		jobs = append(jobs, jobOf("ka", fmt.Sprint("a", i), 6))
	}
	for i := range 6 {
		jobs = append(jobs, jobOf("kb", fmt.Sprint("b", i), 5))
	}
	byName := map[string]*scheduler.Entry{}
	for _, e := range jobs {
		byName[fmt.Sprint(e.Owner)] = e
		require.Empty(t, o.turn(0, submit(e)))
	}
	var order []string
	for range jobs {
		_, started, _ := strings.Cut(o.turn(0, succeeds(running)), ") ")
		order, running = append(order, started), byName[started]
	}
	require.Equal(t, strings.Fields("a0 b0 b1 a1 a2 b2 b3 a3 a4 b4 b5 a5"), order)
}

// S-A5: a key's own closed gate, whichever it is, does not end the turn of those behind.
func TestOwnGatesBlockNobodyElse(t *testing.T) {
	for _, tt := range []struct {
		name  string
		cfg   scheduler.Config
		close func(*scheduler.Entry) scheduler.Event
	}{
		{"limit", scheduler.Config{Limits: []policy.Limit{keyBucket("calls", 1)}}, succeeds},
		{"cooldown", scheduler.Config{}, func(e *scheduler.Entry) scheduler.Event { return refused(e, time.Minute) }},
		{"circuit", scheduler.Config{Breaker: policy.Breaker{FailureThreshold: 1, RecoveryTimeout: time.Minute}}, fails},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.cfg.Workers = 9
			o := newOwner(t, tt.cfg)
			x := jobOf("x", "x")
			require.Equal(t, "x", o.turn(0, submit(x)))
			o.turn(0, tt.close(x))
			require.Equal(t, "y", o.turn(0, submit(jobOf("x", "x2")), submit(jobOf("y", "y"))))
		})
	}
}

// S-A6: a retry keeps its arrival, and goes before those that came while it ran and while it waited.
func TestRetriesKeepTheirPlace(t *testing.T) {
	o := newOwner(t, scheduler.Config{Workers: 1, Retry: everyTenth})
	a, b := job("a"), job("b")
	require.Equal(t, "a", o.turn(0, submit(a), submit(b)))
	require.Equal(t, "b", o.turn(0, submit(job("c")), fails(a)))
	require.Empty(t, o.turn(50*time.Millisecond, submit(job("d"))))
	require.Empty(t, o.turn(100*time.Millisecond))
	require.Equal(t, "(b succeeded) a", o.turn(time.Second, succeeds(b)))
	require.Equal(t, "(a succeeded) c", o.turn(time.Second, succeeds(a)))
}

// S-A7: who is over before he could start takes nothing: canceled in the turn in which he came, come after his deadline,
// or ready at his deadline.
func TestOverBeforeAdmissionTakesNothing(t *testing.T) {
	o := newOwner(t, scheduler.Config{Workers: 9, Limits: []policy.Limit{bucket("calls", 1)}})
	canceled := job("canceled")
	require.Equal(t, "(canceled canceled)", o.turn(5*time.Second, submit(canceled), cancel(canceled)))
	require.Equal(t, "(late deadline passed)", o.turn(5*time.Second, submit(due(5*time.Second, "late"))))
	require.Equal(t, "(later deadline passed)", o.turn(5*time.Second, submit(due(3*time.Second, "later"))))
	require.Equal(t, []float64{1}, o.levels())
	require.Equal(t, "a", o.turn(5*time.Second, submit(job("a")), submit(due(6*time.Second, "b"))))
	require.Equal(t, "(b deadline passed)", o.turn(6*time.Second), "at the instant at which there is a token for it")
	require.Equal(t, []float64{1}, o.levels())
}

// S-A8: a wait that ends at the deadline or later ends the job at once; it is not cut.
func TestWaitsAreNotCutToTheDeadline(t *testing.T) {
	second := policy.Retry{MaxAttempts: 9, Delay: time.Second, Backoff: 1, Jitter: policy.NoJitter}
	for _, tt := range []struct {
		deadline time.Duration
		want     string
	}{
		{900 * time.Millisecond, "(a deadline passed)"},
		{1100 * time.Millisecond, "(a deadline passed)"}, // exactly
		{1100*time.Millisecond + 1, ""},
	} {
		o := newOwner(t, scheduler.Config{Workers: 1, Retry: second})
		a := due(tt.deadline, "a")
		require.Equal(t, "a", o.turn(0, submit(a)))
		require.Equal(t, tt.want, o.turn(100*time.Millisecond, fails(a)), "due at %v", tt.deadline)
		if tt.want == "" {
			require.Equal(t, 1100*time.Millisecond, o.wake())
			require.Equal(t, "a", o.turn(1100*time.Millisecond))
		}
	}
}

// S-A8: a cooldown that ends at a job's deadline or later ends the job at once, be it queued, parked or come later.
func TestCooldownBeyondTheDeadline(t *testing.T) {
	o := newOwner(t, scheduler.Config{Workers: 1})
	a := job("a")
	parked := due(6*time.Second, "parked")
	parked.NotBefore = policy.Time(2 * time.Second)
	require.Equal(t, "a", o.turn(0, submit(a), submit(due(5*time.Second, "queued")), submit(parked), submit(due(11*time.Second, "exact")), submit(due(11*time.Second+1, "after"))))
	require.Equal(t, "(queued deadline passed) (parked deadline passed) (exact deadline passed) (a failed)", o.turn(time.Second, refused(a, 10*time.Second)))
	require.Equal(t, "(fresh deadline passed)", o.turn(time.Second, submit(due(8*time.Second, "fresh"))))
	require.Equal(t, 1, o.Unsettled())
}

// S-A9: a key's lane is not dropped while it remembers something that a new one would not.
func TestLanesWithDebtAreKept(t *testing.T) {
	o := newOwner(t, scheduler.Config{Workers: 9, Limits: []policy.Limit{keyBucket("calls", 2)}})
	a := jobOf("k", "a", 2)
	require.Equal(t, "a", o.turn(0, submit(a)))
	require.Equal(t, "(a succeeded)", o.turn(0, succeeds(a)))
	require.Len(t, o.Snapshot().Keys, 1)
	require.Equal(t, 2*time.Second, o.wake())
	require.Empty(t, o.turn(0, submit(jobOf("k", "b", 1))), "its bucket is as empty as it was")
	require.Equal(t, "b", o.turn(time.Second))
}
