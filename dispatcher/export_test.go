package dispatcher

import (
	"fmt"
	"time"

	"github.com/toller-go/toller/policy"
)

// NextWake returns how long it is until the scheduler wakes up by itself; negative when it does not.
func NextWake(d *Dispatcher) time.Duration {
	wait := time.Duration(-1)
	d.ask(func() {
		// At the end of the turn, when what is admitted has been.
		d.loop.after = append(d.loop.after, func() {
			if next := d.loop.core.NextWake(); next != policy.Never {
				wait = next.Sub(d.loop.now)
			}
		})
	})
	return wait
}

// Watches returns how many contexts are watched.
func Watches(d *Dispatcher) int {
	d.watches.mu.Lock()
	defer d.watches.mu.Unlock()
	return len(d.watches.by)
}

// CallersWaiting returns how many callers of a Do wait for their turn.
func CallersWaiting(d *Dispatcher) int { return int(d.callers.waiting.Load()) }

// CallersKnown returns how many of them have a bell.
func CallersKnown(d *Dispatcher) int {
	d.callers.mu.Lock()
	defer d.callers.mu.Unlock()
	return len(d.callers.bells)
}

// Handover tells how things stand in the exchange and the crew, for somebody who suspects that nothing goes on.
func Handover(d *Dispatcher) string {
	x := &d.exchange
	if !x.mu.TryLock() {
		return "somebody holds the lock"
	}
	defer x.mu.Unlock()
	c := &x.crew
	told := fmt.Sprintf("posts %d, served %t, called %t (bell %d), ticked %t, closed %t, ended %t; admitted %d, running %d, idle %d, waking %t; room %d",
		len(x.posts), x.served, x.called, len(x.bell), x.ticked, x.closed, x.ended, len(c.admitted)-c.next, c.running, len(c.idle), c.waking, d.room.free.Load())
	if x.served {
		return told
	}
	l := &d.loop // nobody serves, so nobody else looks at it
	return fmt.Sprintf("%s; unsettled %d, in flight %d, next wake-up %v, armed %v, now %v", told, l.core.Unsettled(), l.core.InFlight(), l.core.NextWake(), l.armed, d.clock())
}

// Hold stops the server in the midst of a turn, until release is called: what is posted meanwhile comes in one turn.
func Hold(d *Dispatcher) (release func()) {
	held, released := make(chan struct{}), make(chan struct{})
	d.post(&message{do: func() {
		close(held)
		<-released
	}})
	<-held
	return func() { close(released) }
}

// HoldPosts keeps everybody from handing anything over, until release is called.
func HoldPosts(d *Dispatcher) (release func()) {
	d.exchange.mu.Lock()
	return d.exchange.mu.Unlock
}
