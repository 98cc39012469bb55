package dispatcher

import (
	"sync"

	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/scheduler"
)

// exchange is where callers, the scheduler and the workers hand things over: one lock, held for a few instructions. A job meets
// it twice: when it is submitted, and when its attempt ends, which is also when the worker takes its next.
//
// Posts are attended to by whoever is the server, one at a time: it takes all posts there are in one turn of the loop (loop.go).
// Who posts while nobody serves calls the scheduler goroutine; or, if it has nothing better to do, it borrows the scheduler, which
// saves switches of goroutine, and keeps what the jobs have in one processor's cache: a Do, a worker that has nothing to run, a
// Submit to a dispatcher that idles. So where jobs are short, most turns are a worker's, and the scheduler goroutine comes too
// late; where they are long it is the one that is free. While there are posts, somebody serves or has been called.
//
// Being the server is what the scheduler's state is guarded by; it passes from one to the next through mu.
type exchange struct {
	bell chan struct{} // holds one: the scheduler goroutine has been called

	mu     sync.Mutex
	posts  []post // guarded by mu; not attended to yet
	served bool   // guarded by mu; there is a server
	called bool   // guarded by mu; the scheduler goroutine is about to come
	ticked bool   // guarded by mu; the timer has gone off: somebody has to look at the time
	closed bool   // guarded by mu; no more jobs are accepted
	ended  bool   // guarded by mu; nobody will ever serve again
	ids    job.ID // guarded by mu; of the latest job
	crew   crew   // its fields are guarded by mu, save as noted
}

// post is something for the scheduler: a job that has been submitted or whose attempt has ended, or a message.
type post struct {
	job *header
	msg *message
}

// message is an event for the core that few jobs have, or something to do.
type message struct {
	kind    scheduler.EventKind
	job     *header       // of Cancel and Correct
	attempt int           // of Correct
	err     error         // of Cancel: the cause of the job's context
	expired bool          // of Cancel: it was the context's deadline
	limit   int           // of Correct
	amount  policy.Amount // of Correct
	do      func()        // instead of an event: called by the server
}

// post delivers a message. It never blocks: what bounds the length is the bound on accepted jobs, each of which has but a few
// messages under way. It reports false when the loop has ended; then every job is settled and nothing is in flight.
func (d *Dispatcher) post(m *message) bool {
	x := &d.exchange
	x.mu.Lock()
	if x.ended {
		x.mu.Unlock()
		return false
	}
	x.posts = append(x.posts, post{msg: m})
	x.callServer()
	return true
}

// submit posts a new job, and gives it its number. It reports false once close has been called: whether a job was accepted is
// decided here, in one place and one moment (S-F6).
func (d *Dispatcher) submit(h *header) bool {
	x := &d.exchange
	x.mu.Lock()
	if x.closed {
		x.mu.Unlock()
		return false
	}
	x.ids++
	h.id = x.ids
	x.posts = append(x.posts, post{job: h})
	switch {
	case x.served:
		x.mu.Unlock()
	case h.byCaller:
		d.borrow(borrowed)
	case x.crew.idles():
		d.borrow(1)
	default:
		x.callServer()
	}
	return true
}

// poke has somebody look again, as when the timer goes off.
func (d *Dispatcher) poke() {
	x := &d.exchange
	x.mu.Lock()
	x.ticked = true
	x.callServer()
}

// handBack posts the end of an attempt that a caller of Do has run.
func (d *Dispatcher) handBack(h *header) {
	x := &d.exchange
	x.mu.Lock()
	x.posts = append(x.posts, post{job: h})
	if x.served {
		x.mu.Unlock()
		return
	}
	d.borrow(borrowed)
}

// callServer unlocks mu, and sees to it that somebody attends to the posts.
func (x *exchange) callServer() {
	call := (!x.served || x.ended) && !x.called && x.work()
	x.called = x.called || call
	x.mu.Unlock()
	if call {
		ring(x.bell)
	}
}

// work reports whether there is something to attend to. mu is held.
func (x *exchange) work() bool { return len(x.posts) > 0 || x.ticked || x.ended }

// borrowed is for how many turns the caller of a Do serves at most, if there is more to attend to: he is not there for others,
// but to call the scheduler goroutine takes longer than a turn.
const borrowed = 4

// borrow makes the caller the server for so many turns at most, and unlocks mu.
func (d *Dispatcher) borrow(turns int) {
	for n := 0; n < turns && !d.exchange.served && d.exchange.work(); n++ {
		d.serve()
	}
	up := d.exchange.crew.chain()
	d.exchange.callServer()
	d.wake(up)
}

// serve is one turn of the server, which the caller becomes: there is none. mu is held, before and afterwards.
func (d *Dispatcher) serve() {
	x, l := &d.exchange, &d.loop
	x.served, x.ticked = true, false
	l.batch, x.posts = x.posts, l.batch
	x.mu.Unlock()
	d.turn()
	x.mu.Lock()
	x.crew.add(l.starts)
	clear(l.starts)
	l.starts = l.starts[:0]
	x.ended = l.closing && l.core.Quiet() && len(x.posts) == 0
	x.served = x.ended // of what has ended nobody becomes the server any more
}

// ring wakes whoever listens to a bell, a channel that holds one.
func ring(bell chan<- struct{}) {
	select {
	case bell <- struct{}{}:
	default:
	}
}

// close lets no more jobs in.
func (x *exchange) close() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.closed = true
}
