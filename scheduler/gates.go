package scheduler

import (
	"math/bits"

	"github.com/toller-go/toller/policy"
)

// gates is a set of the gates that a job passes besides those that all do: the limits of which it costs something and the
// groups it belongs to, one bit each.
type gates struct {
	limits, groups uint64
}

func (g gates) none() bool { return g == gates{} }

// meets reports whether g and h have a gate in common.
func (g gates) meets(h gates) bool { return g.limits&h.limits != 0 || g.groups&h.groups != 0 }

// with returns the gates of both.
func (g gates) with(h gates) gates { return gates{g.limits | h.limits, g.groups | h.groups} }

// claim is the right of the first job that waits for limits or groups (S-A5). What it lacks is kept for it. Of the rest
// others may take as long as that does not delay it, so that it cannot be starved of one thing while it waits for another,
// and yet nobody waits for what lies idle. It holds no tokens: this is the reservation of EASY backfilling (Lifka, "The
// ANL/IBM SP Scheduling System", 1995).
type claim struct {
	entry *Entry // nil: there is none
	lacks gates
	at    policy.Time // when it can start if nobody takes anything; Never if no time can tell
}

// give makes the claim e's, unless somebody has it who came first. One of whom no time can tell when he starts keeps nothing by it, and
// gives way to who knows his.
func (r *claim) give(e *Entry, lacks gates, at policy.Time) {
	if r.entry == nil || r.at == policy.Never && at != policy.Never {
		*r = claim{entry: e, lacks: lacks, at: at}
	}
}

// delayedBy reports whether the job, which costs other of b, would have to wait longer if somebody took cost now.
func (r *claim) delayedBy(b clockedBucket, cost, other policy.Amount) bool {
	return r.at != policy.Never && other > 0 && !b.Allows(cost, other, b.instant(r.at))
}

// group is a bound on how many attempts may be in flight at once of those jobs that belong to it (S-C1).
type group struct {
	Group
	inFlight int
}

// Group is the rule of one group.
type Group struct {
	Name    string
	Workers int // attempts in flight at once, at least 1
}

// groupFull reports whether a group of e has no place for it. One place is left for a job that has a claim.
func (c *Core) groupFull(e *Entry) bool {
	for left := e.Groups; left != 0; left &= left - 1 {
		i := bits.TrailingZeros64(left)
		reserved := 0
		if first := c.claim.entry; first != nil && first.Groups&(1<<i) != 0 && c.claim.at != policy.Never {
			reserved = 1
		}
		if g := &c.groups[i]; g.inFlight+reserved >= g.Workers {
			return true
		}
	}
	return false
}

// countInGroups adds to the attempts in flight of e's groups.
func (c *Core) countInGroups(e *Entry, by int) {
	for left := e.Groups; left != 0; left &= left - 1 {
		c.groups[bits.TrailingZeros64(left)].inFlight += by
	}
}
