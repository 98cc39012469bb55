package oracle

// Sight is what happened, and in which state it found its job and its key: what coverage is counted by.
type Sight struct {
	Event  EventKind
	Ending Outcome // of Done
	Stale  bool    // Done, Unstarted, Correct: of an attempt that is not in flight
	Effect EffectKind
	Came   bool // Effect, and not Event
	Of     bool // a job: Job is its state
	Job    State
	Key    Standing // of the key; Nothing where it is about none
}

// Standing is how the circuit of a key stands.
type Standing uint8

// The standings.
const (
	Nothing  Standing = iota // nothing is kept of the key
	Shut                     // closed
	Ramping                  // closed, and recovering
	Open                     // open, until a time
	OpenTill                 // open, until a reset
	HalfWay                  // half open
	ByHand                   // a person decides
)

func (s Standing) String() string {
	return [...]string{"none", "closed", "ramp", "open", "open for good", "half-open", "by hand"}[s]
}

func (l *lane) standing() Standing {
	switch c := &l.circuit; {
	case !l.exists:
		return Nothing
	case c.mode != Automatic:
		return ByHand
	case c.state == open && c.until == Never:
		return OpenTill
	case c.state == open:
		return Open
	case c.state == halfOpen:
		return HalfWay
	case c.ramp > 0:
		return Ramping
	default:
		return Shut
	}
}

// seeEvent tells who watches of an event, before it is applied.
func (j *Judge) seeEvent(ev *Event) {
	if j.Watch == nil {
		return
	}
	s := Sight{Event: ev.Kind, Ending: ev.Outcome}
	switch ev.Kind {
	case Done, Unstarted, Correct, Cancel, Submit, Await, Unawait:
		s.Of = true
		s.Job, s.Key = j.jobs[ev.Job].state, j.lanes[j.jobs[ev.Job].Key].standing()
		s.Stale = (ev.Kind == Done || ev.Kind == Unstarted || ev.Kind == Correct) && !j.flies(ev)
	case Override, Observe:
		s.Key = j.lanes[ev.Key].standing()
	default:
	}
	j.Watch(s)
}

// seeEffect tells of an effect.
func (j *Judge) seeEffect(e *Effect) {
	if j.Watch == nil {
		return
	}
	s := Sight{Came: true, Effect: e.Kind}
	switch e.Kind {
	case Start, Settle, Signal, Parked, Deadlock:
		s.Of, s.Job, s.Key = true, j.jobs[e.Job].state, j.lanes[j.jobs[e.Job].Key].standing()
	default:
		s.Key = j.lanes[e.Key].standing()
	}
	j.Watch(s)
}
