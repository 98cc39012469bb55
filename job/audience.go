package job

import (
	"slices"
	"sync"
)

// audience is those who want to be told that a future is settled, and why it has no value.
type audience struct {
	done chan struct{} // closed when it is settled
	err  error         // of a job that failed; written before the future's state, and read after it

	mu       sync.Mutex
	told     bool      // guarded by mu
	watchers []watcher // guarded by mu; those who have not been told
}

// watcher is who wants to know that a future is settled: the inbox gets the index.
type watcher struct {
	box   *inbox
	index int
}

// tell tells all of them, once.
func (a *audience) tell() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.told {
		return
	}
	a.told = true
	close(a.done)
	for _, w := range a.watchers {
		w.box.add(w.index)
	}
	a.watchers = nil
}

// join has w told. It reports false if they have been told already; then w is not.
func (a *audience) join(w watcher) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.told {
		a.watchers = append(a.watchers, w)
	}
	return !a.told
}

// leave undoes join.
func (a *audience) leave(box *inbox) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.watchers = slices.DeleteFunc(a.watchers, func(w watcher) bool { return w.box == box })
}
