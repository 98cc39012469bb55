package scheduler

import "github.com/toller-go/toller/policy"

// lane is the state of one key: what waits for it and the gates that are its own.
type lane struct {
	key     string
	ready   readyQueue
	circuit policy.Circuit
	cool    policy.Cooldown
	own     []policy.Bucket // one for each of the core's per-key limits

	inFlight int // attempts running, detached ones included
	parked   int // jobs waiting for an instant

	inRing     bool
	next, prev *lane       // in the ring
	gate       policy.Time // not in the ring: when its own gates are to be looked at again
	wakePos    int32       // index among the wake-ups; -1 when it has none
	number     uint64      // order of creation, the tie-break among wake-ups
}

// deserted reports whether nothing in the core refers to the lane's work any more.
func (l *lane) deserted() bool { return l.ready.len == 0 && l.parked == 0 && l.inFlight == 0 }

// freshAt returns from when on the lane cannot be told from a new one (S-A9) if nothing is asked of it; now if it can't be
// already, [policy.Never] if that depends on the outcome of an attempt to come.
func (l *lane) freshAt(now policy.Time) policy.Time {
	if !l.circuit.Fresh(now) {
		return policy.Never
	}
	l.cool.Advance(now)
	at := max(now, l.cool.IdleAt())
	for i := range l.own {
		l.own[i].Advance(now)
		at = max(at, l.own[i].FullAt())
	}
	return at
}

// readyQueue holds the jobs of a lane that could start now, in order of arrival. Fresh ones come in that order and are a
// list; those that come back from a wait are older than some of them and are a heap. The next is the older of the two
// heads (S-A6).
type readyQueue struct {
	fresh    entryList
	returned heap[*Entry]
	len      int
	failFast int // how many of them won't wait for an open circuit
}

func newReadyQueue() readyQueue {
	return readyQueue{returned: heap[*Entry]{moved: func(e *Entry, pos int32) { e.pos = pos }}}
}

func (q *readyQueue) push(e *Entry, fresh bool) {
	e.fresh = fresh
	if fresh {
		q.fresh.pushBack(e)
	} else {
		q.returned.push(int64(e.arrival), 0, e)
	}
	q.count(e, 1)
}

func (q *readyQueue) remove(e *Entry) {
	if e.fresh {
		q.fresh.remove(e)
	} else {
		q.returned.remove(e.pos)
	}
	q.count(e, -1)
}

func (q *readyQueue) count(e *Entry, by int) {
	q.len += by
	if e.FailFast {
		q.failFast += by
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

// all returns the jobs of the queue, in an order that depends on nothing but its history.
func (q *readyQueue) all() []*Entry {
	list := make([]*Entry, 0, q.len)
	for i := range q.returned.nodes {
		list = append(list, q.returned.nodes[i].item)
	}
	for e := q.fresh.first; e != nil; e = e.next {
		list = append(list, e)
	}
	return list
}

// laneRing is the lanes that have work and whose own gates are open, as far as is known, in the order in which they are
// served.
type laneRing struct {
	first, last *lane
}

func (r *laneRing) pushBack(l *lane) {
	l.inRing = true
	l.prev, l.next = r.last, nil
	if r.last == nil {
		r.first = l
	} else {
		r.last.next = l
	}
	r.last = l
}

func (r *laneRing) remove(l *lane) {
	l.inRing = false
	if l.prev == nil {
		r.first = l.next
	} else {
		l.prev.next = l.next
	}
	if l.next == nil {
		r.last = l.prev
	} else {
		l.next.prev = l.prev
	}
	l.next, l.prev = nil, nil
}
