package scheduler

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/policy"
)

var (
	onlySeed = flag.Uint64("seed", 0, "play only the random story of this seed; -v shows its events")
	seeds    = flag.Uint64("seeds", 1000, "how many random stories to play")
	shown    = flag.Bool("events", false, "with -v, show the events of every story that is played, as -seed does")
)

const shortSeeds = 100 // with -short

// TestRandomStories drives the core through random worlds. Nobody wrote down what should come out; what must hold whatever
// happens is checked after every turn, see random_check_test.go, and at the end every story is drained. A failure names
// the seed, and -seed plays that story again.
func TestRandomStories(t *testing.T) {
	first, last := uint64(1), *seeds
	switch {
	case *onlySeed != 0:
		first, last = *onlySeed, *onlySeed
	case testing.Short():
		last = min(last, shortSeeds)
	}
	for seed := first; seed <= last; seed++ {
		// A subtest, so that a panic or an endless loop of the core names its seed too.
		if !t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			newStory(t, rand.NewPCG(seed, 0), fmt.Sprintf("seed %d (-seed %d -v)", seed, seed)).play()
		}) {
			return
		}
	}
}

// story is one random run: the core and what its owner knows.
type story struct {
	t      *testing.T
	name   string // and how to see it again
	random *rand.Rand
	core   *Core
	steady bool // the limits' rules stay as they are, so that no blocked rate excuses a job that waits
	turns  int

	now       policy.Time // what the core's clock should show
	at        policy.Time // instant of the next events: now, or before
	workers   int
	paused    bool
	stopped   bool
	disturbed policy.Time // when a limit was last changed, or a charge corrected; before all time: never

	jobs    []*Entry // all that were submitted
	live    []*Entry // those that are not over, as of the last check
	settled map[*Entry]bool
	flying  []*attempt
	ended   []*attempt // those that ran their function
}

// attempt is one that the core has started.
type attempt struct {
	entry     *Entry
	number    int
	started   policy.Time
	corrected bool // so it has run, and can't be taken back as unstarted
}

// newStory returns the story that chance tells.
func newStory(t *testing.T, chance rand.Source, name string) *story {
	random := rand.New(chance)
	cfg := randomConfig(random)
	for _, limit := range cfg.Limits {
		require.NoError(t, limit.Validate())
	}
	require.NoError(t, errors.Join(cfg.Retry.Validate(), cfg.Breaker.Validate(), cfg.Budget.Validate()))
	s := &story{
		t: t, name: name, random: random, core: New(cfg), steady: oneIn(random, 2),
		workers: cfg.Workers, disturbed: -1, settled: map[*Entry]bool{},
	}
	s.logf("%+v", cfg)
	return s
}

func (s *story) play() {
	for range pick(s.random, 10, 50, 150) {
		s.passTime()
		for range 1 + s.random.IntN(3) {
			s.happen()
		}
		s.endTurn()
	}
	s.drain()
}

// endTurn does what an owner does after the events of a turn, and looks whether all is well.
func (s *story) endTurn() {
	s.turns++
	s.takeEffects()
	s.check()
}

// fatalf ends the test. It says how to see the story again.
func (s *story) fatalf(format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf("%s, turn %d, at %v: %s", s.name, s.turns, s.now, fmt.Sprintf(format, args...))
}

// loud reports whether events are shown: when only one story is played, or on demand; others would drown the reader.
func (s *story) loud() bool { return *onlySeed != 0 || *shown }

func (s *story) logf(format string, args ...any) {
	if s.loud() {
		s.t.Helper()
		s.t.Logf(format, args...)
	}
}

// step hands one event to the core, at the turn's instant.
func (s *story) step(ev Event) {
	ev.At = s.at
	s.logEvent(ev)
	s.core.Step(ev)
}

func (s *story) logEvent(ev Event) {
	if !s.loud() {
		return
	}
	about := ""
	switch ev.Kind {
	case Submit:
		e := ev.Entry
		about = fmt.Sprintf("groups %b, priority %d, costs %v, from %v to %v (announced %t), fail-fast %t, %+v", e.Groups, e.Priority, e.Costs, e.NotBefore, e.Deadline, e.Announced, e.FailFast, e.Retry)
	case Done:
		about = fmt.Sprintf("#%d %+v", ev.Attempt, ev.Outcome)
	case Unstarted:
		about = fmt.Sprintf("#%d", ev.Attempt)
	case Correct:
		about = fmt.Sprintf("#%d limit %d to %v", ev.Attempt, ev.Limit, ev.Amount)
	case SetRate, SetBurst, Observe:
		about = fmt.Sprintf("limit %d, key %s: rate %v, burst %g, amount %v", ev.Limit, ev.Key, ev.Rate, ev.Burst, ev.Amount)
	case SetWorkers, SetKeyWorkers, SetGroup:
		about = fmt.Sprint(ev.Group, ev.Workers)
	case Override:
		about = fmt.Sprintf("key %s: %v", ev.Key, ev.Mode)
	default:
	}
	s.t.Logf("turn %d, %v: %v %s %s", s.turns+1, ev.At, ev.Kind, s.nameOf(ev.Entry), about)
}

// nameOf returns what a log calls a job: its number in order of submission.
func (s *story) nameOf(e *Entry) string {
	if e == nil {
		return ""
	}
	return fmt.Sprintf("job %d of %s", slices.Index(s.jobs, e), e.Key)
}

// passTime moves the instant of the next events: often not at all, and now and then backwards, as when an owner reads the
// clock before it takes a lock.
func (s *story) passTime() {
	s.at = s.now
	switch s.random.IntN(10) {
	case 0, 1:
		s.at = s.now.Add(s.upTo(500 * time.Millisecond))
	case 2:
		s.at = s.now.Add(s.upTo(time.Minute))
	case 3, 4:
		if next := s.core.NextWake(); next != policy.Never {
			s.at = max(s.now, next)
		}
	case 5:
		s.at = max(0, s.now.Add(-s.upTo(time.Second)))
	default:
	}
	s.now = max(s.now, s.at)
	s.step(Event{Kind: Tick})
}

// happen makes one thing happen. The more often it stands in the list, the more often it does.
func (s *story) happen() {
	pick(s.random,
		s.submit, s.submit, s.submit, s.submit, s.submit, s.submit,
		s.endOne, s.endOne, s.endOne, s.endOne, s.endOne, s.endOne,
		s.unstartOne, s.unstartOne, s.repeatEnd, s.correctOne, s.correctOne,
		s.cancelOne, s.cancelAnnounced, s.changeLimit, s.changeLimit, s.changeWorkers,
		s.pauseOrResume, s.overrideOne, s.perhapsStop,
	)()
}

// keyRules are a key's own, now and then with rules for the limits that are per key.
func (s *story) keyRules() *KeyRules {
	rules := &KeyRules{Weight: s.random.IntN(4), Workers: s.random.IntN(3)}
	for i, limit := range s.core.limits.rules {
		if limit.PerKey && s.oneIn(3) {
			rules.Limits = append(rules.Limits, KeyLimit{Limit: i, Rule: randomLimit(s.random, limit.Name)})
		}
	}
	return rules
}

func (s *story) submit() {
	if s.stopped {
		return // an owner that has stopped takes in nothing
	}
	e := &Entry{Key: s.key(), FailFast: s.oneIn(4), Terms: new(Terms)}
	for i := range s.core.groups {
		if s.oneIn(4) {
			e.Groups |= 1 << i
		}
	}
	if s.oneIn(4) {
		e.Rules = s.keyRules()
	}
	if s.oneIn(3) {
		e.Priority = int8(MinPriority + s.random.IntN(classes))
	}
	if s.oneIn(4) {
		e.Deadline = s.now.Add(time.Nanosecond + s.upTo(3*time.Second))
		e.Announced = s.oneIn(2)
	}
	if s.oneIn(5) {
		e.NotBefore = s.now.Add(s.upTo(time.Second))
	}
	if s.oneIn(8) {
		retry := randomRetry(s.random)
		e.Retry = &retry
	}
	if s.oneIn(2) {
		for range s.core.limits.rules {
			e.Costs = append(e.Costs, s.amount(0, .5, 1, 1, 3, 60))
		}
	}
	s.jobs, s.live = append(s.jobs, e), append(s.live, e)
	s.step(Event{Kind: Submit, Entry: e})
}

// endOne ends an attempt that flies, and sometimes says so twice.
func (s *story) endOne() {
	if a := s.landOne(); a != nil {
		s.end(a, randomOutcome(s.random))
	}
}

func (s *story) end(a *attempt, outcome policy.Outcome) {
	if outcome.Unbilled {
		s.disturbed = s.now
	}
	s.ended = append(s.ended, a)
	ev := Event{Kind: Done, Entry: a.entry, Attempt: a.number, Outcome: outcome}
	s.step(ev)
	if s.oneIn(5) {
		s.step(ev)
	}
}

// unstartOne takes back an attempt that has not run. What it took comes back; how much, is plain if no time has passed.
func (s *story) unstartOne() {
	a := s.landOne()
	if a == nil {
		return
	}
	if a.corrected {
		s.end(a, policy.Outcome{})
		return
	}
	before := s.openPurse()
	ev := Event{Kind: Unstarted, Entry: a.entry, Attempt: a.number}
	s.step(ev)
	if a.started == s.now && s.disturbed < a.started {
		before.giveBack(a.entry)
		before.compare()
	}
	if s.oneIn(5) {
		s.step(ev)
	}
}

// landOne picks one of the attempts that fly, and takes it off the list; nil if there is none.
func (s *story) landOne() *attempt {
	if len(s.flying) == 0 {
		return nil
	}
	i := s.random.IntN(len(s.flying))
	a := s.flying[i]
	s.flying = slices.Delete(s.flying, i, i+1)
	return a
}

// repeatEnd tells of an attempt that ended long ago, or is yet to come: the core must not care.
func (s *story) repeatEnd() {
	var ev Event
	switch {
	case s.oneIn(2) && len(s.ended) > 0:
		a := pick(s.random, s.ended...)
		ev = Event{Entry: a.entry, Attempt: a.number}
	case len(s.jobs) > 0:
		e := pick(s.random, s.jobs...)
		ev = Event{Entry: e, Attempt: e.Runs() + 1}
	default:
		return
	}
	ev.Kind, ev.Outcome = pick(s.random, Done, Unstarted), randomOutcome(s.random)
	s.step(ev)
}

func (s *story) correctOne() {
	if len(s.flying) == 0 || len(s.core.limits.rules) == 0 {
		return
	}
	a := pick(s.random, s.flying...)
	number := a.number + pick(s.random, 0, 0, 0, 1, -1)
	if number == a.number {
		a.corrected = true
		s.disturbed = s.now
	}
	s.step(Event{Kind: Correct, Entry: a.entry, Attempt: number, Limit: s.limit(), Amount: s.amount(0, 1, 9)})
}

func (s *story) cancelOne() {
	if len(s.jobs) > 0 {
		s.step(Event{Kind: Cancel, Entry: pick(s.random, s.jobs...)})
	}
}

// cancelAnnounced keeps the owner's word for jobs whose deadline it has announced; sometimes it is late.
func (s *story) cancelAnnounced() {
	for _, e := range s.live {
		if e.Announced && e.Deadline <= s.now {
			s.step(Event{Kind: Cancel, Entry: e})
		}
	}
}

func (s *story) changeLimit() {
	if s.steady || len(s.core.limits.rules) == 0 {
		return
	}
	s.disturbed = s.now
	ev := Event{Kind: pick(s.random, SetRate, SetBurst, Observe), Limit: s.limit()}
	switch ev.Kind {
	case SetRate:
		ev.Rate = pick(s.random, policy.PerSecond(1), policy.PerSecond(100), policy.PerHour(7))
		if s.oneIn(2) {
			ev.Rate = pick(s.random, policy.Blocked, policy.Unlimited)
		}
	case SetBurst:
		ev.Burst = pick(s.random, 1.0, 3, 20, 100)
	case Observe:
		ev.Key, ev.Amount = s.key(), s.amount(0, 1, 7.5)
	default:
	}
	s.step(ev)
}

func (s *story) changeWorkers() {
	switch s.random.IntN(3) {
	case 0:
		s.workers = pick(s.random, 1, 2, 5, 20)
		s.step(Event{Kind: SetWorkers, Workers: s.workers})
	case 1:
		s.step(Event{Kind: SetKeyWorkers, Workers: s.random.IntN(3)})
	default:
		if n := len(s.core.groups); n > 0 {
			s.step(Event{Kind: SetGroup, Group: s.random.IntN(n), Workers: pick(s.random, 1, 3)})
		}
	}
}

func (s *story) pauseOrResume() {
	s.paused = s.oneIn(4)
	if s.paused {
		s.step(Event{Kind: Pause})
	} else {
		s.step(Event{Kind: Resume})
	}
}

func (s *story) overrideOne() {
	if s.oneIn(3) {
		mode := pick(s.random, policy.Automatic, policy.ForcedOpen, policy.ForcedClosed, policy.Disabled)
		s.step(Event{Kind: Override, Key: s.key(), Mode: mode})
	}
}

func (s *story) perhapsStop() {
	if s.oneIn(10) {
		s.stopped, s.paused = true, false
		s.step(Event{Kind: pick(s.random, Stop, Abort)})
	}
}

// drain removes whatever may hold jobs back, ends every attempt well, and waits until nothing is left to wait for.
func (s *story) drain() {
	s.at, s.paused = s.now, false
	s.step(Event{Kind: Resume})
	for i := range s.core.limits.rules {
		s.step(Event{Kind: SetRate, Limit: i, Rate: policy.PerSecond(1000)})
	}
	s.endTurn()
	s.goOnUntil("everything has settled and landed", s.core.Quiet)
	asleep := func() bool { return s.core.NextWake() == policy.Never }
	s.goOnUntil("nothing happens by itself", asleep)
	s.checkKeptLanes()
	s.resetAll()
	s.endTurn()
	s.goOnUntil("nothing happens by itself after a reset", asleep)
	s.checkEmpty()
}

// goOnUntil takes turn after turn, as fast as the core wants them.
func (s *story) goOnUntil(what string, done func() bool) {
	for left := 10_000; !done(); left-- {
		if left == 0 {
			s.fatalf("drained in vain until %s: %d unsettled, %d in flight, next wake-up at %v", what, s.core.Unsettled(), s.core.InFlight(), s.core.NextWake())
		}
		next := s.core.NextWake()
		switch a := s.landOne(); {
		case a != nil:
			s.end(a, policy.Outcome{})
		case next == policy.Never:
			s.resetAll() // a circuit that no time opens
		default:
			s.now = max(s.now, next)
			s.at = s.now
			s.step(Event{Kind: Tick})
		}
		s.cancelAnnounced()
		s.endTurn()
	}
}

// resetAll makes every circuit like a new one.
func (s *story) resetAll() {
	for _, key := range storyKeys {
		s.step(Event{Kind: Override, Key: key, Mode: policy.Automatic})
	}
}

var storyKeys = []string{"a", "b", "c", "d"}

func (s *story) key() string      { return pick(s.random, storyKeys...) }
func (s *story) limit() int       { return s.random.IntN(len(s.core.limits.rules)) }
func (s *story) oneIn(n int) bool { return oneIn(s.random, n) }

func (s *story) amount(tokens ...float64) policy.Amount {
	return amountOf(s.t, pick(s.random, tokens...))
}

// upTo returns a length of time below d, in whole milliseconds so that instants coincide.
func (s *story) upTo(d time.Duration) time.Duration {
	return time.Duration(s.random.Int64N(d.Milliseconds())) * time.Millisecond
}
