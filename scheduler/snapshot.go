package scheduler

import (
	"time"

	"github.com/toller-go/toller/policy"
)

// Snapshot is the state of a core at one instant.
type Snapshot struct {
	Queued  int // jobs ready to start
	Waiting int // jobs that wait for an instant
	Running int // attempts in flight, those included whose job is settled
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
	Mode    policy.Mode   // who decides about the circuit
	Trips   int           // how many outages there have been since the key was made
	RetryIn time.Duration // until an open circuit is tested; negative when only a Reset can tell; zero when it is not open
	Cooling time.Duration // until the key's cooldown ends; zero when it is not in one
}

// LimitSnapshot is the state of one limit that all keys share.
type LimitSnapshot struct {
	Name  string
	Level float64 // tokens in the bucket; negative while it is in debt
}

// GroupSnapshot is the state of one group.
type GroupSnapshot struct {
	Group
	Running int // attempts in flight
}

// Has reports whether the core keeps anything of a key.
func (c *Core) Has(key string) bool { return c.lanes[key] != nil }

// Snapshot returns the state as of the last Step. All its figures are of the same instant (S-O3).
func (c *Core) Snapshot() Snapshot {
	s := Snapshot{Waiting: c.parked.len(), Running: c.inFlight, Paused: c.paused}
	for _, l := range c.lanesInOrder() {
		s.Queued += l.ready.len
		s.Keys = append(s.Keys, c.keySnapshot(l))
	}
	for i, b := range c.limits.buckets {
		if b.Bucket != nil {
			b.Advance(b.instant(c.now))
			s.Limits = append(s.Limits, LimitSnapshot{Name: c.limits.rules[i].Name, Level: b.Level().Tokens()})
		}
	}
	for _, g := range c.groups {
		s.Groups = append(s.Groups, GroupSnapshot{Group: g.Group, Running: g.inFlight})
	}
	return s
}

func (c *Core) keySnapshot(l *lane) KeySnapshot {
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
	return k
}
