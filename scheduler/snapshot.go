package scheduler

import (
	"slices"
	"time"

	"github.com/toller-go/toller/policy"
)

// Snapshot is the state of a core at one instant.
type Snapshot struct {
	Queued  int // jobs ready to start
	Waiting int // jobs that wait for an instant
	Running int // attempts in flight, those included whose job is settled
	Workers int // how many may be
	Paused  bool
	Keys    []KeySnapshot // of the keys that differ from new ones, oldest first
	Limits  []LimitSnapshot
	Groups  []GroupSnapshot
}

// KeySnapshot is the state of one key.
type KeySnapshot struct {
	Key     string
	Queued  int
	Waiting int
	Running int
	Circuit policy.State
	Mode    policy.Mode     // who decides about the circuit
	Trips   int             // how many outages there have been since the key was made
	RetryIn time.Duration   // until an open circuit is tested; negative when only a Reset can tell; zero when it is not open
	Cooling time.Duration   // until the key's cooldown ends; zero when it is not in one
	Limits  []LimitSnapshot // its own buckets of the limits that are per key
	Waits   []Wait          // what the next of its queued jobs waits for; none if there is none
}

// LimitSnapshot is the state of a limit that all keys share, or of one key's bucket.
type LimitSnapshot struct {
	Name    string
	Rate    policy.Rate
	Burst   float64 // the most that the bucket holds, in tokens
	Level   float64 // tokens in the bucket; negative while it is in debt
	Waiting int     // queued jobs that it holds back, or that stand behind one that it does
}

// GroupSnapshot is the state of one group.
type GroupSnapshot struct {
	Group
	Running int // attempts in flight
	Waiting int // queued jobs that it holds back, or that stand behind one that it does
}

// Has reports whether the core keeps anything of a key.
func (c *Core) Has(key string) bool {
	l := c.lanes.get(key)
	return l != nil && !l.retired
}

// Snapshot returns the state as of the last Step. All its figures are of the same instant (S-O3).
func (c *Core) Snapshot() Snapshot {
	s := Snapshot{Waiting: c.parked.len(), Running: c.inFlight, Workers: c.workers, Paused: c.paused}
	for i, b := range c.limits.buckets {
		if b.Bucket != nil {
			s.Limits = append(s.Limits, c.limitSnapshot(i, &c.limits.rules[i], b))
		}
	}
	for _, g := range c.groups {
		s.Groups = append(s.Groups, GroupSnapshot{Group: g.Group, Running: g.inFlight})
	}
	for _, l := range c.lanes.inOrder() {
		s.Queued += l.ready.len
		s.Keys = append(s.Keys, c.keySnapshot(l, &s))
	}
	return s
}

// limitSnapshot returns the state of a bucket of the given limit, which is bound by rule.
func (c *Core) limitSnapshot(limit int, rule *policy.Limit, b clockedBucket) LimitSnapshot {
	b.Advance(b.instant(c.now))
	return LimitSnapshot{Name: c.limits.rules[limit].Name, Rate: rule.Rate, Burst: rule.Capacity(), Level: b.Level().Tokens()}
}

// keySnapshot returns the state of a key, and counts its jobs among those that the limits and groups of s hold back.
func (c *Core) keySnapshot(l *lane, s *Snapshot) KeySnapshot {
	k := KeySnapshot{
		Key: l.key, Queued: l.ready.len, Waiting: l.parked, Running: l.inFlight, Circuit: l.circuit.State(), Mode: l.circuit.Mode(), Trips: l.circuit.Trips(),
		Cooling: max(0, l.cool.Until().Sub(c.now)),
	}
	if k.Circuit == policy.Open {
		k.RetryIn = -1
		if at := l.circuit.NextWake(); at != policy.Never {
			k.RetryIn = at.Sub(c.now)
		}
	}
	for i, own := range c.limits.own {
		if own >= 0 {
			k.Limits = append(k.Limits, c.limitSnapshot(i, c.limits.ruleOf(l, i), c.limits.bucketOf(l, i)))
		}
	}
	c.countWaits(l, &k, s)
	return k
}

// countWaits notes in k what the next of l's queued jobs waits for, and counts all of them where they are held back. Those of
// one seat need the same, and stand behind its head.
func (c *Core) countWaits(l *lane, k *KeySnapshot, s *Snapshot) {
	var next *Entry
	for _, seat := range l.ready.seats {
		if seat.len == 0 {
			continue
		}
		head := c.head(seat)
		waits := c.Explain(head)
		for _, w := range waits {
			switch w.Kind {
			case ForLimit:
				countLimit(s.Limits, w.Name, seat.len)
				countLimit(k.Limits, w.Name, seat.len)
			case ForGroup:
				i := slices.IndexFunc(s.Groups, func(g GroupSnapshot) bool { return g.Name == w.Name })
				s.Groups[i].Waiting += seat.len
			default:
			}
		}
		if next == nil || c.precedes(head, next) {
			next, k.Waits = head, waits
		}
	}
}

// countLimit adds so many jobs to those that wait for a limit, if it is among these.
func countLimit(limits []LimitSnapshot, name string, jobs int) {
	if i := slices.IndexFunc(limits, func(l LimitSnapshot) bool { return l.Name == name }); i >= 0 {
		limits[i].Waiting += jobs
	}
}
