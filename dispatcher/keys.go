package dispatcher

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/scheduler"
)

// KeyConfig is what one key has of its own, see Config.Keys. What is zero is as for every key.
type KeyConfig struct {
	// Weight is how many turns the key has, compared to a key of weight 1, when several wait for what they share; at most
	// 1,000. Defaults to 1.
	Weight int
	// Workers is how many attempts of the key may be in flight at once. Defaults to Config.KeyWorkers.
	Workers int
	// Limits are otherwise for this key than for others: each takes the place, for this key, of the limit of the same name among
	// Config.Limits, which must be PerKey. What jobs cost is the same for all keys, so DefaultCost, CostRequired and Settled are
	// left out. SetRate and SetBurst do not change them. Defaults to Config.Limits.
	Limits []policy.Limit
	// Breaker is the key's own, its WhenOpen included. Defaults to Config.Breaker.
	Breaker *policy.Breaker
}

// rules returns what the core needs to know of a key, given the limits of all keys; or all that is wrong with k, joined.
func (k KeyConfig) rules(key string, limits []policy.Limit) (*scheduler.KeyRules, error) {
	faults := keyFaults{key: key}
	faults.note(k.Weight < 0 || k.Weight > scheduler.MaxWeight, "Weight", k.Weight, fmt.Sprintf("from 1 to %d, or 0 for 1", scheduler.MaxWeight))
	faults.note(k.Workers < 0, "Workers", k.Workers, "positive, or 0 for Config.KeyWorkers")
	if k.Breaker != nil {
		faults.join(k.Breaker.Validate())
	}
	rules := &scheduler.KeyRules{Weight: k.Weight, Workers: k.Workers, Breaker: k.Breaker}
	for _, own := range k.Limits {
		i := slices.IndexFunc(limits, func(l policy.Limit) bool { return l.PerKey && l.Name == own.Name })
		if i < 0 {
			what := "unknown"
			if slices.ContainsFunc(limits, func(l policy.Limit) bool { return l.Name == own.Name }) {
				what = "for all keys together"
			}
			faults.note(true, fmt.Sprintf("Limits(%q)", own.Name), what, "the name of one of Config.Limits that has PerKey set")
			continue
		}
		twice := slices.ContainsFunc(rules.Limits, func(l scheduler.KeyLimit) bool { return l.Limit == i })
		faults.note(twice, fmt.Sprintf("Limits(%q)", own.Name), "given twice", "given once")
		rules.Limits = append(rules.Limits, scheduler.KeyLimit{Limit: i, Rule: faults.ownLimit(own, limits[i])})
	}
	if err := errors.Join(faults.list...); err != nil {
		return nil, err
	}
	return rules, nil
}

// keyFaults is what is wrong with the KeyConfig of one key.
type keyFaults struct {
	key  string
	list []error
}

func (f *keyFaults) note(bad bool, field string, value any, allowed string) {
	if bad {
		f.list = append(f.list, &policy.FieldError{Field: fmt.Sprintf("Config.Keys(%q).%s", f.key, field), Value: value, Allowed: allowed})
	}
}

// join adds the faults of a rule, and says whose it is.
func (f *keyFaults) join(err error) {
	if err != nil {
		f.list = append(f.list, fmt.Errorf("Config.Keys(%q): %w", f.key, err))
	}
}

// ownLimit returns the rule of a limit for one key: what binds is its own, what jobs cost is as for all keys.
func (f *keyFaults) ownLimit(own, all policy.Limit) policy.Limit {
	name := fmt.Sprintf("Limits(%q)", own.Name)
	f.note(own.DefaultCost != 0, name+".DefaultCost", own.DefaultCost, "left out, because a job costs the same whatever its key")
	f.note(own.CostRequired, name+".CostRequired", true, "left out, because it is the same for all keys")
	f.note(own.Settled, name+".Settled", true, "left out, because it is the same for all keys")
	own.PerKey, own.DefaultCost, own.CostRequired, own.Settled = true, all.DefaultCost, all.CostRequired, all.Settled
	f.join(own.Validate())
	return own
}

// keySet is the keys of which the scheduler keeps something, bounded so that a caller who makes up keys, or lets a server
// make them up, cannot fill our memory (S-A9). The empty key is not counted.
type keySet struct {
	most   int                        // immutable
	ask    func(key string) KeyConfig // immutable; what a key has of its own; nil: nothing
	limits []policy.Limit             // immutable; of all keys, as they were at the start

	mu    sync.Mutex
	known map[string]*scheduler.KeyRules // guarded by mu
	named int                            // guarded by mu; known keys, save the empty one
}

func newKeySet(cfg Config) keySet {
	return keySet{most: cfg.MaxKeys, ask: cfg.Keys, limits: cfg.Limits, known: make(map[string]*scheduler.KeyRules)}
}

// admit makes room for a key that is about to be used, or refuses it, and returns its rules.
func (s *keySet) admit(key string) (*scheduler.KeyRules, error) {
	rules, known, err := s.rulesOf(key)
	if err != nil || known {
		return rules, err
	}
	return s.enter(key, rules)
}

// enter is admit for who has asked for the rules before. Those of a key that has come into use since are as they were then.
func (s *keySet) enter(key string, rules *scheduler.KeyRules) (*scheduler.KeyRules, error) {
	if s.nameless(key) {
		return nil, nil //nolint:nilnil // no rules of its own
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, ok := s.known[key]; ok { // somebody was faster
		return known, nil
	}
	if key != "" && s.named >= s.most {
		return nil, fmt.Errorf("%w: %d are in use, and %q would be one more; Config.MaxKeys allows for more", ErrTooManyKeys, s.named, key)
	}
	s.put(key, rules)
	return rules, nil
}

// nameless reports whether there is nothing to be known of a key: it is that of jobs without one.
func (s *keySet) nameless(key string) bool { return s.ask == nil && key == "" }

// rulesOf returns the rules of a key, and whether it is in use. If it isn't, Config.Keys is asked; that is the caller's code, so no
// lock is held.
func (s *keySet) rulesOf(key string) (rules *scheduler.KeyRules, known bool, err error) {
	if s.nameless(key) {
		return nil, true, nil
	}
	s.mu.Lock()
	rules, known = s.known[key]
	s.mu.Unlock()
	if known || s.ask == nil {
		return rules, known, nil
	}
	rules, err = s.ask(key).rules(key, s.limits)
	return rules, false, err
}

// put notes a key. mu is held.
func (s *keySet) put(key string, rules *scheduler.KeyRules) {
	if _, ok := s.known[key]; !ok && key != "" {
		s.named++
	}
	s.known[key] = rules
}

// add notes a key that the scheduler has got a job for. It may have been forgotten since it was admitted. Loop only.
func (s *keySet) add(key string, rules *scheduler.KeyRules) {
	if s.nameless(key) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(key, rules)
}

// remove notes that nothing is kept of a key any more. Loop only.
func (s *keySet) remove(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.known[key]; !ok {
		return
	}
	delete(s.known, key)
	if key != "" {
		s.named--
	}
}
