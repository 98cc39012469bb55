package scheduler

import "github.com/toller-go/toller/policy"

// admit is the one door (S-A1): it starts whatever may start now. Every gate is looked at before anything is taken
// (S-A2), in the order own gates of the lane, worker, shared limits, and the lanes take turns.
func (c *Core) admit() {
	c.line = policy.Never
	for !c.paused && c.inFlight < c.workers {
		l := c.front()
		if l == nil {
			return
		}
		e := c.head(l)
		if !c.laneAdmits(l, e) {
			continue // the lane has left the ring; it blocks nobody else (S-A5)
		}
		if c.begin(l); l.deficit < e.size {
			c.endTurn(l)
			continue
		}
		if at := c.limits.sharedReadyAt(c.now, e); at > c.now {
			c.line = at // e holds the line, and no tokens
			return
		}
		c.start(l, e)
		c.spend(l, e.size)
	}
}

// laneAdmits looks at the gates that are the lane's own. If one is closed, the lane leaves the ring until it opens.
func (c *Core) laneAdmits(l *lane, e *Entry) bool {
	l.cool.Advance(c.now)
	if l.cool.Undrawn() {
		l.cool.Draw(c.now, l.ready.len, c.random.unit())
	}
	if at := l.cool.ReadyAt(); at > c.now {
		c.leaveRing(l, at)
		return false
	}
	if !l.circuit.Admits() {
		// No instant to wait for: a transition of the circuit, or the end of an attempt, looks at the lane again.
		c.leaveRing(l, policy.Never)
		if l.circuit.Rejects() {
			c.rejectFailFast(l)
		}
		return false
	}
	if at := c.limits.ownReadyAt(c.now, e); at > c.now {
		c.leaveRing(l, at)
		return false
	}
	return true
}

// start takes from every gate and hands the attempt to the owner.
func (c *Core) start(l *lane, e *Entry) {
	l.ready.remove(e)
	c.limits.take(e)
	e.pass = l.circuit.Start(c.now)
	e.visit = l.cool.Start(c.now)
	e.runs++
	e.corrected = 0
	e.state, e.started = Running, c.now
	c.takeOff(l, e)
	c.emit(Effect{Kind: Start, Entry: e})
	if e.pass.Probe() && l.circuit.Rejects() {
		c.rejectFailFast(l) // all probes are out
	}
}

// takeOff and land keep count of the attempts in flight.
func (c *Core) takeOff(l *lane, e *Entry) {
	c.flying.pushBack(e)
	c.inFlight++
	l.inFlight++
}

func (c *Core) land(l *lane, e *Entry) {
	c.flying.remove(e)
	c.inFlight--
	l.inFlight--
}

// touch looks at a lane's gates again in the next admission, because something that may open one has happened.
func (c *Core) touch(l *lane) {
	if l.ready.len > 0 {
		if !l.inRing {
			l.gate = policy.Never
		}
		c.place(l)
	}
	c.schedule(l)
}

// leaveRing takes l out of the ring until the instant at, or until it is touched.
func (c *Core) leaveRing(l *lane, at policy.Time) {
	c.unplace(l)
	l.gate = at
	c.schedule(l)
}

// schedule moves the lane's wake-up to the earliest instant at which something changes by itself.
func (c *Core) schedule(l *lane) {
	if l.retired {
		return
	}
	at := l.circuit.NextWake()
	if l.ready.len > 0 && !l.inRing {
		at = min(at, l.gate)
	}
	if l.ready.len > 0 {
		at = min(at, c.risesAt(l))
	}
	if l.deserted() {
		at = min(at, l.freshAt(c.now))
	}
	if l.wakePos >= 0 {
		if policy.Time(c.wakes.nodes[l.wakePos].key) == at {
			return
		}
		c.wakes.remove(l.wakePos)
	}
	if at != policy.Never {
		c.wakes.push(int64(at), l.number, l)
	}
}

// wake does what is due in l.
func (c *Core) wake(l *lane) {
	c.wakes.remove(l.wakePos)
	if l.circuit.Advance(c.now) {
		c.transition(l, nil)
	}
	c.touch(l)
	c.retire(l)
}

// transition tells of the circuit's new state and turns away those who won't wait for it. cause is the job whose attempt
// is to blame, or nil.
func (c *Core) transition(l *lane, cause *Entry) {
	kind := [...]EffectKind{policy.Closed: Closed, policy.Open: Opened, policy.HalfOpen: HalfOpened}[l.circuit.State()]
	effect := Effect{Kind: kind, Entry: cause, Key: l.key}
	if kind == Opened {
		effect.Until = l.circuit.NextWake()
	}
	c.emit(effect)
	if l.circuit.Rejects() {
		c.rejectFailFast(l)
	}
	c.touch(l)
}

// rejectFailFast settles the jobs of l that are ready and won't wait for its circuit (S-B7).
func (c *Core) rejectFailFast(l *lane) {
	if l.ready.failFast == 0 {
		return
	}
	for _, e := range l.ready.all() {
		if e.FailFast {
			c.drop(e, CircuitOpen)
		}
	}
}

// override hands the circuit of a key to a person, or back to its rule (S-B11).
func (c *Core) override(key string, mode policy.Mode) {
	l := c.laneOf(key)
	if l.circuit.Set(mode) {
		c.transition(l, nil)
	}
	c.touch(l)
	c.retire(l)
}
