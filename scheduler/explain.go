package scheduler

import (
	"fmt"
	"math/bits"
	"time"

	"github.com/toller-go/toller/policy"
)

// WaitKind says what kind of thing a job waits for.
type WaitKind uint8

// The kinds.
const (
	ForInstant   WaitKind = iota // its backoff or delay to be over
	ForResume                    // the end of a pause
	ForWorker                    // one of the dispatcher's workers
	ForCooldown                  // the end of its key's cooldown
	ForCircuit                   // its key's circuit
	ForKeyWorker                 // one of its key's workers
	ForLimit                     // the limit called Name
	ForGroup                     // a worker of the group called Name
	ForItsTurn                   // those before it
)

// String names the kind in lower case.
func (k WaitKind) String() string {
	names := [...]string{"instant", "resume", "worker", "cooldown", "circuit", "key worker", "limit", "group", "turn"}
	if int(k) >= len(names) {
		return fmt.Sprintf("WaitKind(%d)", uint8(k))
	}
	return names[k]
}

// Wait is one thing that a job waits for.
type Wait struct {
	Kind  WaitKind
	Name  string        // of the limit or group
	In    time.Duration // how long if nothing else happens; negative if no time can tell
	Cost  policy.Amount // ForLimit: what the job costs
	Level policy.Amount // ForLimit: what there is
}

// Explain returns all that e waits for, as of the last Step and admission (S-O3): none when it runs or is over. Of a job that is
// ready, these are the gates that would not let it pass now; when all would, it is not its turn. Of one that is parked, those that
// are known to be closed for longer than that.
func (c *Core) Explain(e *Entry) []Wait {
	switch e.state {
	case Waiting:
		over, l := policy.Time(c.parked.nodes[e.pos].key), e.lane()
		waits := []Wait{{Kind: ForInstant, In: c.in(over)}}
		if until := l.cool.Until(); until > over {
			waits = append(waits, Wait{Kind: ForCooldown, In: c.in(until)})
		}
		if until := l.circuit.NextWake(); l.circuit.State() == policy.Open && until > over {
			waits = append(waits, Wait{Kind: ForCircuit, In: c.in(until)})
		}
		return waits
	case Queued:
		waits := append(c.explainLane(e.lane()), c.explainLimits(e)...)
		for left := e.Groups; left != 0; left &= left - 1 {
			if g := &c.groups[bits.TrailingZeros64(left)]; g.inFlight >= g.Workers {
				waits = append(waits, Wait{Kind: ForGroup, Name: g.Name, In: -1})
			}
		}
		if len(waits) == 0 {
			waits = append(waits, Wait{Kind: ForItsTurn, In: -1})
		}
		return waits
	default:
		return nil
	}
}

// in returns how long it is until an instant; negative for never.
func (c *Core) in(at policy.Time) time.Duration {
	if at == policy.Never {
		return -1
	}
	return max(0, at.Sub(c.now))
}

// explainLane returns what holds back all jobs of a lane.
func (c *Core) explainLane(l *lane) []Wait {
	var waits []Wait
	wait := func(closed bool, kind WaitKind, until policy.Time) {
		if closed {
			waits = append(waits, Wait{Kind: kind, In: c.in(until)})
		}
	}
	wait(c.paused, ForResume, policy.Never)
	wait(c.inFlight >= c.workers, ForWorker, policy.Never)
	l.cool.Advance(c.now)
	if until := l.cool.ReadyAt(); until > c.now {
		wait(true, ForCooldown, until)
	}
	wait(!l.circuit.Admits(), ForCircuit, max(c.now, l.circuit.NextWake()))
	wait(c.full(l), ForKeyWorker, policy.Never)
	return waits
}

// explainLimits returns the limits that have too little for e.
func (c *Core) explainLimits(e *Entry) []Wait {
	var waits []Wait
	for i, cost := range c.limits.costs(e) {
		b := c.limits.bucketOf(e.lane(), i)
		if b.Advance(b.instant(c.now)); !b.Has(cost) {
			waits = append(waits, Wait{Kind: ForLimit, Name: c.limits.rules[i].Name, In: c.in(b.readyAt(cost)), Cost: cost, Level: b.Level()})
		}
	}
	return waits
}
