package scheduler

import (
	"slices"

	"github.com/toller-go/toller/policy"
)

// seat is those jobs of a lane that could start now and pass the same gates. Seats stand in rings, each in the ring of its
// gates and of the class of its head, so that jobs can be passed over together when one of their gates is held.
type seat struct {
	lane   *lane
	needs  gates
	queues []*readyQueue // one for each priority that has been used, highest first
	len    int           // of all queues
	jobs   int           // that refer to it: those that are parked or in flight as well

	ring       *seatRing   // nil when it stands in none
	next, prev *seat       // in the ring
	class      int         // of the ring
	ticket     uint64      // its place among the seats of all rings
	heldOn     uint64      // the admission in which its head has last held the line
	passedOver uint64      // the admission in which it is to be looked at no more
	gate       policy.Time // in no ring: when the lane's own gates are to be looked at again

	first      readyQueue     // most seats need but one
	firstQueue [1]*readyQueue // what queues is at first
}

// queue returns the queue of a priority, which it makes if need be.
func (s *seat) queue(priority int) *readyQueue {
	i := 0
	for i < len(s.queues) && s.queues[i].priority > priority {
		i++
	}
	if i == len(s.queues) || s.queues[i].priority != priority {
		s.queues = slices.Insert(s.queues, i, s.makeQueue(priority))
	}
	return s.queues[i]
}

func (s *seat) makeQueue(priority int) *readyQueue {
	q := &s.first
	if len(s.queues) == 0 {
		s.queues = s.firstQueue[:0]
	} else {
		q = new(readyQueue)
	}
	*q = newReadyQueue(priority)
	return q
}

// seatRing is seats in the order in which they are served, which is that of their tickets.
type seatRing struct {
	needs       gates // of all its seats
	first, last *seat
	from        *seat  // in the admission scanned, those before it are to be looked at no more; nil: all are
	scanned     uint64 // or another: then from is of no meaning
}

func (r *seatRing) pushBack(s *seat) {
	s.ring = r
	s.prev, s.next = r.last, nil
	if r.last == nil {
		r.first = s
	} else {
		r.last.next = s
	}
	r.last = s
	if r.from == nil {
		r.from = s
	}
}

// front returns the first seat that is to be looked at in an admission, or nil. Those that are not stand in front of all others, more of them
// each time: it begins where it ended before.
func (r *seatRing) front(turn uint64) *seat {
	if r.scanned != turn {
		r.scanned, r.from = turn, r.first
	}
	for r.from != nil && r.from.passedOver == turn {
		r.from = r.from.next
	}
	return r.from
}

// advance gives s the ticket of the front of all rings, and the place that goes with it: before all that are to be looked at.
func (r *seatRing) advance(s *seat, ticket uint64) {
	r.remove(s)
	s.ring, s.ticket, r.from = r, ticket, s
	next := r.first
	for next != nil && next.ticket < ticket {
		next = next.next
	}
	if next == nil {
		r.pushBack(s)
		return
	}
	s.prev, s.next = next.prev, next
	if next.prev == nil {
		r.first = s
	} else {
		next.prev.next = s
	}
	next.prev = s
}

func (r *seatRing) remove(s *seat) {
	s.ring = nil
	if r.from == s {
		r.from = s.next
	}
	if s.prev == nil {
		r.first = s.next
	} else {
		s.prev.next = s.next
	}
	if s.next == nil {
		r.last = s.prev
	} else {
		s.next.prev = s.prev
	}
	s.next, s.prev = nil, nil
}

// manyRings is how many rings a class may have before those are dropped in which nobody stands.
const manyRings = 32

// ringOf returns the ring of a class and a set of gates, which it makes if need be.
func (c *Core) ringOf(class int, needs gates) *seatRing {
	rings := c.rings[class]
	for _, r := range rings {
		if r.needs == needs {
			return r
		}
	}
	if len(rings) >= manyRings {
		rings = slices.DeleteFunc(rings, func(r *seatRing) bool { return r.first == nil })
	}
	r := &seatRing{needs: needs}
	c.rings[class] = append(rings, r)
	return r
}
