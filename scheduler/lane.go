package scheduler

import (
	"cmp"

	"github.com/toller-go/toller/policy"
)

// lane is the state of one key: what waits for it and the gates that are its own.
//
// With all that it has from the beginning it is one object, since with very many keys nothing of it is in the cache.
type lane struct {
	laneState
	ready    readyJobs
	spending policy.Spending
	own      []policy.Bucket // one for each of the core's per-key limits
	chained  *lane           // the next with a like hash, see laneTable
}

// laneState is what is not handed on when another key's lane is made of a lane.
type laneState struct {
	key     string
	hash    uint64 // of key
	circuit policy.Circuit
	cool    policy.Cooldown
	claim   claim     // of the first job that waits for one of the lane's own limits
	rules   *KeyRules // its own, which is not changed; nil: none
	workers int       // attempts in flight at once; 0: as many as Config.KeyWorkers
	weight  int       // quanta for each turn

	inFlight int // attempts running, detached ones included
	parked   int // jobs waiting for an instant

	standing int    // seats in rings
	deficit  int64  // what it may still start before it is another lane's turn, see Core.begin
	served   bool   // this turn's quantum has been added to the deficit
	wakePos  int32  // index among the wake-ups; -1 when it has none
	number   uint64 // order of creation, the tie-break among wake-ups
	edition  uint64 // of the rules it was made by, see Core.edition
	retired  bool   // it has been dropped, and may become another key's
	spare    int    // then: index among Core.spare
}

// KeyRules is what a key has of its own. What is zero is as for every key.
type KeyRules struct {
	Weight  int             // turns it has, compared to a key of weight 1; at most MaxWeight
	Workers int             // attempts in flight at once
	Breaker *policy.Breaker // valid
	Limits  []KeyLimit      // per-key limits that are otherwise for this key
}

// KeyLimit is the rule of a per-key limit for one key. Costs are the same for all keys, so what it says of them does not count.
type KeyLimit struct {
	Limit int          // index into Config.Limits
	Rule  policy.Limit // valid
}

// MaxWeight is the largest weight of a key.
const MaxWeight = 1000

// LimitRule returns the key's own rule of a limit, or nil. Of nil it is nil, too.
func (r *KeyRules) LimitRule(limit int) *policy.Limit {
	if r == nil {
		return nil
	}
	for i := range r.Limits {
		if r.Limits[i].Limit == limit {
			return &r.Limits[i].Rule
		}
	}
	return nil
}

// laneOf returns the lane of key, which it makes by rules if need be; rules may be nil.
func (c *Core) laneOf(key string, rules *KeyRules) *lane {
	l := c.recent
	if l == nil || l.key != key {
		hash := c.lanes.hash(key)
		if l = c.lanes.find(key, hash); l == nil {
			l = c.makeLane(key, hash, rules)
		}
		c.recent = l
	}
	switch {
	case !l.retired:
	case l.rules == rules && l.edition == c.edition:
		c.reviveLane(l)
	default:
		c.takeSpare(l) // it was made by other rules
		c.setUp(l, l.key, l.hash, rules)
	}
	return l
}

// makeLane makes a lane, of one that has been dropped if there is one.
func (c *Core) makeLane(key string, hash uint64, rules *KeyRules) *lane {
	l := c.spareLane()
	c.setUp(l, key, hash, rules)
	c.lanes.add(l)
	return l
}

// setUp makes l, of which nothing is in use, the lane of a key by rules.
func (c *Core) setUp(l *lane, key string, hash uint64, rules *KeyRules) {
	var own KeyRules // none
	if rules != nil {
		own = *rules
	}
	l.laneState = laneState{
		key:     key,
		hash:    hash,
		circuit: c.circuitFor(own.Breaker),
		rules:   rules,
		workers: own.Workers,
		weight:  cmp.Or(own.Weight, 1),
		wakePos: -1,
		number:  c.laneSeq,
		edition: c.edition,
	}
	l.own = c.limits.renewOwn(l.own, own.Limits, c.now)
	l.spending.Renew(c.budget)
	c.laneSeq++
}

// circuitFor returns a new circuit for a key's own breaker; nil for that of all keys.
func (c *Core) circuitFor(own *policy.Breaker) policy.Circuit {
	if own == nil {
		return c.circuit.Sibling()
	}
	return c.newCircuit(*own)
}

func (c *Core) newCircuit(rule policy.Breaker) policy.Circuit {
	return policy.NewCircuit(rule, cmp.Or(c.ramp, c.workers), c.draw)
}

// reviveLane takes up a lane again that has been dropped, for the same key, under the same rules: it cannot be told from a new
// one but by its numbers. Where jobs come one at a time, every one makes its lane and drops it.
func (c *Core) reviveLane(l *lane) {
	c.takeSpare(l)
	l.retired, l.number = false, c.laneSeq
	c.laneSeq++
	l.circuit.Renew()
	if l.cool.Until() > 0 {
		l.cool = policy.Cooldown{}
	}
	if len(l.own) > 0 {
		var own KeyRules
		if l.rules != nil {
			own = *l.rules
		}
		l.own = c.limits.renewOwn(l.own, own.Limits, c.now)
	}
	l.spending.Renew(c.budget)
}

// deserted reports whether nothing in the core refers to the lane's work any more.
func (l *lane) deserted() bool { return l.ready.len == 0 && l.parked == 0 && l.inFlight == 0 }

// freshAt returns from when on the lane cannot be told from a new one (S-A9) if nothing is asked of it; now if it can't be
// already, [policy.Never] if that depends on the outcome of an attempt to come.
func (l *lane) freshAt(now policy.Time) policy.Time {
	l.cool.Advance(now)
	at := max(now, l.cool.IdleAt(), l.circuit.FreshAt(now), l.spending.FreshAt(now))
	for i := range l.own {
		l.own[i].Advance(now)
		at = max(at, l.own[i].FullAt())
	}
	return at
}

// full reports whether the key has as many attempts in flight as it may have (S-C1).
func (c *Core) full(l *lane) bool {
	workers := c.workersOf(l)
	return workers > 0 && l.inFlight >= workers
}

// workersOf returns how many attempts of the key may be in flight at once; 0 for no bound.
func (c *Core) workersOf(l *lane) int { return cmp.Or(l.workers, c.keyWorkers) }
