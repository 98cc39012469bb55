package scheduler

import (
	"time"

	"github.com/toller-go/toller/policy"
)

// Config is what a [Core] is made from. The rules must be valid; New does not check them again.
type Config struct {
	Workers    int            // attempts in flight at once, at least 1
	Ramp       int            // of one key, with which a circuit that has closed has recovered; 0 for Workers
	KeyWorkers int            // of each key, save those that bring their own; 0 for no bound
	Groups     []Group        // in the order of the bits of Entry.Groups
	Limits     []policy.Limit // in the order of Entry.Costs
	Retry      policy.Retry   // of jobs that bring none of their own
	Budget     policy.Budget  // of every key
	Breaker    policy.Breaker // of every key, save those that bring their own
	AgeAfter   time.Duration  // how long a job waits before it rises a class of priority; 0 for never
	Seed       uint64         // of jitter

	Shared []SharedUse   // limits of which other cores take too; they stand behind Limits in Entry.Costs
	Ticket func() uint64 // with Shared: a greater number with each call from any of the cores that have limits in common
}

// Core is the scheduler: see the package comment.
type Core struct {
	workers    int
	ramp       int // 0: workers
	keyWorkers int
	retry      policy.Retry
	budget     policy.Budget
	circuit    policy.Circuit // what a new lane's is like; nothing ever passes it
	limits     limitSet
	groups     []group
	random     generator
	draw       func() float64 // of random, for circuits
	now        policy.Time
	arrivals   uint64

	ageAfter time.Duration
	top      int                  // the highest priority that anybody has asked for
	quantum  int64                // the largest size of a job there has been
	rings    [classes][]*seatRing // seats that have jobs and whose lane's own gates are open, as far as is known, by class
	standing [classes]int         // how many of them there are
	occupied uint16               // the classes in which there are any, one bit each
	tickets  uint64               // given to seats so far
	turn     uint64               // number of admissions
	holders  []*seat              // whose heads have held the line in the latest of these in which one has

	lanes    laneTable
	laneSeq  uint64
	recent   *lane        // of the latest key, or nil
	spare    []*lane      // dropped, to be used again; see spare.go
	edition  uint64       // of the rules: how often they have changed
	wakes    heap[*lane]  // lanes by when to look at them again
	parked   heap[*Entry] // by NotBefore
	deadline heap[*Entry] // by Deadline
	flying   entryList    // attempts in flight, detached ones included

	pools     []*Shared     // limits that other cores use too
	newTicket func() uint64 // of all cores that use them
	ticket    uint64        // in the lines of pools
	claimed   *Entry        // the job for which it stands there, or has its ticket
	claimedAt policy.Time   // when that can start if nobody takes anything

	awaits    []await // in order of time
	entangled bool    // it is to be found out whether some of awaits will never end

	inFlight  int
	unsettled int
	claim     claim       // of the first job that waits for what keys share, and knows for how long
	queuing   claim       // of the first of those that needs a shared limit, and may have it one day
	letGo     bool        // in this admission somebody held the line and does not any more
	line      policy.Time // when the first of those that wait for what keys share may start
	paused    bool
	stopping  bool

	plain   Terms   // of entries that have none
	pasts   []*past // of jobs that are over, to be used again
	effects []Effect
}

// New returns a core whose clock stands at zero.
func New(cfg Config) *Core {
	c := &Core{
		workers:    cfg.Workers,
		ramp:       cfg.Ramp,
		keyWorkers: cfg.KeyWorkers,
		retry:      cfg.Retry,
		budget:     cfg.Budget,
		limits:     newLimitSet(cfg.Limits, cfg.Shared),
		random:     generator{cfg.Seed},

		ageAfter: cfg.AgeAfter,
		top:      MinPriority,
		lanes:    newLaneTable(),
		wakes:    heap[*lane]{moved: func(l *lane, pos int32) { l.wakePos = pos }},
		parked:   heap[*Entry]{moved: func(e *Entry, pos int32) { e.pos = pos }},
		deadline: heap[*Entry]{
			moved: func(e *Entry, pos int32) { e.deadlinePos = pos },
		},
		line:      policy.Never,
		newTicket: cfg.Ticket,
	}
	for _, g := range cfg.Groups {
		c.groups = append(c.groups, group{Group: g})
	}
	for _, use := range cfg.Shared {
		c.pools = append(c.pools, use.Limit)
	}
	c.draw = c.random.unit
	c.circuit = c.newCircuit(cfg.Breaker)
	return c
}

// Advance is Step for a Tick event.
func (c *Core) Advance(at policy.Time) { c.advance(at) }

// Submit is Step for a Submit event, and Done for a Done event: there are two for each job, and an Event is large.
func (c *Core) Submit(at policy.Time, e *Entry) {
	c.advance(at)
	c.submit(e)
}

// Done is Step for a Done event: see Submit.
func (c *Core) Done(at policy.Time, e *Entry, attempt int, out policy.Outcome) {
	c.advance(at)
	c.end(e, attempt, out)
}

// end takes the end of an attempt, unless that is not in flight: it has been told before.
func (c *Core) end(e *Entry, attempt int, out policy.Outcome) {
	if e.flies(attempt) {
		c.done(e, out)
	}
}

// Step takes one event. Everything that was due before it happens first. An At before that of an earlier event is taken
// as that of the earlier one (S-L7).
func (c *Core) Step(ev Event) {
	c.advance(ev.At)
	switch ev.Kind {
	case Tick:
	case Submit:
		c.submit(ev.Entry)
	case Done:
		c.end(ev.Entry, ev.Attempt, ev.Outcome)
	case Unstarted:
		if ev.Entry.flies(ev.Attempt) {
			c.unstarted(ev.Entry)
		}
	case Cancel:
		c.drop(ev.Entry, Canceled)
	case Pause:
		c.paused = true
	case Resume:
		c.paused = false
	case Stop:
		c.stopping, c.paused = true, false
		c.dropWaiting(NotStarted)
	case Abort:
		c.stopping, c.paused = true, false
		c.dropWaiting(Aborted)
		c.dropFlying(Aborted)
	case Override:
		c.override(ev.Key, ev.Rules, ev.Mode)
	case Correct:
		if ev.Entry.flies(ev.Attempt) {
			c.correct(ev.Entry, ev.Limit, ev.Amount)
			c.touch(ev.Entry.lane())
		}
	case Await:
		c.await(ev)
	case Unawait:
		c.unawait(ev)
	case SetRate, SetBurst, Observe, Revise, SetWorkers, SetKeyWorkers, SetGroup:
		c.adjust(ev)
	}
}

// Effects admits what can be admitted now and returns what the owner has to do, in order. The slice is the core's, and
// valid until the next call of Step or Effects.
func (c *Core) Effects() []Effect {
	c.admit()
	c.untangle()
	effects := c.effects
	c.effects = c.effects[:0]
	return effects
}

// NextWake returns when to step a Tick at the latest: the one wake-up for everything that waits (S-L9). It is
// [policy.Never] when nothing will happen by itself.
func (c *Core) NextWake() policy.Time { return min(c.line, c.dueAt()) }

// dueAt returns when something happens next, of itself and not by an admission.
func (c *Core) dueAt() policy.Time {
	return policy.Time(min(c.deadline.key(), c.wakes.key(), c.parked.key()))
}

// Unsettled returns how many jobs have been submitted and are not settled.
func (c *Core) Unsettled() int { return c.unsettled }

// InFlight returns how many attempts have been started and have not ended, detached ones included.
func (c *Core) InFlight() int { return c.inFlight }

// Quiet reports whether nothing waits and nothing runs.
func (c *Core) Quiet() bool { return c.unsettled == 0 && c.inFlight == 0 }

// advance moves the clock to at and does what was due on the way, in order of time.
func (c *Core) advance(at policy.Time) {
	for {
		deadline, wake, parked := c.deadline.key(), c.wakes.key(), c.parked.key()
		due := min(deadline, wake, parked)
		if policy.Time(due) > at || due == int64(policy.Never) {
			break
		}
		c.now = max(c.now, policy.Time(due))
		switch due {
		case deadline:
			c.expire(c.deadline.min().item)
		case wake:
			c.wake(c.wakes.min().item)
		default:
			c.unpark(c.parked.min().item)
		}
	}
	c.now = max(c.now, at)
}

func (c *Core) emit(effect Effect) { c.effects = append(c.effects, effect) }
