package scheduler

import (
	"fmt"

	"github.com/toller-go/toller/policy"
)

// EventKind says what has happened.
type EventKind uint8

// The events. Those about one job carry its Entry.
const (
	Tick          EventKind = iota // time has passed, and nothing else
	Submit                         // a job has been accepted
	Done                           // a started attempt has ended; Outcome says how
	Unstarted                      // a started attempt never ran its function: all it took is given back (S-L1)
	Cancel                         // the job is not wanted any more
	Pause                          // admit nothing until Resume
	Resume                         // admit again
	Stop                           // settle all that is not running, and let nothing come back
	Abort                          // settle everything
	Override                       // hand the circuit of Key to Mode; Automatic forgets what it has counted
	Correct                        // what the attempt in flight really costs of Limit is Amount
	SetRate                        // Limit fills at Rate from now on
	SetBurst                       // Limit holds Burst tokens from now on
	Observe                        // the server says that no more than Amount is left of Limit, for Key if it is per key
	Revise                         // the rule of Limit, which other cores use too, has changed: fail what has become impossible
	SetWorkers                     // Workers attempts may be in flight from now on
	SetKeyWorkers                  // of each key that has no rule of its own, Workers attempts; 0 for no bound
	SetGroup                       // of Group, Workers attempts
	Await                          // the function of By's attempt waits for Entry, or for one of Any, and does nothing else meanwhile
	Unawait                        // it does so no more
)

// String names the event in lower case.
func (k EventKind) String() string {
	names := [...]string{"tick", "submit", "done", "unstarted", "cancel", "pause", "resume", "stop", "abort", "override", "correct", "setrate", "setburst", "observe", "revise", "setworkers", "setkeyworkers", "setgroup", "await", "unawait"}
	if int(k) >= len(names) {
		return fmt.Sprintf("EventKind(%d)", uint8(k))
	}
	return names[k]
}

// Event is one thing that has happened, at the instant At.
type Event struct {
	Kind    EventKind
	At      policy.Time
	Entry   *Entry
	Attempt int            // Done and Unstarted: which one, as counted by Entry.Runs; another than the latest is stale. Await and Unawait: By's
	By      *Entry         // Await and Unawait
	Any     *Awaited       // Await and Unawait, in place of Entry: one of these is enough
	Left    int            // Await and Unawait, with Any: how many of these By's attempt has not taken the result of
	Outcome policy.Outcome // Done only
	Key     string         // Override and Observe
	Rules   *KeyRules      // Override and Observe: of the key, if they make its lane; nil for none
	Mode    policy.Mode    // Override only
	Limit   int            // Correct, SetRate, SetBurst, Observe and Revise: index of the limit
	Amount  policy.Amount  // Correct and Observe
	Rate    policy.Rate    // SetRate only; valid
	Burst   float64        // SetBurst only; tokens, valid
	Workers int            // SetWorkers, SetKeyWorkers and SetGroup; at least 1
	Group   int            // SetGroup only: index of the group
}

// EffectKind says what the owner is to do or to know.
type EffectKind uint8

// The effects. Those about one job carry its Entry; those about a circuit carry its Key and, where one is to blame, the
// Entry whose attempt caused it.
const (
	Start      EffectKind = iota // run the job's function once; answer with Done or Unstarted
	Settle                       // the job is over, for Reason
	Signal                       // the attempt that is running is not wanted any more; it still ends with Done
	Parked                       // for the record: the job waits until Until
	Opened                       // for the record: the circuit of Key has opened
	HalfOpened                   // for the record: the circuit of Key tests the backend
	Closed                       // for the record: the circuit of Key has closed
	Cooling                      // for the record: Key is in cooldown until Until
	Forgotten                    // for the record: Key could not be told from a new one, and nothing is kept of it
	Deadlock                     // what the function of Entry's attempt waits for will never come: it should wait no more
)

// String names the effect in lower case.
func (k EffectKind) String() string {
	names := [...]string{"start", "settle", "signal", "parked", "opened", "half-opened", "closed", "cooling", "forgotten", "deadlock"}
	if int(k) >= len(names) {
		return fmt.Sprintf("EffectKind(%d)", uint8(k))
	}
	return names[k]
}

// Effect is one thing for the owner to do or to know.
type Effect struct {
	Kind    EffectKind
	Reason  Reason // of Settle and Signal
	Entry   *Entry
	Key     string
	Until   policy.Time // Parked and Cooling; of Opened, and of Settle for CircuitOpen, when the circuit is next tested
	Attempt int         // Signal: which one is meant; Settle for AttemptsUsedUp: how many of them have counted
}

// Reason says why a job is over.
type Reason uint8

// The reasons.
const (
	Succeeded      Reason = iota + 1 // the function returned without an error
	Failed                           // its error is not one to try again, or retries are off
	AttemptsUsedUp                   // MaxAttempts
	ElapsedUsedUp                    // MaxElapsed
	ThrottledOut                     // MaxThrottleWait
	HintTooLong                      // MaxHint
	CircuitOpen                      // the circuit is open and the job would not wait
	DeadlinePassed                   // the deadline has come, or a wait that cannot be shortened ends after it (S-A8)
	Canceled                         // by a Cancel event
	NotStarted                       // by Stop, before it could be run (again)
	Aborted                          // by Abort
	CostTooHigh                      // its cost is above what a strict or sliding limit allows by now
	BudgetUsedUp                     // its key has had its share of retries
)

// ownEnd reports whether the job came to an end of its own, which says something about the backend (S-B9), and was not
// called off.
func (r Reason) ownEnd() bool {
	switch r {
	case Succeeded, Failed, AttemptsUsedUp, ElapsedUsedUp, BudgetUsedUp, HintTooLong, DeadlinePassed:
		return true
	default:
		return false
	}
}

// String names the reason in lower case.
func (r Reason) String() string {
	names := [...]string{
		"no reason", "succeeded", "failed", "attempts used up", "elapsed time used up", "throttled out", "hint too long",
		"circuit open", "deadline passed", "canceled", "not started", "aborted",
		"cost too high", "budget used up",
	}
	if int(r) >= len(names) {
		return fmt.Sprintf("Reason(%d)", uint8(r))
	}
	return names[r]
}
