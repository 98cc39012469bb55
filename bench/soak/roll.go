package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
)

// roll is which jobs a dispatcher's listener was told to be settled: each once, and all numbers from 1 on.
type roll struct {
	mu    sync.Mutex
	upTo  job.ID          // guarded by mu; all up to this one
	ahead map[job.ID]bool // guarded by mu; and these
	twice []job.ID        // guarded by mu
	lie   bool            // planted: the next is told twice
}

// tell is the listener.
func (r *roll) tell(e dispatcher.Event) {
	if e.Kind != dispatcher.JobSettled {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.note(e.Job)
	if r.lie {
		r.lie = false
		r.note(e.Job)
	}
}

func (r *roll) note(id job.ID) {
	if id <= r.upTo || r.ahead[id] {
		r.twice = append(r.twice, id)
		return
	}
	r.ahead[id] = true
	for r.ahead[r.upTo+1] {
		r.upTo++
		delete(r.ahead, r.upTo)
	}
}

// check waits until as many are settled as were accepted, at least so many and at most so many, and says what is wrong.
func (r *roll) check(least, most int64, patience time.Duration) error {
	for began := time.Now(); ; time.Sleep(100 * time.Microsecond) { // it may be told the last ones after Close has returned
		settled, gaps, twice := r.count()
		switch {
		case len(twice) > 0:
			return fmt.Errorf("jobs settled twice: %v", twice)
		case settled > most:
			return fmt.Errorf("%d jobs accepted, but %d settled", most, settled)
		case settled >= least && gaps == 0:
			return nil
		case time.Since(began) > patience:
			return fmt.Errorf("%d jobs accepted, but %d settled, with %d beyond a gap", least, settled, gaps)
		}
	}
}

func (r *roll) count() (settled int64, gaps int, twice []job.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return int64(r.upTo) + int64(len(r.ahead)), len(r.ahead), r.twice
}
