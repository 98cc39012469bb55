package scheduler

import "github.com/toller-go/toller/policy"

// adjust changes a rule while jobs wait for it. They are looked at again in the admission that follows, so none sleeps on by
// the old rule (S-L6, S-C3): those that wait for what all share in any case, those of one key by touching its lane.
func (c *Core) adjust(ev Event) {
	switch ev.Kind {
	case SetWorkers:
		c.workers = ev.Workers // fewer than in flight pre-empts nothing, and grants nothing until below
		for _, l := range c.lanesInOrder() {
			l.circuit.SetFull(ev.Workers)
			c.touch(l)
			c.retire(l)
		}
	case SetRate:
		rule := c.limits.rules[ev.Limit].WithRate(ev.Rate)
		c.limits.rules[ev.Limit] = rule
		c.eachBucket(ev.Limit, func(b *policy.Bucket) { b.SetRate(c.now, ev.Rate) })
		if rule.Burst == 0 {
			c.setBurst(ev.Limit) // it follows the rate
		}
	case SetBurst:
		c.limits.rules[ev.Limit].Burst = ev.Burst
		c.setBurst(ev.Limit)
	case Observe:
		c.observe(ev)
	default:
	}
}

// observe lowers one bucket to what its server says is left.
func (c *Core) observe(ev Event) {
	if !c.limits.rules[ev.Limit].PerKey {
		c.limits.bucketOf(nil, ev.Limit).Observe(c.now, ev.Amount)
		return
	}
	l := c.laneOf(ev.Key)
	c.limits.bucketOf(l, ev.Limit).Observe(c.now, ev.Amount)
	c.touch(l)
	c.retire(l)
}

// setBurst gives every bucket of a limit the burst of its rule, and fails the jobs that this makes impossible (S-L4).
func (c *Core) setBurst(limit int) {
	rule := c.limits.rules[limit]
	c.eachBucket(limit, func(b *policy.Bucket) { b.SetBurst(c.now, rule.Capacity()) })
	var impossible []*Entry
	look := func(e *Entry) {
		if rule.Admits(c.limits.costs(e)[limit]) != nil {
			impossible = append(impossible, e)
		}
	}
	for _, l := range c.lanesInOrder() {
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

// eachBucket calls do for every bucket of a limit: the one, or those of all lanes.
func (c *Core) eachBucket(limit int, do func(*policy.Bucket)) {
	if !c.limits.rules[limit].PerKey {
		do(c.limits.bucketOf(nil, limit))
		return
	}
	for _, l := range c.lanesInOrder() {
		do(c.limits.bucketOf(l, limit))
		c.touch(l)
		c.retire(l)
	}
}
