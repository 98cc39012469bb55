package scheduler

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/policy"
)

// TestShortcutsChangeNothing tells the same story to two cores. One has all that makes it fast: jobs that come alone start at once
// (express.go), several are admitted in one pass (plain.go), lanes are revived and made of others (spare.go). The other goes the
// long way each time. What they do must be the same, turn by turn, and so must be when they want to be woken.
func TestShortcutsChangeNothing(t *testing.T) {
	taken := map[string]int{}
	t.Cleanup(func() { t.Log(taken) })
	first, last := uint64(1), uint64(120)
	switch {
	case *onlySeed != 0:
		first, last = *onlySeed, *onlySeed
	case testing.Short():
		last = 50
	}
	for seed := first; seed <= last; seed++ {
		newTwins(t, seed, taken).play()
	}
	if *onlySeed == 0 {
		for _, shortcut := range []string{"express", "no express", "revived"} {
			require.Greater(t, taken[shortcut], int(last), "%s: too seldom to prove anything: %v", shortcut, taken)
		}
	}
}

// twins is two cores that are told the same.
type twins struct {
	t      *testing.T
	seed   uint64
	random *rand.Rand
	short  *Core // has its shortcuts
	long   *Core
	taken  map[string]int // how often the shortcuts were

	now    policy.Time
	turn   int
	rush   bool        // more jobs come than go
	alone  bool        // what happens is all that does in this turn
	jobs   [][2]*Entry // of the short one, and of the long one
	flying []int       // jobs by number
	began  *Entry      // by the express way in this turn, before all effects; or nil
}

func newTwins(t *testing.T, seed uint64, taken map[string]int) *twins {
	r := rand.New(rand.NewPCG(seed, 1))
	cfg := Config{
		Workers:  pick(r, 1, 2, 5, 20),
		Seed:     r.Uint64(),
		AgeAfter: pick(r, 0, 0, 100*time.Millisecond),
		Retry:    randomRetry(r),
	}
	for i := range r.IntN(3) {
		cfg.Limits = append(cfg.Limits, policy.Limit{Name: fmt.Sprint("limit ", i), Rate: policy.PerSecond(pick(r, 10.0, 1000, 1e6)), Burst: pick(r, 1.0, 5, 1e6)})
	}
	if oneIn(r, 2) {
		cfg.Breaker = randomBreaker(r)
	}
	if oneIn(r, 3) {
		cfg.Budget = policy.Budget{Ratio: .5, MinRetries: 1, Window: time.Second}
	}
	w := &twins{t: t, seed: seed, random: r, taken: taken, rush: oneIn(r, 2), short: New(cfg)}
	cfg.KeyWorkers = math.MaxInt32 // binds nobody, but a key that has a bound is not plain
	w.long = New(cfg)
	return w
}

func (w *twins) play() {
	for w.turn = range 100 {
		w.passTime()
		events := pick(w.random, 1, 1, 1, 2, 4)
		w.alone = events == 1
		for range events {
			w.happen()
		}
		w.compare()
	}
	w.both(func(c *Core, _ int) { c.Step(Event{Kind: Stop, At: w.now}) })
	w.compare()
}

func (w *twins) passTime() {
	switch w.random.IntN(4) {
	case 0:
		w.now = w.now.Add(time.Duration(w.random.IntN(300)) * time.Millisecond)
	case 1:
		if next := w.short.NextWake(); next != policy.Never {
			w.now = max(w.now, next)
		}
	default:
	}
	if oneIn(w.random, 2) { // or what comes next does it
		w.both(func(c *Core, _ int) { c.Advance(w.now) })
		w.compare()
	}
}

func (w *twins) happen() {
	if w.rush && oneIn(w.random, 2) {
		w.submit()
		return
	}
	pick(w.random, w.submit, w.submit, w.submit, w.end, w.end, w.end, w.takeBack, w.cancel, w.steer)()
}

// submit hands in a job. The short one takes it by the express way where an owner would, if it can.
func (w *twins) submit() {
	e := Entry{Owner: len(w.jobs), Key: pick(w.random, "a", "a", "a", "b", "c"), FailFast: oneIn(w.random, 4), Priority: pick[int8](w.random, 0, 0, 0, 1)}
	switch w.random.IntN(10) {
	case 0:
		e.Terms = &Terms{NotBefore: w.now.Add(100 * time.Millisecond)}
	case 1:
		e.Terms = new(Terms)
		for range w.short.limits.rules {
			e.Costs = append(e.Costs, amountOf(w.t, pick(w.random, 0, .5, 3, 5)))
		}
	}
	pair := [2]*Entry{{}, {}}
	for i := range pair {
		*pair[i] = e
		if e.Terms != nil {
			own := *e.Terms
			pair[i].Terms = &own
		}
	}
	w.jobs = append(w.jobs, pair)
	if l := w.short.lanes.get(e.Key); l != nil && l.retired {
		w.taken["revived"]++
	}
	w.both(func(c *Core, i int) {
		switch {
		case c == w.long || !w.alone:
			c.Submit(w.now, pair[i])
		case c.Express(w.now, pair[i]):
			w.taken["express"]++
			w.began = pair[i]
		default:
			w.taken["no express"]++
			c.Submit(w.now, pair[i])
		}
	})
}

// land takes a job that flies off the list; -1 if there is none.
func (w *twins) land() int {
	if len(w.flying) == 0 {
		return -1
	}
	i := w.random.IntN(len(w.flying))
	n := w.flying[i]
	w.flying = slices.Delete(w.flying, i, i+1)
	return n
}

func (w *twins) end() {
	n := w.land()
	if n < 0 {
		return
	}
	var out policy.Outcome
	if oneIn(w.random, 3) {
		out = randomOutcome(w.random)
	}
	w.both(func(c *Core, i int) { c.Done(w.now, w.jobs[n][i], w.jobs[n][i].Runs(), out) })
}

func (w *twins) takeBack() {
	if n := w.land(); n >= 0 {
		w.both(func(c *Core, i int) {
			c.Step(Event{Kind: Unstarted, At: w.now, Entry: w.jobs[n][i], Attempt: w.jobs[n][i].Runs()})
		})
	}
}

func (w *twins) cancel() {
	if len(w.jobs) > 0 {
		n := w.random.IntN(len(w.jobs))
		w.both(func(c *Core, i int) { c.Step(Event{Kind: Cancel, At: w.now, Entry: w.jobs[n][i]}) })
	}
}

func (w *twins) steer() {
	ev := Event{At: w.now, Kind: pick(w.random, Pause, Resume, Resume, Override, SetRate), Key: "a", Mode: policy.Automatic, Rate: policy.PerSecond(100)}
	if ev.Kind == SetRate && len(w.short.limits.rules) == 0 {
		return
	}
	w.both(func(c *Core, _ int) { c.Step(ev) })
}

// both tells both. The long one forgets first what it could take up again.
func (w *twins) both(tell func(c *Core, i int)) {
	tell(w.short, 0)
	for _, l := range w.long.spare {
		w.long.lanes.remove(l)
	}
	w.long.spare, w.long.recent = nil, nil
	tell(w.long, 1)
}

// compare takes the effects of both, and notes who flies.
func (w *twins) compare() {
	var said [2]string
	w.both(func(c *Core, i int) {
		effects := c.Effects()
		if c == w.short && w.began != nil {
			effects, w.began = append([]Effect{{Kind: Start, Entry: w.began}}, effects...), nil
		}
		for _, effect := range effects {
			if effect.Entry != nil {
				said[i] += fmt.Sprintf("job %d: ", effect.Entry.Owner)
			}
			if effect.Kind == Start && c == w.short {
				w.flying = append(w.flying, effect.Entry.Owner.(int))
			}
			effect.Entry = nil
			said[i] += fmt.Sprintf("%+v\n", effect)
		}
		said[i] += fmt.Sprintf("wake %v, %d unsettled, %+v", c.NextWake(), c.Unsettled(), c.Snapshot())
	})
	require.Equal(w.t, said[1], said[0], "seed %d (-seed %d), turn %d, at %v", w.seed, w.seed, w.turn, w.now)
}
