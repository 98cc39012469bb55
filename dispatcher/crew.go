package dispatcher

import (
	"sync"
	"time"

	"github.com/panjf2000/ants/v2"
)

// workerIdle is how long a goroutine without work is kept.
const workerIdle = 10 * time.Second

// crew is the goroutines that run attempts. A worker, once started, goes on taking admitted attempts until there are
// none; it is started through an ants pool, which keeps goroutines for reuse.
//
// How many attempts are in flight is bounded by the core alone, so the pool itself has no bound: an ants worker is free
// only some time after its function has returned, and a pool of exactly the core's size would turn attempts away.
type crew struct {
	start   func(func()) error // runs a function on a goroutine of the pool
	release func()

	mu          sync.Mutex
	admitted    []runnable // guarded by mu; handed over and not taken, from next on
	next        int        // guarded by mu
	outstanding int        // guarded by mu; attempts handed over that have not ended
	working     int        // guarded by mu; workers that have not left; never less than outstanding
}

// runnable is an attempt that can be run.
type runnable interface {
	run()
	head() *header
}

func newCrew() (*crew, error) {
	pool, err := ants.NewPool(-1, ants.WithExpiryDuration(workerIdle))
	if err != nil {
		return nil, err
	}
	return &crew{start: pool.Submit, release: pool.Release}, nil
}

// hand passes admitted attempts on, and starts as many workers as are missing. Loop only.
func (c *crew) hand(batch []runnable) {
	if len(batch) == 0 {
		return
	}
	c.mu.Lock()
	if c.next > 0 { // what is left moves to the front, or the slice would only ever grow
		left := copy(c.admitted, c.admitted[c.next:])
		clear(c.admitted[left:])
		c.admitted, c.next = c.admitted[:left], 0
	}
	c.admitted = append(c.admitted, batch...)
	c.outstanding += len(batch)
	missing := max(0, c.outstanding-c.working)
	c.working += missing
	c.mu.Unlock()
	for range missing {
		c.startWorker()
	}
}

// tidy has jobs tidied by a goroutine of the pool. Loop only; the slice is given away.
func (c *crew) tidy(jobs []*header) {
	if len(jobs) == 0 {
		return
	}
	tidyAll := func() {
		for _, h := range jobs {
			h.tidy()
		}
	}
	if c.start(tidyAll) != nil {
		go tidyAll()
	}
}

// startWorker starts a worker that has been counted. Should the pool refuse, a plain goroutine does the work: an accepted
// job is never lost.
func (c *crew) startWorker() {
	if c.start(c.work) != nil {
		go c.work()
	}
}

// work is a worker: it runs attempts until there are none.
func (c *crew) work() {
	left := false
	defer func() {
		if !left { // the function called runtime.Goexit: this goroutine is lost, but its place is not
			c.replace()
		}
	}()
	for attempt := c.first(); attempt != nil; attempt = c.following() {
		attempt.run()
	}
	left = true
}

// first returns the first attempt for a new worker, or nil, with which it leaves.
func (c *crew) first() runnable {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pop()
}

// following ends the worker's attempt and returns its next, or nil, with which it leaves.
func (c *crew) following() runnable {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.outstanding--
	return c.pop()
}

// replace ends the attempt of a worker whose goroutine is lost, and starts another if there is work for it.
func (c *crew) replace() {
	c.mu.Lock()
	c.outstanding--
	needed := c.next < len(c.admitted)
	if !needed {
		c.working--
	}
	c.mu.Unlock()
	if needed {
		c.startWorker()
	}
}

// pop takes the next attempt; if there is none the worker counts as gone. mu is held.
func (c *crew) pop() runnable {
	if c.next == len(c.admitted) {
		c.admitted, c.next = c.admitted[:0], 0
		c.working--
		return nil
	}
	attempt := c.admitted[c.next]
	c.admitted[c.next] = nil
	c.next++
	return attempt
}
