package dispatcher

import "github.com/toller-go/toller/scheduler"

// recall is where an attempt stands that was admitted and is not to be run after all.
type recall uint8

const (
	notRecalled recall = iota
	recalled           // it is not to call the function
	handedBack         // it has not called the function, and its Unstarted is under way
)

// recallUnwelcome takes back the attempts whose function has not been called yet and that would not be admitted any more: between
// the loop's word and a worker's first step, a key may be throttled, its circuit may open, a person may pause (S-L1, S-L10). What they
// have taken is given back, and they wait like all others. Loop only.
func (d *Dispatcher) recallUnwelcome() {
	d.loop.core.Unwelcome(func(e *scheduler.Entry) {
		e.Owner.(jobTask).head().recallAttempt(uint32(e.Runs()))
	})
}

// recallAttempt keeps attempt n, which is in flight, from calling the function, unless it has. Loop only.
func (h *header) recallAttempt(n uint32) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.begun < n && h.recall == notRecalled {
		h.recall = recalled
	}
}

// returned notes that the attempt in flight has been handed back. Loop only.
func (h *header) returned() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.recall = notRecalled
}
