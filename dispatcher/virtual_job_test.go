package dispatcher_test

import (
	"context"
	"errors"
	"runtime"
	"time"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
)

// ending is how one attempt of a virtual job ends, if nothing comes between.
type ending struct {
	takes time.Duration
	kind  endingKind
	hint  time.Duration
}

type endingKind uint8

const (
	endsWell endingKind = iota
	endsTransient
	endsHinted    // transient, with a hint
	endsThrottled // with a hint, or without: then that is negative
	endsFatal
	endsUnmarked
	endsPanicking
	endsExiting
	endsUnusable
	endsNested // it has handed in another job and awaited it
	endsByContext
)

// virtualJob is a job, and what happened to it.
type virtualJob struct {
	number  int
	place   *virtualPlace
	key     string
	costs   []float64 // of each limit of its place
	settles float64   // what is settled, as a share of the cost; negative: nothing
	plan    []ending  // of its attempts, the last of them again and again
	deaf    bool
	at      time.Duration // when it is handed in
	delay   time.Duration
	within  time.Duration // its deadline, since then; zero: none
	cancel  time.Duration // likewise
	timeout time.Duration // of an attempt; zero: none
	way     int
	inside  bool // handed in by another job, with the context of its attempt

	// guarded by the world's mu
	accepted bool
	refused  time.Duration
	resolved bool
	from, to time.Duration // accepted, settled
	canceled time.Duration // when somebody asked for it; zero: nobody
	runs     []run
	err      error
	value    int
}

// run is one attempt, as its function saw it.
type run struct {
	from, to time.Duration
	kind     endingKind
	hint     time.Duration
	settled  bool
	over     bool
}

// job draws a job.
func (w *virtualWorld) job(number int) *virtualJob {
	j := &virtualJob{number: number, place: pickOne(w.random, w.places...), key: pickOne(w.random, virtualKeys...), settles: -1}
	j.at = time.Duration(w.random.Int64N(int64(w.span)))
	if w.oneIn(2) {
		j.at = w.span * time.Duration(1+w.random.IntN(8)) / 10 // many at once
	}
	for _, l := range j.place.limits {
		j.costs = append(j.costs, pickOne(w.random, l.cost, l.cost, .25, 2, 4))
	}
	if w.oneIn(2) {
		j.settles = 2 * w.random.Float64()
	}
	for range 1 + w.random.IntN(3) {
		j.plan = append(j.plan, w.ending())
	}
	if w.oneIn(2) {
		j.plan[len(j.plan)-1].kind = endsWell
	}
	j.deaf = w.oneIn(8)
	if w.oneIn(6) {
		j.delay = w.upTo(time.Hour)
	}
	if w.oneIn(6) {
		j.within = w.upTo(2 * time.Hour)
	}
	if w.oneIn(8) {
		j.cancel = w.upTo(time.Hour)
	}
	if w.oneIn(6) {
		j.timeout = w.upTo(10 * time.Minute)
	}
	j.way = w.random.IntN(8)
	return j
}

func (w *virtualWorld) ending() ending {
	e := ending{takes: w.upTo(10 * time.Minute)}
	switch w.random.IntN(30) {
	case 0, 1, 2, 3, 4, 5:
		e.kind = endsTransient
	case 6:
		e.kind, e.hint = endsHinted, w.upTo(time.Hour)
	case 7, 8:
		e.kind, e.hint = endsThrottled, w.upTo(20*time.Minute)
	case 9:
		e.kind, e.hint = endsThrottled, policy.NoHint
	case 10:
		e.kind = endsFatal
	case 11:
		e.kind = endsUnmarked
	case 12:
		e.kind = endsPanicking
	case 13:
		e.kind = endsExiting
	case 14:
		if w.oneIn(4) {
			e.kind = endsUnusable
		}
	case 15, 16:
		e.kind = endsNested
	default:
	}
	if w.oneIn(10) {
		e.takes = 0
	}
	return e
}

// err is what the function returns.
func (e ending) err() error {
	switch e.kind {
	case endsTransient:
		return policy.Transient(errBackend)
	case endsHinted:
		return policy.TransientAfter(errBackend, e.hint)
	case endsThrottled:
		return policy.Throttled(errBackend, e.hint)
	case endsFatal:
		return policy.Fatal(errBackend)
	case endsUnmarked:
		return errBackend
	case endsPanicking:
		panic(errBackend)
	case endsExiting:
		runtime.Goexit()
		return nil
	case endsUnusable:
		return policy.Unusable(errBackend)
	default:
		return nil
	}
}

// fn is the function of a job.
func (w *virtualWorld) fn(j *virtualJob) job.Func[int] {
	return func(ctx context.Context) (int, error) {
		n := w.begin(j)
		e := j.plan[min(n, len(j.plan)-1)]
		kind := e.kind
		defer func() { w.end(j, n, kind, e.hint) }()
		w.settle(ctx, j, n)
		wait(ctx, e.takes, nil)
		if kind == endsNested {
			kind = w.another(ctx, j)
		}
		if ctx.Err() != nil {
			if !j.deaf {
				kind = endsByContext
				return 0, ctx.Err()
			}
			time.Sleep(e.takes / 8) // it goes on for a while
		}
		if err := e.err(); err != nil {
			return 0, err
		}
		return j.number, nil
	}
}

// settle says what the attempt really costs.
func (w *virtualWorld) settle(ctx context.Context, j *virtualJob, n int) {
	a, ok := job.AttemptFrom(ctx)
	if !ok || a.Key != j.key || a.N != n+1 {
		w.wrong("job %d: its attempt %d is told to be %d of key %q", j.number, n+1, a.N, a.Key)
	}
	if j.settles < 0 {
		return
	}
	for i, l := range j.place.limits {
		if l.settled {
			for range 2 { // the second time counts for nothing
				if err := a.Settle(l.name, j.costs[i]*j.settles); err != nil {
					w.wrong("job %d: Settle: %v", j.number, err)
				}
			}
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	j.runs[n].settled = true
}

// another hands in one more job, with the context of this one's attempt, and awaits it as far as it can come.
func (w *virtualWorld) another(ctx context.Context, parent *virtualJob) endingKind {
	child := &virtualJob{
		number: parent.number + 1000, place: parent.place, key: parent.key, costs: parent.costs, settles: -1, plan: []ending{{takes: time.Second}},
		at: w.now(), inside: true,
	}
	w.mu.Lock()
	w.nested = append(w.nested, child)
	w.mu.Unlock()
	f, err := dispatcher.Submit(ctx, parent.place.d, w.fn(child), w.options(child)...)
	if err != nil {
		w.refuse(child, err)
		return endsWell
	}
	w.accept(child)
	if _, err := f.Await(ctx); errors.Is(err, job.ErrNotSettled) {
		f.Cancel()
	}
	w.settled(child, f)
	return endsWell
}
