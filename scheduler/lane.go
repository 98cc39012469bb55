package scheduler

import "github.com/toller-go/toller/policy"

// lane is the state of one key: what waits for it and the gates that are its own.
type lane struct {
	key     string
	ready   readyJobs
	circuit policy.Circuit
	cool    policy.Cooldown
	own     []policy.Bucket // one for each of the core's per-key limits

	inFlight int // attempts running, detached ones included
	parked   int // jobs waiting for an instant

	inRing     bool
	next, prev *lane       // in the ring
	class      int         // of the ring it stands in
	deficit    int64       // what it may still start before it is another lane's turn, see Core.fits
	served     bool        // this turn's quantum has been added to the deficit
	gate       policy.Time // not in the ring: when its own gates are to be looked at again
	wakePos    int32       // index among the wake-ups; -1 when it has none
	number     uint64      // order of creation, the tie-break among wake-ups
	retired    bool        // it has been dropped, and may become another key's
}

// deserted reports whether nothing in the core refers to the lane's work any more.
func (l *lane) deserted() bool { return l.ready.len == 0 && l.parked == 0 && l.inFlight == 0 }

// freshAt returns from when on the lane cannot be told from a new one (S-A9) if nothing is asked of it; now if it can't be
// already, [policy.Never] if that depends on the outcome of an attempt to come.
func (l *lane) freshAt(now policy.Time) policy.Time {
	l.cool.Advance(now)
	at := max(now, l.cool.IdleAt(), l.circuit.FreshAt(now))
	for i := range l.own {
		l.own[i].Advance(now)
		at = max(at, l.own[i].FullAt())
	}
	return at
}
