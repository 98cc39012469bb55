package scheduler

import (
	"math/bits"

	"github.com/toller-go/toller/policy"
)

// The bounds of Entry.Priority.
const (
	MinPriority = -4
	MaxPriority = 4
)

const classes = MaxPriority - MinPriority + 1

// Who is next (S-A5). Priorities are classes, and the rings are served from the highest class down. A job that waits rises
// one class for each AgeAfter, but not above the highest that anybody has asked for: as long as all priorities are the same,
// nobody overtakes.
//
// Within a class it is deficit round robin (Shreedhar and Varghese, SIGCOMM 1995): when a lane's turn comes it may start
// jobs of a quantum's size in all, times its weight, and what it does not use is kept for its next turn. A job's size is the
// largest share of a limit's burst that it costs. The quantum is the largest size there has been, with which every turn
// starts at least one job; where all jobs cost the same, lanes of one weight take turns one job at a time.

// classOf returns the class that e has by now.
func (c *Core) classOf(e *Entry) int {
	if c.ageAfter <= 0 || int(e.Priority) >= c.top {
		return int(e.Priority)
	}
	return int(min(int64(c.top), int64(e.Priority)+int64(c.now.Sub(e.submitted)/c.ageAfter)))
}

// precedes reports whether a job is of a higher class than another of its lane, or of the same and older.
func (c *Core) precedes(e, other *Entry) bool {
	class, others := c.classOf(e), c.classOf(other)
	return class > others || class == others && e.arrival < other.arrival
}

// head returns the job of s that is next: of the highest class, and in it the oldest; nil if there is none.
func (c *Core) head(s *seat) *Entry {
	var best *Entry
	for _, q := range s.queues {
		e := q.head()
		switch {
		case e == nil:
		case best == nil || c.precedes(e, best):
			best = e
		}
	}
	return best
}

// risesAt returns when a head of l's queues enters a higher class.
func (c *Core) risesAt(l *lane) policy.Time {
	at := policy.Never
	if c.ageAfter <= 0 {
		return at
	}
	for _, s := range l.ready.seats {
		for _, q := range s.queues {
			if e := q.head(); e != nil && c.classOf(e) < c.top {
				waited := c.now.Sub(e.submitted)
				at = min(at, c.now.Add(c.ageAfter-waited%c.ageAfter))
			}
		}
	}
	return at
}

// raise notes that somebody has asked for a priority. Jobs that wait may rise higher now.
func (c *Core) raise(priority int) {
	if priority <= c.top {
		return
	}
	c.top = priority
	for _, l := range c.lanes.inOrder() {
		c.touch(l)
	}
}

// next returns the job whose turn it is among those that pass none of the gates held, or nil. Within the lane that is the
// oldest one, whichever of the lane's seats stands in front.
func (c *Core) next(held gates) *Entry {
	front := c.front(held)
	if front == nil {
		return nil
	}
	best := c.head(front)
	if len(front.lane.ready.seats) == 1 {
		return best
	}
	for _, s := range front.lane.ready.seats {
		if s == front || s.ring == nil || s.class != front.class || s.needs.meets(held) || s.passedOver == c.turn {
			continue
		}
		if e := c.head(s); e.arrival < best.arrival {
			best = e
		}
	}
	if best.seat != front { // it is its turn: should it have to wait, it must not be overtaken by those behind front
		best.seat.ring.advance(best.seat, front.ticket)
	}
	return best
}

// front returns the seat that has waited longest in the highest class, or nil.
func (c *Core) front(held gates) *seat {
	for left := c.occupied; left != 0; {
		class := bits.Len16(left) - 1
		left &^= 1 << class
		var front *seat
		for _, r := range c.rings[class] {
			if r.needs.meets(held) {
				continue
			}
			if s := r.front(c.turn); s != nil && (front == nil || s.ticket < front.ticket) {
				front = s
			}
		}
		if front != nil {
			return front
		}
	}
	return nil
}

// place puts a seat that has jobs into the ring of its head's class, at the end unless it stands there already.
func (c *Core) place(s *seat) {
	class := c.classOf(c.head(s)) - MinPriority
	if s.ring != nil && s.class == class {
		return
	}
	c.unplace(s)
	c.lineUp(s, class)
}

// lineUp puts a seat at the end of a ring.
func (c *Core) lineUp(s *seat, class int) {
	s.class, s.ticket = class, c.tickets
	c.tickets++
	c.ringOf(class, s.needs).pushBack(s)
	s.lane.standing++
	c.crowd(class, 1)
}

// crowd counts the seats that stand in the rings of a class.
func (c *Core) crowd(class, by int) {
	c.standing[class] += by
	if c.standing[class] > 0 {
		c.occupied |= 1 << class
	} else {
		c.occupied &^= 1 << class
	}
}

// unplace takes a seat out of its ring. A lane that stands nowhere ends its turn, and one that has nothing left to start
// keeps no claim.
func (c *Core) unplace(s *seat) {
	l := s.lane
	if s.ring != nil {
		s.ring.remove(s)
		l.standing--
		c.crowd(s.class, -1)
		c.letGo = c.letGo || s.heldOn == c.turn
	}
	if l.standing == 0 {
		l.served = false
	}
	if l.ready.len == 0 {
		l.deficit = 0
	}
}

// begin begins l's turn, if it has not begun: it may start jobs of one quantum for each unit of its weight.
func (c *Core) begin(l *lane) {
	if !l.served {
		l.served = true
		share := c.quantum * int64(l.weight)
		l.deficit = min(l.deficit, share) + share // no more is kept: gates of its own may end many turns early
	}
}

// pay takes e's size off its lane's deficit, once. A job that has to wait for what keys share pays when its turn has come: it
// keeps its place until it starts, whatever others of its lane, which pass other gates, do meanwhile.
func (c *Core) pay(e *Entry) {
	if !e.paid {
		e.paid = true
		e.lane().deficit -= int64(e.size)
	}
}

// endTurn lets the other lanes of the class go first, but for a job that has paid already.
func (c *Core) endTurn(l *lane) {
	if c.alone(l) {
		l.served = false
		return
	}
	for _, s := range l.ready.seats {
		if s.ring != nil {
			if !c.head(s).paid {
				c.unplace(s)
			}
			c.place(s)
		}
	}
	l.served = false
}

// alone reports whether l's one seat is the only one that stands anywhere, and would stand there again: there is nobody to go
// first.
func (c *Core) alone(l *lane) bool {
	if l.standing != 1 || len(l.ready.seats) != 1 {
		return false
	}
	s := l.ready.seats[0]
	return c.occupied == 1<<s.class && c.standing[s.class] == 1 && c.classOf(c.head(s))-MinPriority == s.class
}

// spend ends a lane's turn after a job of s has started, or lets it go on if what is left is enough for its next job.
func (c *Core) spend(s *seat) {
	l := s.lane
	switch {
	case s.len == 0:
		c.unplace(s)
	case l.deficit < int64(c.head(s).size):
		c.endTurn(l)
	default:
		c.place(s) // its next job may be of another class
	}
	c.schedule(l) // and rise at another time
}

// sizeUnit is the size of a job that costs a whole burst, or that costs nothing because there are no limits.
const sizeUnit = 1 << 20

// largestSize bounds what a job counts for: or one huge cost would make everybody's turns so long that keys no longer
// alternate.
const largestSize = 4 * sizeUnit

// sizeOf returns the largest share of a burst that e costs, at least 1 and at most four bursts.
func (s *limitSet) sizeOf(e *Entry) int32 {
	if e.Costs == nil {
		return s.usualSize
	}
	return s.largestShare(e.Costs)
}

func (s *limitSet) largestShare(costs []policy.Amount) int32 {
	if len(s.rules) == 0 {
		return sizeUnit
	}
	size := int32(1)
	for i, cost := range costs {
		hi, lo := bits.Mul64(uint64(cost), sizeUnit)
		share, _ := bits.Div64(hi, lo, max(s.bursts[i], hi+1)) // a share beyond 64 bits is as good as the largest
		size = max(size, int32(min(share, largestSize)))
	}
	return size
}
