package oracle

import (
	"fmt"
	"math"
	"time"
)

// Time is an instant: nanoseconds on the clock of whoever is judged.
type Time int64

// Never is later than every instant.
const Never Time = math.MaxInt64

// Add returns t+d; what would overflow is Never.
func (t Time) Add(d time.Duration) Time {
	if d > 0 && t > Never-Time(d) {
		return Never
	}
	return t + Time(d)
}

// Sub returns t-u.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t - u) }

func (t Time) String() string {
	if t == Never {
		return "never"
	}
	return time.Duration(t).String()
}

// Micro is a number of tokens, in millionths.
type Micro int64

// Token is one of them.
const Token Micro = 1_000_000

// RateKind tells apart the rates.
type RateKind uint8

// The kinds.
const (
	Paced     RateKind = iota // Amount per Span
	Blocked                   // nothing comes in
	Unlimited                 // everything is admitted
)

// Rate is how fast a bucket fills. Span divides an hour.
type Rate struct {
	Kind   RateKind
	Amount Micro
	Span   time.Duration
}

// Limit is one token bucket, or one for each key.
type Limit struct {
	Rate        Rate
	Burst       Micro
	Initial     Micro // at the start
	MaxDebt     Micro // of corrections; 0: no bound
	DefaultCost Micro
	PerKey      bool
	Strict      bool
	Settled     bool
	Sliding     bool
}

// forbids reports whether a cost can never be admitted (S-L4, S-L3).
func (l *Limit) forbids(cost Micro) bool {
	return l.Strict && l.Rate.Kind != Unlimited && cost > l.Burst || l.Sliding && l.Rate.Kind == Paced && cost > l.Rate.Amount
}

// Retry is when a failed attempt is followed by another. Zero MaxAttempts is off; negative has no bound.
type Retry struct {
	MaxAttempts     int
	Delay           time.Duration
	Backoff         float64
	MaxDelay        time.Duration
	Jitter          bool // anywhere in [0, backoff), or exactly that
	MaxElapsed      time.Duration
	MaxHint         time.Duration // beyond which the job fails; 0: no bound
	MaxThrottleWait time.Duration
}

// Breaker is the rule of the circuit of each key; all defaults are filled in. It is off when no threshold is set.
type Breaker struct {
	Failures     int // in a row
	Ratio        float64
	SlowCall     time.Duration
	SlowRatio    float64
	Window       int           // outcomes, unless
	WindowTime   time.Duration // is set
	MinSamples   int
	Jobs         bool // count whole jobs
	Recovery     time.Duration
	Growth       float64
	MaxRecovery  time.Duration
	Probes       int
	Successes    int
	ProbeTimeout time.Duration
	Reprobe      time.Duration // 0: until a reset
}

// KeyRules is what a key has of its own; what is zero is as for every key.
type KeyRules struct {
	Workers int
	Breaker *Breaker
	Limits  map[int]Limit
}

// Config is the world of one core.
type Config struct {
	Workers    int
	KeyWorkers int // 0: no bound
	Groups     []int
	Limits     []Limit // those of the pools last
	Pools      []*Pool // shared limits
	Ahead      time.Duration
	Retry      Retry
	Budget     time.Duration // its window; 0: off
	Breaker    Breaker
	Keys       int
	Number     int // of the core, among those that have pools in common
}

// State is where a job stands.
type State uint8

// The states.
const (
	Unknown State = iota
	Queued
	Waiting
	Running
	Detached
	Settled
)

func (s State) String() string {
	return [...]string{"unknown", "queued", "waiting", "running", "detached", "settled"}[s]
}

// Verdict is what a circuit learns from an attempt.
type Verdict uint8

// The verdicts.
const (
	Success Verdict = iota
	Failure
	Neutral
	Unusable
)

// Outcome is how an attempt ended.
type Outcome struct {
	Verdict   Verdict
	Retry     bool
	Throttled bool
	Hinted    bool
	Hint      time.Duration
	Unbilled  bool
}

// Mode is who decides about a circuit.
type Mode uint8

// The modes.
const (
	Automatic Mode = iota
	ForcedOpen
	ForcedClosed
	Disabled
)

// EventKind says what went in.
type EventKind uint8

// The events.
const (
	Tick EventKind = iota
	Submit
	Done
	Unstarted
	Cancel
	Pause
	Resume
	Stop
	Abort
	Override
	Correct
	SetRate
	SetBurst
	Observe
	Revise
	SetWorkers
	SetKeyWorkers
	SetGroup
	Await
	Unawait
)

// Job is what a Submit event brings.
type Job struct {
	Key       int
	FailFast  bool
	Priority  int
	Costs     []Micro // nil: the defaults
	Deadline  Time    // 0: none
	Announced bool
	NotBefore Time
	Groups    uint64
	Retry     *Retry
}

// Event is one thing that went in, and what was seen of its job right before and after.
type Event struct {
	Kind    EventKind
	At      Time
	Job     int
	By      int // Await and Unawait
	Attempt int
	Submit  *Job
	Outcome Outcome
	Key     int
	Rules   *KeyRules
	New     bool // nothing was kept of the key: Submit, Override, Observe make its lane, by Rules
	Mode    Mode
	Limit   int
	Amount  Micro // of SetBurst, too
	Rate    Rate
	Workers int
	Group   int

	Before, After State
}

// EffectKind says what came out.
type EffectKind uint8

// The effects.
const (
	Start EffectKind = iota
	Settle
	Signal
	Parked
	Opened
	HalfOpened
	Closed
	Cooling
	Forgotten
	Deadlock
)

// Reason is why a job is over.
type Reason uint8

// The reasons.
const (
	Succeeded Reason = iota + 1
	Failed
	AttemptsUsedUp
	ElapsedUsedUp
	ThrottledOut
	HintTooLong
	CircuitOpen
	DeadlinePassed
	Canceled
	NotStarted
	Aborted
	CostTooHigh
	BudgetUsedUp
)

// Effect is one thing that came out. Of a circuit that has opened, Job is whose attempt is to blame, if one is.
type Effect struct {
	Kind    EffectKind
	Reason  Reason
	Job     int
	Key     int
	Until   Time
	Attempt int
}

// Level is what a bucket is seen to hold. Key is -1 for one that all keys share.
type Level struct {
	Limit, Key int
	Micro      Micro
}

// Key is how a key is seen to stand.
type Key struct {
	Key   int
	State uint8 // closed, open, half open
	Mode  Mode
}

// View is what can be seen of the core after a turn.
type View struct {
	InFlight  int
	Unsettled int
	NextWake  Time
	State     func(job int) State
	Levels    []Level // nil when nobody has looked
	Keys      []Key   // likewise
}

// Fault is a rule that was broken.
type Fault struct {
	Rule string
	Text string
}

func (f *Fault) String() string { return fmt.Sprintf("%s: %s", f.Rule, f.Text) }

func (m Micro) String() string { return fmt.Sprintf("%g", float64(m)/float64(Token)) }
