package main

import (
	"container/heap"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/toller-go/toller/examples/llmbatch/internal/batchfile"
	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/policy/api"
	"github.com/toller-go/toller/scheduler"
)

// outcome is what a run comes to.
type outcome struct {
	took     time.Duration
	requests int
	failed   int // prompts
	peak     int // requests at once
}

// simulation is a run without a network: the scheduler that a dispatcher has, told of a time that passes as fast as it is asked, and
// prompts bound to keys as in a run.
type simulation struct {
	f     *forecast
	core  *scheduler.Core
	meter *meter
	ring  *keyring
	rand  *rand.Rand
	read  *batchfile.Reader // nil when all is read

	now    policy.Time
	queues map[string][]*trial // by model
	held   int                 // in queues
	ends   landings
	bound  []*trial    // that wait for their first attempt, and some that don't any more
	look   policy.Time // when what answers have taught is looked at next; Never when they have taught nothing since
	err    error
	out    outcome
}

// trial is a prompt.
type trial struct {
	scheduler.Entry
	scheduler.Terms
	model string
	says  api.Request
	est   estimate
	lane  *lane
	begun bool

	recalled bool // to be bound again with a better estimate
}

// landing is the end of an attempt, to come.
type landing struct {
	at    policy.Time
	trial *trial
}

// landings is a heap, the next first.
type landings []landing

func (e landings) Len() int           { return len(e) }
func (e landings) Less(i, j int) bool { return e[i].at < e[j].at }
func (e landings) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }

// Push and Pop are for package heap.
func (e *landings) Push(x any) { *e = append(*e, x.(landing)) } //nolint:forcetypeassert // it is what is pushed here

// Pop removes the last.
func (e *landings) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

// simulate finds out how long a run will take.
func simulate(f *forecast, src *source) (outcome, error) {
	read, err := src.open(true)
	if err != nil {
		return outcome{}, err
	}
	s := newSimulation(f, read)
	for s.step() { // until nothing is left
	}
	return s.out, errors.Join(s.err, read.Close())
}

// newSimulation is one before its first step, of the prompts that read has.
func newSimulation(f *forecast, read *batchfile.Reader) *simulation {
	seed := f.seed
	if seed == 0 {
		seed = 1 // the same question has the same answer
	}
	m := newMeter(&f.settings)
	return &simulation{
		f: f, meter: m, ring: newKeyring(f.keys, f.window()), rand: rand.New(rand.NewPCG(seed, seed)), read: read, queues: make(map[string][]*trial),
		look: policy.Never,
		core: scheduler.New(scheduler.Config{
			Workers: f.maxInFlight, Limits: m.limits, Retry: f.retry(), Breaker: f.breaker(), Seed: seed, AgeAfter: time.Minute,
		}),
	}
}

// step goes to the next event, and reports whether there was one.
func (s *simulation) step() bool {
	for s.feed() || s.effects() { //nolint:revive // what one does makes work for the other
	}
	next := s.core.NextWake()
	if len(s.ends) > 0 {
		next = min(next, s.ends[0].at)
	}
	if next == policy.Never || s.err != nil {
		return false
	}
	s.now = max(s.now, min(next, s.look))
	s.core.Advance(s.now)
	for len(s.ends) > 0 && s.ends[0].at <= s.now {
		s.end(heap.Pop(&s.ends).(landing).trial) //nolint:forcetypeassert // it is what was pushed
	}
	if s.now >= s.look {
		s.look = policy.Never
		s.refresh()
	}
	return true
}

// feed reads on and binds prompts to keys as a run does. It reports whether anything was bound.
func (s *simulation) feed() bool {
	bound := false
	for _, model := range slices.Sorted(maps.Keys(s.queues)) { // in this order, or the same question could have two answers
		bound = s.bind(model) || bound
	}
	for s.read != nil && s.held < readAhead && (s.held == 0 || len(s.ring.lanes) > 1) {
		item, err := s.read.Next()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				s.err = errors.Join(errChanged, err)
			}
			s.read = nil
			break
		}
		t := &trial{model: item.Model, says: api.ReadRequest(api.Choices, item.Body)}
		t.says.Model = item.Model
		s.queues[item.Model] = append(s.queues[item.Model], t)
		s.held++
		bound = s.bind(item.Model) || bound
	}
	return bound
}

// bind submits what keys have room for.
func (s *simulation) bind(model string) bool {
	queue, bound := s.queues[model], false
	for len(queue) > 0 {
		l := s.ring.pick(model)
		if l == nil {
			break
		}
		t := queue[0]
		queue, bound = queue[1:], true
		s.held--
		t.lane = l
		l.waiting++
		l.under++
		t.Key = l.name
		t.Entry.Terms = &t.Terms
		s.charge(t)
		s.bound = append(s.bound, t)
		s.core.Submit(s.now, &t.Entry)
	}
	if s.queues[model] = queue; len(queue) == 0 {
		delete(s.queues, model)
	}
	return bound
}

// refresh takes back what waits with an estimate that is not what we would say by now, as a run does.
func (s *simulation) refresh() {
	waiting := s.bound[:0]
	for _, t := range s.bound {
		switch {
		case t.begun:
		case stale(t.est, s.meter.estimate(t.says)):
			t.recalled = true
			s.core.Step(scheduler.Event{Kind: scheduler.Cancel, At: s.now, Entry: &t.Entry})
		default:
			waiting = append(waiting, t)
		}
	}
	clear(s.bound[len(waiting):])
	s.bound = waiting
}

// charge says what a prompt costs.
func (s *simulation) charge(t *trial) {
	t.est = s.meter.estimate(t.says)
	t.Costs = s.amounts(t.est.Input, t.est.likely)
	t.Owner = t
}

// amounts are so many tokens of each limit.
func (s *simulation) amounts(input, output float64) []policy.Amount {
	amounts := make([]policy.Amount, len(s.meter.limits))
	for i, l := range s.meter.limits {
		tokens, counts := s.meter.amount(l.Name, input, output, 0)
		if !counts {
			amounts[i] = l.Cost()
			continue
		}
		if l.Sliding {
			tokens = min(tokens, l.Burst)
		}
		amounts[i], _ = policy.AmountOf(l.Name, tokens) // never negative, and bounded by the limit
	}
	return amounts
}

// effects starts what can be started, and counts what is over. It reports whether there was anything.
func (s *simulation) effects() bool {
	some := false
	for _, e := range s.core.Effects() {
		if e.Kind != scheduler.Start && e.Kind != scheduler.Settle {
			continue
		}
		some = true
		t := e.Entry.Owner.(*trial) //nolint:forcetypeassert // all entries are of trials
		if e.Kind == scheduler.Settle {
			t.lane.under--
			if t.recalled {
				t.lane.waiting--
				s.queues[t.model] = append([]*trial{{model: t.model, says: t.says}}, s.queues[t.model]...)
				s.held++
				continue
			}
			s.out.took = time.Duration(s.now)
			if e.Reason != scheduler.Succeeded {
				s.out.failed++
			}
			continue
		}
		if !t.begun {
			t.begun = true
			t.lane.waiting--
		}
		s.out.requests++
		s.out.peak = max(s.out.peak, s.core.InFlight())
		wait := s.f.latency.min
		if spread := s.f.latency.max - wait; spread > 0 {
			wait += time.Duration(s.rand.Int64N(int64(spread) + 1))
		}
		heap.Push(&s.ends, landing{at: s.now.Add(wait), trial: t})
	}
	return some
}

// end ends an attempt: it fails, or is answered with as many tokens as is assumed.
func (s *simulation) end(t *trial) {
	attempt := t.Runs()
	if s.rand.Float64() < s.f.failRate {
		s.core.Done(s.now, &t.Entry, attempt, policy.Outcome{Verdict: policy.VerdictFailure, Retry: true})
		return
	}
	input, output := t.says.Input, t.est.Output
	if s.f.outputTokens > 0 {
		output = s.f.outputTokens
		if t.says.MaxOutput > 0 {
			output = min(output, t.says.MaxOutput)
		}
	}
	for i, amount := range s.amounts(input, output) {
		if s.meter.limits[i].Settled {
			s.core.Step(scheduler.Event{Kind: scheduler.Correct, At: s.now, Entry: &t.Entry, Attempt: attempt, Limit: i, Amount: amount})
		}
	}
	if s.look == policy.Never { // a run looks now and then; to do so here where nothing has been learnt would be most of the steps
		late := s.now.Add(lookEvery - 1)
		s.look = late - late%policy.Time(lookEvery)
	}
	s.meter.learn(t.model, t.est, api.Usage{Input: int64(input), Output: int64(output)})
	s.core.Done(s.now, &t.Entry, attempt, policy.Outcome{Verdict: policy.VerdictSuccess})
}
