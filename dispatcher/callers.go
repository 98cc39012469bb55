package dispatcher

import (
	"sync"
	"sync/atomic"

	"github.com/toller-go/toller/job"
)

// callers is where those wait who have called Do, until there is an attempt for them to run or their job is over. Most need not;
// under a limit that binds all do, so what they wait on is used again, and a job has no field for it.
//
// Who waits announces himself, and looks once more; the loop looks for those who wait after it has noted what there is to see: so one
// of the two sees the other.
type callers struct {
	waiting atomic.Int32 // how many there are

	mu    sync.Mutex
	bells map[*header]chan struct{} // guarded by mu; each holds one
	spare []chan struct{}           // guarded by mu; empty ones
}

// spareBells is how many bells are kept for callers to come.
const spareBells = 1024

// enter announces a caller and returns his bell, which is rung whenever there may be something new for him.
func (c *callers) enter(h *header) <-chan struct{} {
	c.waiting.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	var bell chan struct{}
	if last := len(c.spare) - 1; last >= 0 {
		bell, c.spare = c.spare[last], c.spare[:last]
	} else {
		bell = make(chan struct{}, 1)
	}
	c.bells[h] = bell
	return bell
}

func (c *callers) leave(h *header) {
	c.mu.Lock()
	defer c.mu.Unlock()
	bell := c.bells[h]
	delete(c.bells, h)
	c.waiting.Add(-1)
	select {
	case <-bell:
	default:
	}
	if len(c.spare) < spareBells {
		c.spare = append(c.spare, bell)
	}
}

// tell rings for a job's caller, if he waits. Loop only.
func (c *callers) tell(h *header) {
	if c.waiting.Load() == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if bell := c.bells[h]; bell != nil {
		ring(bell)
	}
}

// turn is how things stand between the loop and the caller of a Do.
type turn uint8

const (
	notYours turn = iota // the caller waits, or runs an attempt
	yours                // an attempt has been admitted, which the caller is to run
	goneOn               // of a Stream: the caller has the value, and leaves the rest to others
	through              // that is over, and the context of the attempt has ended
)

// callBack tells the caller of a Do that an attempt has been admitted. Loop only.
func (d *Dispatcher) callBack(h *header) {
	h.mu.Lock()
	h.turn = yours
	h.mu.Unlock()
	d.callers.tell(h)
}

// takeTurn reports whether there is an attempt for the caller to run, which it is bound to do then.
func (h *header) takeTurn() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.turn != yours {
		return false
	}
	h.turn = notYours
	return true
}

// releaseCaller notes that the caller of a Stream does not stay until its end: nor does he wait any more for what its function waits for.
func (h *header) releaseCaller() {
	h.mu.Lock()
	h.turn = goneOn
	counted := h.story != nil && h.story.callerWaits
	h.mu.Unlock()
	if counted {
		h.d.post(&message{do: func() { h.d.endVigilsOn(h) }})
	}
}

// keepsCaller reports whether whoever has handed the job in does nothing else until it is over.
func (h *header) keepsCaller() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.keeps()
}

// keeps is keepsCaller for who holds mu.
func (h *header) keeps() bool { return h.byCaller && h.turn < goneOn }

// isCalled reports whether the caller of a Do has to run an attempt, if that is known: once the job is over nothing more is
// admitted, so that is asked first.
func (t *task[T]) isCalled() (called, known bool) {
	over := t.promise.Future().State() != job.Pending
	called = t.takeTurn()
	return called, called || over
}
