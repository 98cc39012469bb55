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

// Who is next (S-A5). Priorities are classes: a lane stands in the ring of the class of its head, and rings are served from
// the highest down. A job that waits rises one class for each AgeAfter, but not above the highest that anybody has asked
// for: as long as all priorities are the same, nobody overtakes.
//
// Within a ring it is deficit round robin (Shreedhar and Varghese, SIGCOMM 1995): when a lane's turn comes it may start jobs
// of a quantum's size in all, and what it does not use is kept for its next turn. A job's size is the largest share of a
// limit's burst that it costs. The quantum is the largest size there has been, with which every turn starts at least one
// job; where all jobs cost the same, the lanes take turns one job at a time.

// classOf returns the class that e has by now.
func (c *Core) classOf(e *Entry) int {
	if c.ageAfter <= 0 || e.Priority >= c.top {
		return e.Priority
	}
	return int(min(int64(c.top), int64(e.Priority)+int64(c.now.Sub(e.submitted)/c.ageAfter)))
}

// head returns the job of l that is next: of the highest class, and in it the oldest; nil if none is ready.
func (c *Core) head(l *lane) *Entry {
	var best *Entry
	for _, q := range l.ready.queues {
		e := q.head()
		switch {
		case e == nil:
		case best == nil:
			best = e
		default:
			if class, least := c.classOf(e), c.classOf(best); class > least || class == least && e.arrival < best.arrival {
				best = e
			}
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
	for _, q := range l.ready.queues {
		if e := q.head(); e != nil && c.classOf(e) < c.top {
			waited := c.now.Sub(e.submitted)
			at = min(at, c.now.Add(c.ageAfter-waited%c.ageAfter))
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
	for _, l := range c.lanesInOrder() {
		c.touch(l)
	}
}

// front returns the lane whose turn it is, or nil.
func (c *Core) front() *lane {
	for class := classes - 1; class >= 0; class-- {
		if l := c.rings[class].first; l != nil {
			return l
		}
	}
	return nil
}

// place puts l, which has ready jobs, into the ring of its head's class, at the end unless it stands there already.
func (c *Core) place(l *lane) {
	class := c.classOf(c.head(l)) - MinPriority
	if l.inRing && l.class == class {
		return
	}
	c.unplace(l)
	l.class = class
	c.rings[class].pushBack(l)
}

// unplace takes l out of its ring. A lane that has nothing left to start keeps no claim.
func (c *Core) unplace(l *lane) {
	if l.inRing {
		c.rings[l.class].remove(l)
	}
	l.served = false
	if l.ready.len == 0 {
		l.deficit = 0
	}
}

// begin begins l's turn, if it has not begun: it may start jobs of one quantum.
func (c *Core) begin(l *lane) {
	if !l.served {
		l.served = true
		l.deficit = min(l.deficit, c.quantum) + c.quantum // no more is kept: gates of its own may end many turns early
	}
}

// endTurn lets the other lanes of l's ring go first.
func (c *Core) endTurn(l *lane) {
	c.unplace(l)
	c.place(l)
}

// spend ends l's turn, or lets it go on if what is left is enough for its next job.
func (c *Core) spend(l *lane, size int64) {
	l.deficit -= size
	switch {
	case l.ready.len == 0:
		c.unplace(l)
	case l.deficit < c.head(l).size:
		c.endTurn(l)
	default:
		c.place(l) // its next job may be of another class
	}
	c.schedule(l) // and rise at another time
}

// sizeUnit is the size of a job that costs a whole burst, or that costs nothing because there are no limits.
const sizeUnit = 1 << 20

// sizeOf returns the largest share of a burst that e costs, at least 1.
func (s *limitSet) sizeOf(e *Entry) int64 {
	if len(s.rules) == 0 {
		return sizeUnit
	}
	size := int64(1)
	for i, cost := range s.costs(e) {
		hi, lo := bits.Mul64(uint64(cost), sizeUnit)
		share, _ := bits.Div64(hi, lo, max(s.bursts[i], hi+1)) // a share beyond 64 bits is as good as the largest
		size = max(size, int64(min(share, 1<<40)))
	}
	return size
}
