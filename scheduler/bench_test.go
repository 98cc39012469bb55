package scheduler_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/scheduler"
)

// BenchmarkCore is the core alone, with a limit that does not bind, retries and a breaker: one job submitted, another, which runs,
// done, and the next in line admitted. What is queued is in the way: every job waits behind all that came before.
func BenchmarkCore(b *testing.B) {
	for _, c := range []struct {
		name                 string
		keys, queued, parked int
	}{
		{"keys=1", 1, 0, 0},
		{"keys=10000", 10_000, 0, 0}, // each key is made for its job, and dropped after it
		{"keys=10000,queued=10000", 10_000, 10_000, 0},
		{"keys=1,queued=1000000", 1, 1_000_000, 0},
		{"keys=10000,queued=1000000", 10_000, 1_000_000, 0},
		{"keys=1,parked=1000000", 1, 0, 1_000_000},
	} {
		b.Run(c.name, func(b *testing.B) {
			o := newBenchOwner(c.keys)
			crowd := make([]benchJob, c.queued+c.parked+1)
			for i := range crowd[c.queued+1:] {
				o.submit(&crowd[c.queued+1+i], time.Hour+time.Duration(i)*time.Millisecond)
			}
			for i := range crowd[:c.queued+1] {
				o.submit(&crowd[i], 0)
			}
			free := new(benchJob)
			b.ReportAllocs()
			for b.Loop() {
				o.now += policy.Time(time.Microsecond)
				o.submit(free, 0)
				free = o.finish(b)
			}
		})
	}
}

// BenchmarkExpress is a job that comes alone, by the express way and as all others: submitted, admitted, done.
func BenchmarkExpress(b *testing.B) {
	for _, express := range []bool{true, false} {
		b.Run(fmt.Sprintf("express=%t", express), func(b *testing.B) {
			core, e := newBenchOwner(1).core, new(scheduler.Entry)
			at := policy.Time(1)
			b.ReportAllocs()
			for b.Loop() {
				at += policy.Time(time.Microsecond)
				*e = scheduler.Entry{}
				if !express || !core.Express(at, e) {
					core.Submit(at, e)
				}
				core.Effects()
				core.Done(at, e, 1, policy.Outcome{})
				core.Effects()
			}
		})
	}
}

// BenchmarkCoreParked is what a wait costs: each job is parked among the others, comes back, is admitted and done.
func BenchmarkCoreParked(b *testing.B) {
	for _, parked := range []int{1, 1_000_000} {
		b.Run(fmt.Sprintf("parked=%d", parked), func(b *testing.B) {
			o := newBenchOwner(1)
			random := rand.New(rand.NewPCG(1, 1))
			crowd := make([]benchJob, parked)
			for i := range crowd {
				o.submit(&crowd[i], time.Duration(random.Int64N(int64(time.Second))))
			}
			b.ReportAllocs()
			for b.Loop() {
				for o.running == nil { // for the wake-up need not be a job's
					o.now = o.core.NextWake()
					o.core.Step(scheduler.Event{At: o.now})
					o.take()
				}
				o.submit(o.finish(b), time.Duration(random.Int64N(int64(time.Second))))
			}
		})
	}
}

// benchJob is an entry, and its terms if it has some.
type benchJob struct {
	entry scheduler.Entry
	terms scheduler.Terms
}

// benchOwner drives a core with one worker, whose keys take turns.
type benchOwner struct {
	core    *scheduler.Core
	keys    []string
	now     policy.Time
	jobs    int       // submitted so far
	running *benchJob // or nil
}

func newBenchOwner(keys int) *benchOwner {
	o := &benchOwner{now: 1, core: scheduler.New(scheduler.Config{
		Workers: 1,
		Limits:  []policy.Limit{{Name: "calls", Rate: policy.PerSecond(1e9), Burst: 1e9}},
		Retry:   policy.Retry{MaxAttempts: 3},
		Breaker: policy.Breaker{FailureThreshold: 5},
	})}
	for i := range keys {
		o.keys = append(o.keys, fmt.Sprint("key-", i))
	}
	return o
}

// submit hands in a job of the next key, which waits so long before it is ready.
func (o *benchOwner) submit(job *benchJob, wait time.Duration) {
	job.entry = scheduler.Entry{Owner: job, Key: o.keys[o.jobs%len(o.keys)]}
	if wait > 0 {
		job.terms = scheduler.Terms{NotBefore: o.now.Add(wait)}
		job.entry.Terms = &job.terms
	}
	o.jobs++
	o.core.Submit(o.now, &job.entry)
	o.take()
}

// finish ends the job that runs, and returns it.
func (o *benchOwner) finish(b *testing.B) *benchJob {
	job := o.running
	if job == nil {
		b.Fatal("nothing runs")
	}
	o.running = nil
	o.core.Done(o.now, &job.entry, 1, policy.Outcome{})
	o.take()
	return job
}

func (o *benchOwner) take() {
	for _, effect := range o.core.Effects() {
		if effect.Kind == scheduler.Start {
			o.running = effect.Entry.Owner.(*benchJob)
		}
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

// BenchmarkKeptWorkers admits nobody, though there are workers: the last one of each key is kept for an older job of it, which is in a line.
// What one key costs must not grow with their number.
func BenchmarkKeptWorkers(b *testing.B) {
	for _, keys := range []int{1000, 4000, 16000} {
		b.Run(fmt.Sprint(keys, " keys"), func(b *testing.B) {
			c := scheduler.New(scheduler.Config{Workers: 100, KeyWorkers: 1, Groups: []scheduler.Group{{"g", 1}}})
			submit := func(key string, groups uint64) {
				c.Step(scheduler.Event{Kind: scheduler.Submit, Entry: &scheduler.Entry{Key: key, Terms: &scheduler.Terms{Groups: groups}}})
			}
			c.Step(scheduler.Event{Kind: scheduler.Pause})
			submit("holder", 1)
			for i := range keys {
				submit(strconv.Itoa(i), 1)
				submit(strconv.Itoa(i), 0)
			}
			c.Step(scheduler.Event{Kind: scheduler.Resume})
			c.Effects()
			for b.Loop() {
				c.Step(scheduler.Event{})
				c.Effects()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(keys), "ns/key")
		})
	}
}
