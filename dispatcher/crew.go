package dispatcher

import (
	"time"

	"github.com/panjf2000/ants/v2"
)

// workerIdle is how long a worker without work is kept, at least, and at most twice as long.
const workerIdle = 10 * time.Second

// crew is the goroutines that run attempts. A worker, once started, goes on taking admitted attempts, and waits for more when
// there are none; it is started through an ants pool, which keeps goroutines for reuse.
//
// How many attempts are in flight is bounded by the core alone, so the pool itself has no bound: an ants worker is free
// only some time after its function has returned, and a pool of exactly the core's size would turn attempts away.
//
// Waking goes by a chain: whoever hands over attempts wakes one worker, and each one that wakes up, or takes an attempt and sees
// another, wakes the next before it runs its own. So no attempt waits while others run, and where they are short few wake up. One
// wake-up is under way at most. Its fields are guarded by the exchange's mu.
type crew struct {
	pool  *ants.Pool  // immutable
	timer *time.Timer // of trim; immutable

	admitted []jobTask // handed over and not taken, from next on
	next     int
	running  int       // attempts handed over that have not ended, save those of a Do
	idle     []*worker // without work, the one that has been for longest first
	waking   bool      // one of them is being woken, or a new one started
	trimming bool      // timer is set
	age      uint32    // how often trim has been called
}

// worker is one goroutine that runs attempts.
type worker struct {
	wake chan bool // holds one; false: it is to leave
	age  uint32    // the crew's, when it last became idle
}

// wakeUp is what whoever has looked at the crew has to do once the lock is released.
type wakeUp struct {
	worker *worker // to be woken
	start  bool    // a new one is to be started
}

func newCrew(trim func()) (crew, error) {
	pool, err := ants.NewPool(-1, ants.WithExpiryDuration(workerIdle))
	if err != nil {
		return crew{}, err
	}
	c := crew{pool: pool, timer: time.AfterFunc(time.Hour, trim)}
	c.timer.Stop()
	return c, nil
}

// idles reports whether nothing runs and nothing is about to.
func (c *crew) idles() bool { return c.running == 0 && len(c.admitted) == c.next }

// add takes over admitted attempts.
func (c *crew) add(batch []jobTask) {
	if len(batch) == 0 {
		return
	}
	if c.next > 0 { // what is left moves to the front, or the slice would only ever grow
		left := copy(c.admitted, c.admitted[c.next:])
		clear(c.admitted[left:])
		c.admitted, c.next = c.admitted[:left], 0
	}
	c.admitted = append(c.admitted, batch...)
	c.running += len(batch)
}

// chain wakes one more worker if there is something for it.
func (c *crew) chain() wakeUp {
	if c.waking || c.next == len(c.admitted) {
		return wakeUp{}
	}
	c.waking = true
	last := len(c.idle) - 1
	if last < 0 {
		return wakeUp{start: true}
	}
	w := c.idle[last] // which ran last: what it uses is still in the cache
	c.idle[last] = nil
	c.idle = c.idle[:last]
	return wakeUp{worker: w}
}

// pop returns the next attempt, or nil.
func (c *crew) pop() jobTask {
	if c.next == len(c.admitted) {
		return nil
	}
	attempt := c.admitted[c.next]
	c.admitted[c.next] = nil
	c.next++
	return attempt
}

// rest puts a worker among those that idle, and sees to it that it does not for ever.
func (c *crew) rest(w *worker, ended bool) {
	if ended {
		w.wake <- false
		return
	}
	w.age = c.age
	c.idle = append(c.idle, w)
	if !c.trimming {
		c.trimming = true
		c.timer.Reset(workerIdle)
	}
}

// wake does what is to be done of a look at the crew. mu is not held.
func (d *Dispatcher) wake(up wakeUp) {
	switch {
	case up.worker != nil:
		up.worker.wake <- true
	case up.start:
		d.elsewhere(d.work)
	}
}

// elsewhere calls a function on a goroutine of the pool. Should that refuse, a plain one does the work: an accepted job is never
// lost.
func (d *Dispatcher) elsewhere(do func()) {
	if d.exchange.crew.pool.Submit(do) != nil {
		go do()
	}
}

// doElsewhere calls functions, one after the other, on a goroutine of the pool.
func (d *Dispatcher) doElsewhere(chores []func()) {
	if len(chores) > 0 {
		d.elsewhere(func() { d.doAll(chores) })
	}
}

// doAll calls functions that may call what is the caller's: should one panic, the others are called all the same.
func (d *Dispatcher) doAll(chores []func()) {
	defer func() { d.doElsewhere(chores) }() // those that are left
	for len(chores) > 0 {
		do := chores[0]
		chores = chores[1:]
		do()
	}
}

// work is a worker: it runs attempts until it has been idle for long.
func (d *Dispatcher) work() {
	w := &worker{wake: make(chan bool, 1)}
	var attempt jobTask
	defer func() {
		if attempt != nil { // the function called runtime.Goexit: this goroutine is lost, but its place is not
			d.replace(attempt.head())
		}
	}()
	for attempt = d.awake(w); attempt != nil; attempt = d.following(w, attempt.head()) {
		attempt.run()
	}
}

// awake returns the first attempt for a worker that has been started or woken, or nil, with which it leaves.
func (d *Dispatcher) awake(w *worker) jobTask {
	x := &d.exchange
	for {
		x.mu.Lock()
		x.crew.waking = false
		attempt := x.crew.pop()
		if attempt != nil {
			up := x.crew.chain()
			x.mu.Unlock()
			d.wake(up)
			return attempt
		}
		x.crew.rest(w, x.ended) // somebody was faster
		x.mu.Unlock()
		if !<-w.wake {
			return nil
		}
	}
}

// following hands the end of an attempt back, and returns the next for the same worker, or nil, with which it leaves. A worker
// without another attempt borrows the scheduler: that may admit one, and if not there is nothing better to do.
func (d *Dispatcher) following(w *worker, h *header) jobTask {
	x := &d.exchange
	x.mu.Lock()
	x.crew.running--
	x.posts = append(x.posts, post{job: h})
	attempt := x.crew.pop()
	for attempt == nil && !x.served && x.work() {
		d.serve()
		attempt = x.crew.pop()
	}
	if attempt == nil {
		x.crew.rest(w, x.ended)
	}
	up := x.crew.chain()
	x.callServer()
	d.wake(up)
	switch {
	case attempt != nil:
		return attempt
	case <-w.wake:
		return d.awake(w)
	default:
		return nil
	}
}

// replace hands back the attempt of a worker whose goroutine is lost. Another is started if there is work for it.
func (d *Dispatcher) replace(h *header) {
	x := &d.exchange
	x.mu.Lock()
	x.crew.running--
	x.posts = append(x.posts, post{job: h})
	up := x.crew.chain()
	x.callServer()
	d.wake(up)
}

// trim lets those workers go that have been idle since it was last called, and before.
func (d *Dispatcher) trim() {
	x := &d.exchange
	x.mu.Lock()
	defer x.mu.Unlock()
	c := &x.crew
	n := 0
	for n < len(c.idle) && c.idle[n].age != c.age {
		n++
	}
	c.dismiss(n)
	c.age++
	if c.trimming = len(c.idle) > 0; c.trimming {
		c.timer.Reset(workerIdle)
	}
}

// dismiss lets the first n of the idle workers go.
func (c *crew) dismiss(n int) {
	for _, w := range c.idle[:n] {
		w.wake <- false // it holds one, and nobody else sends to those that are idle
	}
	left := copy(c.idle, c.idle[n:])
	clear(c.idle[left:])
	c.idle = c.idle[:left]
}

// release lets all workers go. Nothing runs, and nothing ever will.
func (d *Dispatcher) release() {
	x := &d.exchange
	x.mu.Lock()
	x.crew.timer.Stop()
	x.crew.dismiss(len(x.crew.idle))
	x.mu.Unlock()
	x.crew.pool.Release()
}
