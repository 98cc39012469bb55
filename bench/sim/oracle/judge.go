package oracle

import (
	"fmt"
	"slices"
)

// Judge judges one core.
type Judge struct {
	cfg    Config
	now    Time
	models []*bucket // of per-key limits: what a new key's are like (S-L3); nil for the others
	limits []*bucket // that all keys share, those of pools included; nil for the others
	lanes  []*lane
	jobs   []job
	live   []int // jobs that are not settled or still fly

	paused, stopping bool
	inFlight         int
	unsettled        int
	groups           []int // attempts in flight
	awaits           []pair
	arrivals         int
	starts           int

	// Watch, when set, is told of all that happens.
	Watch func(Sight)

	turn  *Turn
	fault *Fault
}

// Turn is what went in at once and what came out.
type Turn struct {
	Events  []Event
	Effects []Effect
	View    View
}

type pair struct{ by, attempt, on int }

// job is what is known of one job.
type job struct {
	Job
	state     State
	submitted Time
	until     Time // waiting
	runs      int
	counted   int // failures
	rows      int // throttles in a row
	corrected uint64
	arrival   int

	// Of the attempt in flight.
	who        int
	started    Time
	generation int
	probe      bool
	episode    int
	charged    uint64 // limits
	epochs     []int  // of their buckets, by limit

	// Of this turn.
	reason    Reason // that the scheduler settled it for
	explained bool
	parked    Time // until when the scheduler parked it; 0: it did not
	signalled bool
	doomed    bool // at some moment its cost was too high
}

// lane is what is known of one key.
type lane struct {
	exists   bool
	rules    *KeyRules
	circuit  circuit
	cool     cooldown
	own      []*bucket // by limit
	inFlight int
	waiting  int    // jobs queued or parked
	tries    []Time // when attempts have started and retries been granted, as far as the budget may remember it

	// Of this turn.
	told      []Effect // transitions that the scheduler made
	cooled    []Time   // cooldowns that it told of
	rejected  bool     // somewhere in it, who would not wait was turned away
	forgotten int
	balance   int // how often it was made, and not forgotten
	wasFresh  bool
}

// New returns the judge of a core that has just been made.
func New(cfg Config) *Judge {
	j := &Judge{cfg: cfg, groups: make([]int, len(cfg.Groups))}
	for i := range cfg.Limits {
		var model, shared *bucket
		switch l := &cfg.Limits[i]; {
		case i >= len(cfg.Limits)-len(cfg.Pools):
			shared = cfg.Pools[i-len(cfg.Limits)+len(cfg.Pools)].b
		case l.PerKey:
			model = newBucket(l)
		default:
			shared = newBucket(l)
		}
		j.models, j.limits = append(j.models, model), append(j.limits, shared)
	}
	for range cfg.Keys {
		j.lanes = append(j.lanes, &lane{})
	}
	return j
}

// Unsettled returns how many jobs have no result yet.
func (j *Judge) Unsettled() int { return j.unsettled }

func (j *Judge) fail(rule, format string, args ...any) {
	if j.fault == nil {
		j.fault = &Fault{rule, fmt.Sprintf(format, args...)}
	}
}

// Turn judges one turn. After a fault the judge is of no more use.
func (j *Judge) Turn(t *Turn) *Fault {
	j.turn = t
	j.sort()
	for i := range t.Events {
		if j.fault != nil {
			return j.fault
		}
		j.advance(t.Events[i].At)
		j.noteFresh()
		j.seeEvent(&t.Events[i])
		j.event(&t.Events[i])
		j.noteFresh()
	}
	for i := range t.Effects {
		j.seeEffect(&t.Effects[i])
		switch e := &t.Effects[i]; e.Kind {
		case Start:
			j.start(e.Job)
		case Deadlock:
			j.deadlock(e.Job)
		default:
		}
	}
	if j.fault == nil {
		j.close()
	}
	return j.fault
}

// sort hands out what came out to those it is about.
func (j *Judge) sort() {
	for _, l := range j.lanes {
		l.told, l.cooled = l.told[:0], l.cooled[:0]
		l.rejected, l.forgotten, l.wasFresh = l.circuit.rejects(), 0, false
		if l.balance = 0; l.exists {
			l.balance = 1
		}
	}
	for i := range j.turn.Effects {
		switch e := &j.turn.Effects[i]; e.Kind {
		case Opened, HalfOpened, Closed:
			j.lanes[e.Key].told = append(j.lanes[e.Key].told, *e)
		case Cooling:
			j.lanes[e.Key].cooled = append(j.lanes[e.Key].cooled, e.Until)
		case Forgotten:
			j.lanes[e.Key].forgotten++
			j.lanes[e.Key].balance--
		default:
		}
	}
	for i := range j.turn.Events { // jobs that this turn brings
		if ev := &j.turn.Events[i]; ev.Kind == Submit {
			j.jobs = append(j.jobs, job{Job: *ev.Submit})
		}
	}
	for i := range j.turn.Effects {
		switch e := &j.turn.Effects[i]; e.Kind {
		case Settle:
			b := &j.jobs[e.Job]
			if b.reason != 0 {
				j.fail("S-F1", "job %d is settled twice", e.Job)
			}
			b.reason = e.Reason
		case Parked:
			j.jobs[e.Job].parked = max(e.Until, 1)
		case Signal:
			b := &j.jobs[e.Job]
			if b.signalled || e.Attempt != b.runs {
				j.fail("S-F1", "job %d is signalled once more, or for attempt %d", e.Job, e.Attempt)
			}
			b.signalled = true
		default:
		}
	}
}

// advance lets time pass: deadlines, waits that end, circuits (S-L7, S-B10).
func (j *Judge) advance(to Time) {
	j.now = max(j.now, to)
	for _, i := range j.live {
		b := &j.jobs[i]
		if b.state == Waiting && b.until <= j.now {
			b.state = Queued
		}
		if b.Deadline > 0 && b.Deadline <= j.now && !b.Announced && b.state != Detached && b.state != Settled && b.reason == DeadlinePassed {
			j.settle(i, DeadlinePassed)
		}
	}
	for k, l := range j.lanes {
		for l.exists && l.circuit.due() <= j.now && j.fault == nil {
			l.circuit.pass(func(t told) { j.transition(k, t) })
		}
		l.rejected = l.rejected || l.circuit.rejects()
	}
	j.sweep()
}

// sweep forgets jobs that are over.
func (j *Judge) sweep() {
	j.live = slices.DeleteFunc(j.live, func(i int) bool { return j.jobs[i].state == Settled && j.jobs[i].explained })
}

// transition looks whether the scheduler made a transition that the rules demand, and told of it.
func (j *Judge) transition(key int, t told) {
	l := j.lanes[key]
	if len(l.told) == 0 {
		j.fail("S-B10", "the circuit of key %d should be %v by %v, and nothing says so", key, t.kind, j.now)
		return
	}
	got := l.told[0]
	l.told = l.told[1:]
	if got.Kind != t.kind || t.kind == Opened && got.Until != t.until {
		j.fail("S-B10", "the circuit of key %d should be %v until %v, and is %v until %v", key, t.kind, t.until, got.Kind, got.Until)
	}
	l.rejected = l.rejected || l.circuit.rejects()
}

func (k EffectKind) String() string {
	return [...]string{"start", "settle", "signal", "parked", "opened", "half-opened", "closed", "cooling", "forgotten", "deadlock"}[k]
}

// opened returns what tells whether the scheduler's next word on a circuit is that it has opened, until then, for what a job ended in.
func (l *lane) opened(job int) func(until Time) bool {
	return func(until Time) bool {
		return len(l.told) > 0 && l.told[0].Kind == Opened && l.told[0].Until == until && l.told[0].Job == job
	}
}

// settle ends a job for one of the reasons that are right here (S-F1).
func (j *Judge) settle(i int, reasons ...Reason) {
	b := &j.jobs[i]
	switch {
	case b.explained:
		j.fail("S-F1", "job %d would be over twice", i)
	case b.reason == 0:
		j.fail("S-F1", "job %d should be over now (%v), and is not", i, reasons)
	case !slices.Contains(reasons, b.reason):
		j.fail("S-F1", "job %d is over for reason %d, and not for one of %v", i, b.reason, reasons)
	}
	b.explained = true
	j.unsettled--
	switch b.state {
	case Running:
		b.state = Detached
		if !b.signalled {
			j.fail("S-F1", "job %d is over while it runs, and its function is not told", i)
		}
		return
	case Queued, Waiting:
		j.lanes[b.Key].waiting--
	default:
	}
	b.state = Settled
}

func (j *Judge) costs(b *job, i int) Micro {
	if b.Costs != nil {
		return b.Costs[i]
	}
	return j.cfg.Limits[i].DefaultCost
}

// bucket returns the bucket of a limit that a key uses, and what its clock shows.
func (j *Judge) bucket(key, limit int) (*bucket, Time) {
	if b := j.limits[limit]; b != nil {
		if limit >= len(j.cfg.Limits)-len(j.cfg.Pools) {
			return b, j.now.Add(j.cfg.Ahead)
		}
		return b, j.now
	}
	return j.lanes[key].own[limit], j.now
}

// rule returns the rule of a limit that binds a key.
func (j *Judge) rule(key, limit int) *Limit {
	if own, special := j.lanes[key].rules.limit(limit); special {
		return &own
	}
	if i := limit - len(j.cfg.Limits) + len(j.cfg.Pools); i >= 0 {
		return &j.cfg.Pools[i].rule
	}
	return &j.cfg.Limits[limit]
}

// Refuses reports whether a job costs more than some limit ever allows, so that Submit refuses it. The rules are those that its key
// brings if it is new.
func (j *Judge) Refuses(b *Job, rules *KeyRules) bool {
	for i := range j.cfg.Limits {
		own, special := rules.limit(i)
		if special && own.forbids(j.costs(&job{Job: *b}, i)) {
			return true
		}
	}
	return j.impossible(&job{Job: *b})
}

func (j *Judge) impossible(b *job) bool {
	for i := range j.cfg.Limits {
		if j.rule(b.Key, i).forbids(j.costs(b, i)) {
			return true
		}
	}
	return false
}

func (j *Judge) retryOf(b *job) *Retry {
	if b.Retry != nil {
		return b.Retry
	}
	return &j.cfg.Retry
}

func (j *Judge) keyWorkers(l *lane) int {
	if l.rules != nil && l.rules.Workers > 0 {
		return l.rules.Workers
	}
	return j.cfg.KeyWorkers
}
