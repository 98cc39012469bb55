package scheduler

// laneRing is lanes in the order in which they are served.
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
