package main

import "sync"

// attempts counts those that are under way. Once somebody waits for the last of them no more begin: when a run is broken off, one that
// the pool has just taken on may be as late as that.
type attempts struct {
	mu    sync.Mutex
	n     int
	ended chan struct{} // nil until somebody waits; closed when n is 0
}

// begin reports whether an attempt may begin. If it does, end is to be called.
func (a *attempts) begin() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended != nil {
		return false
	}
	a.n++
	return true
}

func (a *attempts) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.n--
	if a.n == 0 && a.ended != nil {
		close(a.ended)
	}
}

// lastEnded lets no more begin, and returns what is closed when none is under way. To be called once.
func (a *attempts) lastEnded() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended = make(chan struct{})
	if a.n == 0 {
		close(a.ended)
	}
	return a.ended
}
