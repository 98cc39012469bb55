package scheduler

import (
	"slices"

	"github.com/toller-go/toller/policy"
)

// limitSet is the limits of a core, split by whose bucket they use. Costs are always given for all of them, in the order
// of Config.Limits.
type limitSet struct {
	rules    []policy.Limit
	defaults []policy.Amount // costs of a job that names none
	bursts   []uint64        // what makes a job's size, as Amounts; those of the beginning, or sizes would not compare
	shared   []sharedLimit   // one bucket for all keys
	perKey   []int           // indexes of the rules of which every lane has a bucket
}

// sharedLimit is a bucket that all lanes use. The core holds it by pointer, so that one day its owner may be another.
type sharedLimit struct {
	index  int
	bucket *policy.Bucket
}

func newLimitSet(rules []policy.Limit) limitSet {
	set := limitSet{rules: slices.Clone(rules)} // rates and bursts change
	for i, rule := range rules {
		set.defaults = append(set.defaults, rule.Cost())
		bucket := policy.NewBucket(rule, 0)
		set.bursts = append(set.bursts, uint64(bucket.Level())) // it is full
		if rule.PerKey {
			set.perKey = append(set.perKey, i)
			continue
		}
		set.shared = append(set.shared, sharedLimit{index: i, bucket: &bucket})
	}
	return set
}

// renewOwn makes the buckets of a new lane, out of those of an old one if there are any.
func (s *limitSet) renewOwn(own []policy.Bucket, now policy.Time) []policy.Bucket {
	if own == nil {
		own = make([]policy.Bucket, len(s.perKey))
	}
	for k, i := range s.perKey {
		own[k].Renew(s.rules[i], now)
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

// sharedReadyAt returns when all shared limits have room for e: now, or the latest of their times.
func (s *limitSet) sharedReadyAt(now policy.Time, e *Entry) policy.Time {
	costs, at := s.costs(e), now
	for _, l := range s.shared {
		l.bucket.Advance(now)
		if cost := costs[l.index]; !l.bucket.Has(cost) {
			at = max(at, l.bucket.ReadyAt(cost))
		}
	}
	return at
}

// ownReadyAt is sharedReadyAt for the limits of e's own lane.
func (s *limitSet) ownReadyAt(now policy.Time, e *Entry) policy.Time {
	costs, at := s.costs(e), now
	for k, i := range s.perKey {
		bucket := &e.lane.own[k]
		bucket.Advance(now)
		if cost := costs[i]; !bucket.Has(cost) {
			at = max(at, bucket.ReadyAt(cost))
		}
	}
	return at
}

// take deducts e's costs everywhere; giveBack undoes that for an attempt that never ran.
func (s *limitSet) take(e *Entry) {
	s.each(e, (*policy.Bucket).Take)
}

func (s *limitSet) giveBack(e *Entry) {
	s.each(e, func(b *policy.Bucket, cost policy.Amount) { b.GiveBack(cost, e.started) })
}

// admits reports whether no strict limit makes e impossible (S-L4).
func (s *limitSet) admits(e *Entry) bool {
	for i, cost := range s.costs(e) {
		if s.rules[i].Admits(cost) != nil {
			return false
		}
	}
	return true
}

// correct replaces what e's attempt was charged for a limit by what it really costs, once (S-L5).
func (s *limitSet) correct(now policy.Time, e *Entry, limit int, actual policy.Amount) {
	bit := uint64(1) << limit
	if !s.rules[limit].Settled || e.corrected&bit != 0 {
		return
	}
	e.corrected |= bit
	b := s.bucketOf(e.lane, limit)
	b.Advance(now)
	b.Settle(actual-s.costs(e)[limit], e.started)
}

// refund takes back what an attempt was charged for all limits that are settled.
func (s *limitSet) refund(now policy.Time, e *Entry) {
	for i := range s.rules {
		s.correct(now, e, i, 0)
	}
}

// bucketOf returns the bucket of a limit that l uses.
func (s *limitSet) bucketOf(l *lane, limit int) *policy.Bucket {
	if k := slices.Index(s.perKey, limit); k >= 0 {
		return &l.own[k]
	}
	for _, shared := range s.shared {
		if shared.index == limit {
			return shared.bucket
		}
	}
	return nil // there is no limit that is neither
}

func (s *limitSet) each(e *Entry, do func(*policy.Bucket, policy.Amount)) {
	costs := s.costs(e)
	for _, l := range s.shared {
		do(l.bucket, costs[l.index])
	}
	for k, i := range s.perKey {
		do(&e.lane.own[k], costs[i])
	}
}
