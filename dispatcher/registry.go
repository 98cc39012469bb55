package dispatcher

import (
	"fmt"
	"sync"

	"github.com/toller-go/toller/job"
)

// registry is the dispatchers of this process that have not been closed, by name (S-F9).
var registry = struct {
	mu     sync.Mutex
	byName map[string]*Dispatcher // guarded by mu
	number int                    // guarded by mu; of the latest generated name
}{byName: make(map[string]*Dispatcher)}

// Lookup returns the dispatcher of this name, if there is one that has not been closed.
func Lookup(name string) (_ *Dispatcher, ok bool) {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	d, ok := registry.byName[name]
	return d, ok
}

// register enters d, which is complete but for its place, under its name, which it makes up if there is none.
func register(d *Dispatcher) error {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	for d.name == "" {
		registry.number++
		if name := fmt.Sprintf("dispatcher-%d", registry.number); registry.byName[name] == nil {
			d.name = name
		}
	}
	if registry.byName[d.name] != nil {
		return fmt.Errorf("%w: %q; close that one first, or choose another", ErrNameTaken, d.name)
	}
	d.place = job.NewPlace(d.name)
	registry.byName[d.name] = d
	return nil
}

// unregister frees d's name; the second time it does nothing.
func unregister(d *Dispatcher) {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	if registry.byName[d.name] == d {
		delete(registry.byName, d.name)
	}
}
