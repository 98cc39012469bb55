package scheduler

import (
	"cmp"
	"slices"
)

// readyJobs holds the jobs of a lane that could start now.
type readyJobs struct {
	seats    []*seat // one for each set of gates that has been used
	len      int
	failFast int // how many of them won't wait for an open circuit

	first     seat     // most lanes need but one
	firstSeat [1]*seat // what seats is at first
}

// manySeats is how many seats a lane may have before those that no job refers to are given to other sets of gates. A lane that has so
// many when it is dropped loses them.
const manySeats = 16

// seatFor returns l's seat of jobs that pass the given gates, which it makes if need be.
func (l *lane) seatFor(needs gates) *seat {
	r := &l.ready
	for _, s := range r.seats {
		if s.needs == needs {
			return s
		}
	}
	s := r.vacant()
	if s == nil {
		s = r.add(l)
	}
	s.needs, s.heldOn = needs, 0
	return s
}

// vacant returns a seat that no job refers to, if there are many; or nil.
func (r *readyJobs) vacant() *seat {
	if len(r.seats) < manySeats {
		return nil
	}
	for _, s := range r.seats {
		if s.jobs == 0 {
			return s
		}
	}
	return nil
}

func (r *readyJobs) add(l *lane) *seat {
	s := &r.first
	if len(r.seats) == 0 {
		r.seats = r.firstSeat[:0]
	} else {
		s = new(seat)
	}
	*s = seat{lane: l}
	r.seats = append(r.seats, s)
	return s
}

func (r *readyJobs) push(e *Entry, fresh bool) {
	e.seat.queue(int(e.Priority)).push(e, fresh)
	r.count(e, 1)
}

func (r *readyJobs) remove(e *Entry) {
	e.seat.queue(int(e.Priority)).remove(e)
	r.count(e, -1)
}

func (r *readyJobs) count(e *Entry, by int) {
	r.len += by
	e.seat.len += by
	if e.FailFast {
		r.failFast += by
	}
}

// all returns the jobs in order of arrival: that of the seats depends on who had them before.
func (r *readyJobs) all() []*Entry {
	list := make([]*Entry, 0, r.len)
	for _, s := range r.seats {
		for _, q := range s.queues {
			list = q.appendTo(list)
		}
	}
	slices.SortFunc(list, func(a, b *Entry) int { return cmp.Compare(a.arrival, b.arrival) })
	return list
}

// readyQueue holds the jobs of one seat and one priority, in order of arrival. Fresh ones come in that order and are a
// list; those that come back from a wait are older than some of them and are a heap. The next is the older of the two
// heads (S-A6).
type readyQueue struct {
	fresh    entryList
	returned heap[*Entry]
	priority int
}

func newReadyQueue(priority int) readyQueue {
	return readyQueue{priority: priority, returned: heap[*Entry]{moved: func(e *Entry, pos int32) { e.pos = pos }}}
}

func (q *readyQueue) push(e *Entry, fresh bool) {
	e.fresh = fresh
	if fresh {
		q.fresh.pushBack(e)
	} else {
		q.returned.push(int64(e.arrival), 0, e)
	}
}

func (q *readyQueue) remove(e *Entry) {
	if e.fresh {
		q.fresh.remove(e)
	} else {
		q.returned.remove(e.pos)
	}
}

// head returns the job that is next, or nil.
func (q *readyQueue) head() *Entry {
	if q.returned.len() == 0 {
		return q.fresh.first
	}
	back := q.returned.min().item
	if q.fresh.first == nil || back.arrival < q.fresh.first.arrival {
		return back
	}
	return q.fresh.first
}

func (q *readyQueue) appendTo(list []*Entry) []*Entry {
	for i := range q.returned.nodes {
		list = append(list, q.returned.nodes[i].item)
	}
	for e := q.fresh.first; e != nil; e = e.next {
		list = append(list, e)
	}
	return list
}
