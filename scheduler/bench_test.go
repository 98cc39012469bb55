package scheduler_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/scheduler"
)

// BenchmarkCore is the core alone: one job submitted, admitted and done, with a limit that does not bind, retries and a
// breaker, while many others are queued behind a limit or parked.
func BenchmarkCore(b *testing.B) {
	for _, c := range []struct {
		name           string
		keys           int
		queued, parked int
	}{
		{"keys=1", 1, 0, 0},
		{"keys=10000", 10_000, 0, 0},
		{"queued=1000000", 1, 1_000_000, 0},
		{"parked=1000000", 1, 0, 1_000_000},
	} {
		b.Run(c.name, func(b *testing.B) {
			core := scheduler.New(scheduler.Config{
				Workers: 2,
				Limits:  []policy.Limit{{Name: "calls", Rate: policy.PerSecond(1e9), Burst: 1e9}},
				Retry:   policy.Retry{MaxAttempts: 3},
				Breaker: policy.Breaker{FailureThreshold: 5},
			})
			keys := make([]string, c.keys)
			for i := range keys {
				keys[i] = fmt.Sprint("key-", i)
			}
			now := policy.Time(1)
			crowd(core, now, c.queued, c.parked)
			entries := make([]scheduler.Entry, 1024)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				e := &entries[i%len(entries)]
				*e = scheduler.Entry{Key: keys[i%len(keys)], Priority: 1}
				now += policy.Time(time.Microsecond)
				core.Step(scheduler.Event{Kind: scheduler.Submit, At: now, Entry: e})
				if effects := core.Effects(); len(effects) == 0 || effects[0].Kind != scheduler.Start {
					b.Fatal("not started")
				}
				core.Step(scheduler.Event{Kind: scheduler.Done, At: now, Entry: e, Attempt: 1})
				core.Effects()
			}
		})
	}
}

// crowd fills a core: with jobs that are ready and wait for their turn behind a key that nothing passes, and with jobs that
// wait for an instant far away.
func crowd(core *scheduler.Core, now policy.Time, queued, parked int) {
	if queued > 0 {
		core.Step(scheduler.Event{Kind: scheduler.Override, At: now, Key: "crowd", Mode: policy.ForcedOpen})
	}
	entries := make([]scheduler.Entry, queued+parked)
	for i := range entries {
		entries[i].Key = "crowd"
		if i >= queued {
			entries[i].Terms = &scheduler.Terms{NotBefore: now.Add(time.Hour + time.Duration(i)*time.Millisecond)}
		}
		core.Step(scheduler.Event{Kind: scheduler.Submit, At: now, Entry: &entries[i]})
		core.Effects()
	}
}

// In steady state the core allocates nothing, whether a job's key is kept or made anew each time.
func TestCoreDoesNotAllocate(t *testing.T) {
	core := scheduler.New(scheduler.Config{
		Workers: 2,
		Limits:  []policy.Limit{{Name: "calls", Rate: policy.PerSecond(1e9), Burst: 1e9}, {Name: "own", Rate: policy.PerSecond(1e9), Burst: 1e9, PerKey: true}},
		Retry:   policy.Retry{MaxAttempts: 3},
		Breaker: policy.Breaker{FailureThreshold: 5},
	})
	now, e := policy.Time(1), new(scheduler.Entry)
	if n := testing.AllocsPerRun(1000, func() {
		*e = scheduler.Entry{Key: "k"}
		now += policy.Time(time.Millisecond)
		core.Step(scheduler.Event{Kind: scheduler.Submit, At: now, Entry: e})
		core.Effects()
		core.Step(scheduler.Event{Kind: scheduler.Done, At: now, Entry: e, Attempt: 1, Outcome: policy.Outcome{Verdict: policy.VerdictFailure, Retry: true}})
		now = core.NextWake()
		core.Step(scheduler.Event{At: now})
		core.Effects()
		core.Step(scheduler.Event{Kind: scheduler.Done, At: now, Entry: e, Attempt: 2})
		core.Effects()
	}); n != 0 {
		t.Errorf("%v allocations a job", n)
	}
}
