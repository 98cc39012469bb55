package scheduler

import (
	"slices"
	"time"

	"github.com/toller-go/toller/policy"
)

// limitSet is the limits of a core, split by whose bucket they use. Costs are always given for all of them, in the order
// of Config.Limits.
type limitSet struct {
	rules    []policy.Limit
	defaults []policy.Amount // costs of a job that names none
	bursts   []uint64        // what makes a job's size, as Amounts; those of the beginning, or sizes would not compare
	buckets  []clockedBucket // of the rules with one bucket for all keys; empty for the others
	own      []int           // for each rule, which of a lane's buckets it is; -1 for those with one bucket for all
	models   []policy.Bucket // what a new lane's buckets are like; nothing is ever taken from them

	usual     gates // of a job that names no costs and no groups
	usualSize int32 // likewise, see sizeOf
	capped    bool  // some limit refuses costs that are too high, see policy.Limit.Admits
}

// clockedBucket is a bucket whose clock may have been started at another time than the core's.
type clockedBucket struct {
	*policy.Bucket
	ahead time.Duration // of the core's clock
	pool  *Shared       // whose bucket it is, if several cores use it; or nil
}

// instant returns the instant of the bucket's clock that is t by the core's; Never stays what it is.
func (b clockedBucket) instant(t policy.Time) policy.Time {
	if t == policy.Never {
		return t
	}
	return t.Add(b.ahead)
}

// readyAt returns when there will be room for cost, by the core's clock.
func (b clockedBucket) readyAt(cost policy.Amount) policy.Time {
	at := b.ReadyAt(cost)
	if at == policy.Never {
		return at
	}
	return at.Add(-b.ahead)
}

func newLimitSet(rules []policy.Limit, pools []SharedUse) limitSet {
	set := limitSet{rules: slices.Clone(rules)} // rates and bursts change
	for _, use := range pools {
		set.rules = append(set.rules, use.Limit.rule)
	}
	for i, rule := range set.rules {
		bucket, own := policy.NewBucket(rule, 0), -1
		burst, _ := policy.AmountOf("", rule.Capacity()) // of a valid rule
		set.defaults = append(set.defaults, rule.Cost())
		set.bursts = append(set.bursts, uint64(burst))
		switch {
		case i >= len(rules):
			use := pools[i-len(rules)]
			set.buckets = append(set.buckets, clockedBucket{Bucket: &use.Limit.bucket, ahead: use.Ahead, pool: use.Limit})
		case rule.PerKey:
			own = len(set.models)
			set.models = append(set.models, bucket)
			set.buckets = append(set.buckets, clockedBucket{})
		default:
			set.buckets = append(set.buckets, clockedBucket{Bucket: &bucket})
		}
		set.own = append(set.own, own)
		set.capped = set.capped || rule.Strict || rule.Sliding
	}
	set.usual, set.usualSize = gates{limits: costly(set.defaults)}, set.largestShare(set.defaults)
	return set
}

// renewOwn makes the buckets of a new lane, out of those of an old one if there are any. They are as if they had been there from
// the beginning: see [policy.Bucket.Renew].
func (s *limitSet) renewOwn(own []policy.Bucket, rules []KeyLimit, now policy.Time) []policy.Bucket {
	if own == nil {
		own = make([]policy.Bucket, len(s.models))
	}
	for k := range s.models {
		s.models[k].Advance(now)
		own[k].Renew(&s.models[k], now)
	}
	for i := range rules {
		model := policy.NewBucket(rules[i].Rule, 0)
		own[s.own[rules[i].Limit]].Renew(&model, now)
	}
	return own
}

// costs returns what e costs, one amount for each rule.
func (s *limitSet) costs(e *Entry) []policy.Amount {
	if e.Costs != nil {
		return e.Costs
	}
	return s.defaults
}

// needs returns the gates that e passes.
func (s *limitSet) needs(e *Entry) gates {
	needs := s.usual
	if e.Costs != nil {
		needs.limits = costly(e.Costs)
	}
	needs.groups = e.Groups
	return needs
}

// costly returns the limits, one bit each, of which something is taken.
func costly(costs []policy.Amount) (limits uint64) {
	for i, cost := range costs {
		if cost > 0 {
			limits |= 1 << i
		}
	}
	return limits
}

// ruleOf returns the rule of a limit that binds l.
func (s *limitSet) ruleOf(l *lane, limit int) *policy.Limit {
	if own := l.rules.LimitRule(limit); own != nil {
		return own
	}
	return &s.rules[limit]
}

// bucketOf returns the bucket of a limit that l uses.
func (s *limitSet) bucketOf(l *lane, limit int) clockedBucket {
	if k := s.own[limit]; k >= 0 {
		return clockedBucket{Bucket: &l.own[k]}
	}
	return s.buckets[limit]
}

// admits reports whether no limit makes e impossible (S-L4).
func (s *limitSet) admits(e *Entry) bool {
	if !s.capped && e.lane().rules == nil {
		return true
	}
	for i, cost := range s.costs(e) {
		if s.ruleOf(e.lane(), i).Admits(cost) != nil {
			return false
		}
	}
	return true
}

// take deducts what e costs everywhere.
func (s *limitSet) take(e *Entry) {
	for i, cost := range s.costs(e) {
		s.bucketOf(e.lane(), i).Take(cost)
	}
}

// giveBack undoes take for an attempt that never ran.
func (s *limitSet) giveBack(e *Entry) {
	for i, cost := range s.costs(e) {
		b := s.bucketOf(e.lane(), i)
		b.GiveBack(cost, b.instant(e.started))
		b.pool.changed(nil)
	}
}

// correct replaces what e's attempt was charged for a limit by what it really costs, once (S-L5).
func (c *Core) correct(e *Entry, limit int, actual policy.Amount) {
	if !c.limits.rules[limit].Settled {
		return
	}
	bit := uint64(1) << limit
	if c.remember(e); e.corrected&bit != 0 {
		return
	}
	e.corrected |= bit
	b := c.limits.bucketOf(e.lane(), limit)
	b.Advance(b.instant(c.now))
	b.Settle(actual-c.limits.costs(e)[limit], b.instant(e.started))
	b.pool.changed(nil)
}

// refund takes back what an attempt was charged for all limits that are settled.
func (c *Core) refund(e *Entry) {
	for i := range c.limits.rules {
		c.correct(e, i, 0)
	}
}
