package scheduler

import (
	"math/bits"
	"slices"
)

// await is an attempt in flight whose function waits for another job, or for one of several, and does nothing else meanwhile.
type await struct {
	by      *Entry
	attempt int
	on      *Entry
	any     *Awaited // in place of on
	left    int      // of any: how many it has not taken the result of
}

// Awaited is jobs of which an attempt waits for any one. It may wait for them again, when some are over: what it costs to say so is
// the same for very many. The zero Awaited has none. When it has been part of an event it is the core's.
type Awaited struct{ jobs []*Entry }

// Add adds a job that has been submitted.
func (a *Awaited) Add(e *Entry) { a.jobs = append(a.jobs, e) }

// dropOver takes out the latest that are over. Where the latest are over first, there are more of them with each wait, and inVain
// begins with the latest.
func (a *Awaited) dropOver() {
	n := len(a.jobs)
	for n > 0 && a.jobs[n-1].over() {
		n--
	}
	clear(a.jobs[n:])
	a.jobs = a.jobs[:n]
}

// await notes that ev.By's attempt waits for ev.Entry.
func (c *Core) await(ev Event) {
	if ev.By.flies(ev.Attempt) {
		if ev.Any != nil {
			ev.Any.dropOver()
		}
		c.awaits = append(c.awaits, await{ev.By, ev.Attempt, ev.Entry, ev.Any, ev.Left})
		c.entangled = true
	}
}

// unawait notes that it does so no more.
func (c *Core) unawait(ev Event) {
	over := await{ev.By, ev.Attempt, ev.Entry, ev.Any, ev.Left}
	for i, a := range slices.Backward(c.awaits) { // the latest is most often the first to end
		if a == over {
			c.awaits = slices.Delete(c.awaits, i, i+1)
			c.entangled = true // what is left may be what will never come
			return
		}
	}
}

// noteHold notes that e holds the line for what it lacks. What somebody waits for may be behind it.
func (c *Core) noteHold(e *Entry, lacks gates) {
	if lacks.groups != 0 && len(c.awaits) > 0 && e.seat.heldOn+1 < c.turn {
		c.entangled = true
	}
	if len(c.holders) > 0 && c.holders[0].heldOn != c.turn {
		c.holders = c.holders[:0]
	}
	e.seat.heldOn = c.turn
	c.holders = append(c.holders, e.seat)
}

// forgetAwaits notes that e's attempt has ended.
func (c *Core) forgetAwaits(e *Entry) {
	if len(c.awaits) > 0 {
		c.awaits = slices.DeleteFunc(c.awaits, func(a await) bool { return a.by == e })
	}
}

// untangle tells attempts that what they wait for will never come, because all who could make room for it wait, too: the
// latest of them first, and no more than it takes (S-F8).
func (c *Core) untangle() {
	if !c.entangled {
		return
	}
	c.entangled = false
	for stuck := c.stuck(); len(stuck) > 0; stuck = c.stuck() {
		var last *Entry
		for _, a := range c.awaits {
			if stuck[a.by] {
				last = a.by
			}
		}
		c.forgetAwaits(last)
		c.emit(Effect{Kind: Deadlock, Entry: last})
	}
}

// stuck returns those whose attempts will never end by themselves, whatever the others do: each waits for nothing but jobs that
// are stuck or that only the end of one that is stuck could make room for. It begins with all who wait and takes out who need
// not, until that is nobody.
func (c *Core) stuck() map[*Entry]bool {
	stuck := make(map[*Entry]bool, len(c.awaits))
	for _, a := range c.awaits {
		if a.by.state == Running { // one that is settled has been told to end
			stuck[a.by] = true
		}
	}
	for again := true; again; {
		again = false
		for _, a := range c.awaits {
			if stuck[a.by] && !c.inVain(a, stuck) {
				delete(stuck, a.by)
				again = true
			}
		}
	}
	return stuck
}

// inVain reports whether none of what a waits for will ever be over unless one of those that are stuck ends. Of several, the latest is
// looked at first: it is the least likely to be over. One that is over but has not been taken is about to wake whoever waits.
func (c *Core) inVain(a await, stuck map[*Entry]bool) bool {
	if a.any == nil {
		return c.hopeless(a.on, stuck)
	}
	left := a.left
	for _, e := range slices.Backward(a.any.jobs) {
		if e.over() {
			continue
		}
		if !c.hopeless(e, stuck) {
			return false
		}
		left--
	}
	return left == 0
}

// hopeless reports whether e will never be over unless one of those that are stuck ends.
func (c *Core) hopeless(e *Entry, stuck map[*Entry]bool) bool {
	switch e.state {
	case Running:
		return stuck[e]
	case Queued, Waiting:
		return c.roomless(e, stuck)
	default:
		return false
	}
}

// roomless reports whether e needs a worker, of all or of its key or of a group, and all of these are held by attempts that are
// stuck. Whatever else it waits for comes with time, or by somebody's word.
func (c *Core) roomless(e *Entry, stuck map[*Entry]bool) bool {
	if c.inFlight >= c.workers && c.heldBy(stuck, func(*Entry) bool { return true }) {
		return true
	}
	if c.full(e.lane()) && c.heldBy(stuck, func(f *Entry) bool { return f.lane() == e.lane() }) {
		return true
	}
	return c.groupless(e, stuck) || e.Groups != 0 && c.behindGroupless(e, stuck)
}

// groupless reports whether a group of e is full, and all its places are held by attempts that are stuck.
func (c *Core) groupless(e *Entry, stuck map[*Entry]bool) bool {
	for left := e.Groups; left != 0; left &= left - 1 {
		i := bits.TrailingZeros64(left)
		if g := &c.groups[i]; g.inFlight >= g.Workers && c.heldBy(stuck, func(f *Entry) bool { return f.Groups&(1<<i) != 0 }) {
			return true
		}
	}
	return false
}

// behindGroupless reports whether a job that e does not go before holds the line for a group of e's and will itself never have a place.
func (c *Core) behindGroupless(e *Entry, stuck map[*Entry]bool) bool {
	for _, s := range c.holders {
		if s.ring == nil || s.heldOn != c.turn || s.needs.groups&e.Groups == 0 {
			continue
		}
		if first := c.head(s); first != e && !c.goesBefore(e, first) && c.groupless(first, stuck) {
			return true
		}
	}
	return false
}

// goesBefore reports whether e comes, or will come, to the line before first, which holds it: it holds the line as well, for something
// else, or it is of a higher class, or of the same lane and class and older.
func (c *Core) goesBefore(e, first *Entry) bool {
	class, others := c.classOf(e), c.classOf(first)
	return e.seat.heldOn == c.turn && c.head(e.seat) == e || class > others || class == others && e.lane() == first.lane() && e.arrival < first.arrival
}

// heldBy reports whether all attempts in flight of some kind are stuck.
func (c *Core) heldBy(stuck map[*Entry]bool, mine func(*Entry) bool) bool {
	for f := c.flying.first; f != nil; f = f.next {
		if mine(f) && !stuck[f] {
			return false
		}
	}
	return true
}
