package scheduler

import (
	"cmp"

	"github.com/toller-go/toller/policy"
)

// adjust changes a rule while jobs wait for it. They are looked at again in the admission that follows, so none sleeps on by
// the old rule (S-L6, S-C3): those that wait for what keys share in any case, those of one key by touching its lane.
func (c *Core) adjust(ev Event) {
	c.entangled = len(c.awaits) > 0 // there may be fewer workers
	c.edition++
	switch ev.Kind {
	case SetWorkers:
		c.workers = ev.Workers // fewer than in flight pre-empts nothing, and grants nothing until below
		c.circuit.SetFull(cmp.Or(c.ramp, c.workers))
		c.eachLane(func(l *lane) { l.circuit.SetFull(cmp.Or(c.ramp, c.workers)) })
	case SetKeyWorkers:
		c.keyWorkers = ev.Workers
		c.eachLane(func(*lane) {})
	case SetGroup:
		c.groups[ev.Group].Workers = ev.Workers
	case SetRate:
		c.setRate(ev.Limit, ev.Rate)
	case SetBurst:
		c.limits.rules[ev.Limit].Burst = ev.Burst
		c.setBurst(ev.Limit)
		c.failImpossible(ev.Limit)
	case Observe:
		c.observe(ev)
	case Revise:
		c.limits.rules[ev.Limit] = c.limits.buckets[ev.Limit].pool.rule
		c.failImpossible(ev.Limit)
	default:
	}
}

func (c *Core) setRate(limit int, rate policy.Rate) {
	rule := c.limits.rules[limit].WithRate(rate)
	c.limits.rules[limit] = rule
	c.eachBucket(limit, func(b *policy.Bucket) { b.SetRate(c.now, rate) })
	if rule.Burst == 0 {
		c.setBurst(limit) // it follows the rate
	}
	c.failImpossible(limit)
}

// setBurst gives every bucket of a limit the burst of its rule.
func (c *Core) setBurst(limit int) {
	capacity := c.limits.rules[limit].Capacity()
	c.eachBucket(limit, func(b *policy.Bucket) { b.SetBurst(c.now, capacity) })
}

// observe lowers one bucket to what its server says is left.
func (c *Core) observe(ev Event) {
	if b := c.limits.buckets[ev.Limit]; b.Bucket != nil {
		b.Observe(b.instant(c.now), ev.Amount)
		return
	}
	l := c.laneOf(ev.Key, ev.Rules)
	c.limits.bucketOf(l, ev.Limit).Observe(c.now, ev.Amount)
	c.review(l)
}

// failImpossible fails the jobs that cost more of a limit than it allows by now (S-L4).
func (c *Core) failImpossible(limit int) {
	if rule := &c.limits.rules[limit]; !rule.Strict && !rule.Sliding {
		return
	}
	var impossible []*Entry
	look := func(e *Entry) {
		if c.limits.ruleOf(e.lane(), limit).Admits(c.limits.costs(e)[limit]) != nil {
			impossible = append(impossible, e)
		}
	}
	for _, l := range c.lanes.inOrder() {
		for _, e := range l.ready.all() {
			look(e)
		}
	}
	for i := range c.parked.nodes {
		look(c.parked.nodes[i].item)
	}
	for _, e := range impossible {
		c.drop(e, CostTooHigh)
	}
}

// eachBucket calls do for every bucket of a limit that is this core's alone: the one, or those of all lanes and their model, but
// for lanes that have a rule of their own.
func (c *Core) eachBucket(limit int, do func(*policy.Bucket)) {
	k := c.limits.own[limit]
	if k < 0 {
		do(c.limits.buckets[limit].Bucket)
		return
	}
	do(&c.limits.models[k])
	c.eachLane(func(l *lane) {
		if l.rules.LimitRule(limit) == nil {
			do(&l.own[k])
		}
	})
}

// eachLane calls do for every lane, and has its gates looked at again.
func (c *Core) eachLane(do func(*lane)) {
	for _, l := range c.lanes.inOrder() {
		do(l)
		c.review(l)
	}
}
