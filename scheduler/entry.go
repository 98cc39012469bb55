package scheduler

import (
	"fmt"
	"time"

	"github.com/toller-go/toller/policy"
)

// EntryState is where a job stands.
type EntryState uint8

// The states. A job that is settled while its attempt runs is Detached until the attempt ends: the caller has his
// answer, and the worker is still taken (S-F1, S-C1).
const (
	Unknown  EntryState = iota // not submitted yet
	Queued                     // ready, waiting to be admitted
	Waiting                    // parked until an instant
	Running                    // an attempt is in flight
	Detached                   // settled, and an attempt is still in flight
	Settled                    // over
)

// String names the state in lower case.
func (s EntryState) String() string {
	names := [...]string{"unknown", "queued", "waiting", "running", "detached", "settled"}
	if int(s) >= len(names) {
		return fmt.Sprintf("EntryState(%d)", uint8(s))
	}
	return names[s]
}

// Entry is one job as the core knows it. The exported fields are set by the owner before the Submit event and not
// changed afterwards; the rest belongs to the core. An Entry must not be copied once it has been submitted.
//
// There may be millions of them, so an entry has only what every job needs; what few have stands behind Terms and past.
type Entry struct {
	Owner    any    // the owner's own; never looked at
	Key      string // whose fate the job shares
	*Terms          // nil for none
	Priority int8   // from MinPriority to MaxPriority; higher goes first
	FailFast bool   // fails, rather than waits, while its circuit is open

	state EntryState
	fresh bool // queued: it stands in the fresh list, not among the returned
	paid  bool // its size has been taken off its lane's deficit

	pos       int32       // waiting: index among the parked; queued and not fresh: among the lane's returned
	size      int32       // for the round robin, see Core.begin
	runs      uint32      // attempts started
	seat      *seat       // that of its lane and its gates
	arrival   uint64      // order of submission; retries keep it (S-A6)
	submitted policy.Time // when it was submitted
	started   policy.Time // when the attempt in flight was admitted
	*past                 // nil until there is something to remember

	pass  policy.Pass  // of the attempt in flight
	visit policy.Visit // of the attempt in flight

	next, prev *Entry // in the lane's fresh list, or in the core's list of attempts in flight
}

// Terms are what a job may ask for besides. The zero Terms ask for nothing. They belong to one entry.
type Terms struct {
	Costs     []policy.Amount // one for each of Config.Limits; nil for the defaults
	Deadline  policy.Time     // when the job is settled at the latest; zero for never
	NotBefore policy.Time     // before which it does not start; zero for at once
	Retry     *policy.Retry   // nil for Config.Retry
	Rules     *KeyRules       // of the key, if this is the job that makes its lane; nil for none
	Groups    uint64          // those of Config.Groups that the job belongs to, one bit each
	Announced bool            // the owner posts a Cancel when the deadline comes; until then it only forbids what is too long

	deadlinePos int32 // index among the deadlines; -1 when it has none
}

// past is what is remembered of the earlier attempts of a job, and of the corrections of the one in flight.
type past struct {
	failures  int           // attempts that count against MaxAttempts
	throttles int           // throttles in a row
	prevWait  time.Duration // the backoff before this one
	coolBase  time.Duration // the lane's time in cooldown when the job came
	throttled time.Duration // own waits for throttles beyond the lane's cooldown
	corrected uint64        // of the attempt in flight: the limits, one bit each, whose charge has been corrected
}

// State returns where the job stands.
func (e *Entry) State() EntryState { return e.state }

// Submitted returns when the job was submitted.
func (e *Entry) Submitted() policy.Time { return e.submitted }

// Started returns when the latest attempt was admitted.
func (e *Entry) Started() policy.Time { return e.started }

// Runs returns how many attempts have been started.
func (e *Entry) Runs() int { return int(e.runs) }

// flies reports whether the given attempt is in flight. The end of any other has been told before (S-F1).
func (e *Entry) flies(attempt int) bool {
	return (e.state == Running || e.state == Detached) && attempt == int(e.runs)
}

// over reports whether the job is settled.
func (e *Entry) over() bool { return e.state == Settled || e.state == Detached }

// lane returns that of the job's key.
func (e *Entry) lane() *lane { return e.seat.lane }

// rule returns the retry rule in force for e.
func (e *Entry) rule(c *Core) *policy.Retry {
	if e.Retry != nil {
		return e.Retry
	}
	return &c.retry
}

// entryList is an intrusive doubly linked list, oldest first.
type entryList struct {
	first, last *Entry
}

func (l *entryList) pushBack(e *Entry) {
	e.prev, e.next = l.last, nil
	if l.last == nil {
		l.first = e
	} else {
		l.last.next = e
	}
	l.last = e
}

func (l *entryList) remove(e *Entry) {
	if e.prev == nil {
		l.first = e.next
	} else {
		e.prev.next = e.next
	}
	if e.next == nil {
		l.last = e.prev
	} else {
		e.next.prev = e.prev
	}
	e.next, e.prev = nil, nil
}

// remember returns what is remembered of e, which there is from now on.
func (c *Core) remember(e *Entry) *past {
	if e.past != nil {
		return e.past
	}
	if n := len(c.pasts); n > 0 {
		e.past, c.pasts = c.pasts[n-1], c.pasts[:n-1]
	} else {
		e.past = new(past)
	}
	return e.past
}

// sparePasts is how many pasts are kept for jobs to come.
const sparePasts = 1024

// forget forgets a job that is over and of which nothing is in flight: its past, and that it had a seat.
func (c *Core) forget(e *Entry) {
	e.seat.jobs--
	if e.past == nil {
		return
	}
	if len(c.pasts) < sparePasts {
		*e.past = past{}
		c.pasts = append(c.pasts, e.past)
	}
	e.past = nil
}
