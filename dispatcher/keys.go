package dispatcher

import (
	"errors"
	"fmt"
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
	// Breaker is the key's own. Defaults to Config.Breaker.
	Breaker *policy.Breaker
}

func (k KeyConfig) validate(key string) error {
	var faults []error
	fault := func(bad bool, field string, value any, allowed string) {
		if bad {
			faults = append(faults, &policy.FieldError{Field: fmt.Sprintf("Config.Keys(%q).%s", key, field), Value: value, Allowed: allowed})
		}
	}
	fault(k.Weight < 0 || k.Weight > scheduler.MaxWeight, "Weight", k.Weight, fmt.Sprintf("from 1 to %d, or 0 for 1", scheduler.MaxWeight))
	fault(k.Workers < 0, "Workers", k.Workers, "positive, or 0 for Config.KeyWorkers")
	if k.Breaker != nil {
		faults = append(faults, k.Breaker.Validate())
	}
	return errors.Join(faults...)
}

// keySet is the keys of which the scheduler keeps something, bounded so that a caller who makes up keys, or lets a server
// make them up, cannot fill our memory (S-A9). The empty key is not counted.
type keySet struct {
	most int                        // immutable
	ask  func(key string) KeyConfig // immutable; what a key has of its own; nil: nothing

	mu    sync.Mutex
	known map[string]*scheduler.KeyRules // guarded by mu
	named int                            // guarded by mu; known keys, save the empty one
}

func newKeySet(cfg Config) keySet {
	return keySet{most: cfg.MaxKeys, ask: cfg.Keys, known: make(map[string]*scheduler.KeyRules)}
}

// admit makes room for a key that is about to be used, or refuses it, and returns its rules.
func (s *keySet) admit(key string) (*scheduler.KeyRules, error) {
	if s.ask == nil && key == "" {
		return nil, nil //nolint:nilnil // no rules of its own
	}
	if rules, ok := s.find(key); ok {
		return rules, nil
	}
	rules, err := s.rules(key)
	if err != nil {
		return nil, err
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

// rulesOf returns the rules of a key that need not be in use.
func (s *keySet) rulesOf(key string) (*scheduler.KeyRules, error) {
	if rules, ok := s.find(key); ok {
		return rules, nil
	}
	return s.rules(key)
}

func (s *keySet) find(key string) (*scheduler.KeyRules, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rules, ok := s.known[key]
	return rules, ok
}

// rules asks Config.Keys. That is the caller's code, so no lock is held.
func (s *keySet) rules(key string) (*scheduler.KeyRules, error) {
	if s.ask == nil {
		return nil, nil //nolint:nilnil // no rules of its own
	}
	own := s.ask(key)
	if err := own.validate(key); err != nil {
		return nil, err
	}
	return &scheduler.KeyRules{Weight: own.Weight, Workers: own.Workers, Breaker: own.Breaker}, nil
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
	if key == "" && s.ask == nil {
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
