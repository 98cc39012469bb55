package fakellm

import "time"

// span is the length of the window whose peaks the ledger reports.
const span = time.Minute

// window finds the most events in any half-open 60 seconds: two events exactly 60 s apart are not in one window. Exact;
// it keeps the times of the last 60 s. Not safe for concurrent use.
type window struct {
	times []time.Duration // in order; before head they are out of the window
	head  int
	peak  int
}

// add counts an event at now, which must not lie before the last one.
func (w *window) add(now time.Duration) {
	for w.head < len(w.times) && now-w.times[w.head] >= span {
		w.head++
	}
	// Move the rest down only once it is the smaller half: each time is then moved at most once on average.
	if w.head > len(w.times)/2 {
		w.times = append(w.times[:0], w.times[w.head:]...)
		w.head = 0
	}
	w.times = append(w.times, now)
	w.peak = max(w.peak, len(w.times)-w.head)
}
