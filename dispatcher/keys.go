package dispatcher

import (
	"fmt"
	"sync"
)

// keySet is the keys of which the scheduler keeps something, bounded so that a caller who makes up keys, or lets a server
// make them up, cannot fill our memory (S-A9). The empty key is always there, and not counted.
type keySet struct {
	most int // immutable

	mu    sync.Mutex
	known map[string]struct{} // guarded by mu
}

// admit makes room for a key that is about to be used, or refuses it.
func (s *keySet) admit(key string) error {
	if key == "" {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.known[key]; ok {
		return nil
	}
	if len(s.known) >= s.most {
		return fmt.Errorf("%w: %d are in use, and %q would be one more; Config.MaxKeys allows for more", ErrTooManyKeys, len(s.known), key)
	}
	s.known[key] = struct{}{}
	return nil
}

// add notes a key that the scheduler has got a job for. It may have been forgotten since it was admitted. Loop only.
func (s *keySet) add(key string) {
	if key == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known[key] = struct{}{}
}

// remove notes that nothing is kept of a key any more. Loop only.
func (s *keySet) remove(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, key)
}
