package dispatcher

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/scheduler"
)

// SharedLimit is a limit that several dispatchers of a process take from: see Config.Shared. Make one with [NewSharedLimit];
// its methods may be called from any goroutine. Those of a nil or zero SharedLimit return [ErrNilSharedLimit], or zero values.
//
// Dispatchers take what they need in no particular order, but none starves: whoever has waited longest for something, for a
// large cost perhaps, is not made to wait longer by others.
type SharedLimit struct {
	number uint64    // immutable; the order in which locks are taken
	start  time.Time // immutable; zero of the bucket's clock

	mu    sync.Mutex
	state *scheduler.Shared               // guarded by mu, and so is what the users' cores do with it
	users map[*scheduler.Core]*Dispatcher // guarded by mu
}

// sharedLimits counts shared limits, and sharedTickets the jobs of any dispatcher that came to wait for one.
var sharedLimits, sharedTickets atomic.Uint64

// NewSharedLimit returns a limit that may stand in the Config.Shared of any number of dispatchers. The error is that of
// Limit.Validate; a limit that is shared cannot be per key.
func NewSharedLimit(limit policy.Limit) (*SharedLimit, error) {
	if err := limit.Validate(); err != nil {
		return nil, err
	}
	if limit.PerKey {
		return nil, &policy.FieldError{
			Field: fmt.Sprintf("Limit(%q).PerKey", limit.Name), Value: true, Allowed: "false, because keys are a dispatcher's own and the limit is shared by several",
		}
	}
	return &SharedLimit{
		number: sharedLimits.Add(1), start: time.Now(),
		state: scheduler.NewShared(limit), users: make(map[*scheduler.Core]*Dispatcher),
	}, nil
}

// made reports whether s comes from NewSharedLimit.
func (s *SharedLimit) made() bool { return s != nil && s.state != nil }

// Limit returns the limit as it is now.
func (s *SharedLimit) Limit() policy.Limit {
	if !s.made() {
		return policy.Limit{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.Rule()
}

// Level returns what the bucket holds now, in tokens; negative while it is in debt.
func (s *SharedLimit) Level() float64 {
	if !s.made() {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.Level(s.clock()).Tokens()
}

// SetRate is [Dispatcher.SetRate] for all who use the limit.
func (s *SharedLimit) SetRate(rate policy.Rate) error {
	return s.change(func(l *policy.Limit) { *l = l.WithRate(rate) }, func() { s.state.SetRate(s.clock(), rate) })
}

// SetBurst is [Dispatcher.SetBurst] for all who use the limit.
func (s *SharedLimit) SetBurst(burst float64) error {
	return s.change(func(l *policy.Limit) { *l = l.WithBurst(burst) }, func() { s.state.SetBurst(s.clock(), burst) })
}

// Observe takes the server's word for how much is left of the limit, in tokens. It can only lower the level.
func (s *SharedLimit) Observe(remaining float64) error {
	if !s.made() {
		return ErrNilSharedLimit
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	amount, err := policy.AmountOf(fmt.Sprintf("remaining of limit %q", s.state.Rule().Name), remaining)
	if err != nil {
		return err
	}
	s.state.Observe(s.clock(), amount)
	return nil
}

// change makes a change if the limit makes sense with it, and lets those who wait for it look again.
func (s *SharedLimit) change(try func(*policy.Limit), do func()) error {
	if !s.made() {
		return ErrNilSharedLimit
	}
	s.mu.Lock()
	changed := s.state.Rule()
	try(&changed)
	if err := changed.Validate(); err != nil {
		s.mu.Unlock()
		return err
	}
	do()
	s.state.Woken() // all users are told
	users := make([]*Dispatcher, 0, len(s.users))
	for _, d := range s.users {
		users = append(users, d)
	}
	s.mu.Unlock()
	for _, d := range users {
		d.revise(s)
	}
	return nil
}

// clock reads the limit's clock. mu is held, so that it never seems to run backwards.
func (s *SharedLimit) clock() policy.Time { return policy.Time(time.Since(s.start)) }

// sharing is the shared limits of one dispatcher.
type sharing struct {
	limits  []*SharedLimit // immutable; in the order of Config.Shared
	locking []*SharedLimit // immutable; in the order of their numbers: no two dispatchers lock them in different orders
	woken   []*Dispatcher  // loop only; those that have to look again after this turn
}

func newSharing(limits []*SharedLimit) sharing {
	locking := slices.Clone(limits)
	slices.SortFunc(locking, func(a, b *SharedLimit) int { return cmp.Compare(a.number, b.number) })
	return sharing{limits: slices.Clone(limits), locking: locking}
}

// uses returns what a core whose clock starts at the given moment needs to know.
func (g *sharing) uses(start time.Time) []scheduler.SharedUse {
	var uses []scheduler.SharedUse
	for _, s := range g.limits {
		uses = append(uses, scheduler.SharedUse{Limit: s.state, Ahead: start.Sub(s.start) - 1}) // a dispatcher's clock starts at 1
	}
	return uses
}

// lock keeps the other dispatchers away from the shared limits. The clock is read afterwards, or the time of a bucket could
// seem to run backwards. Loop only.
func (g *sharing) lock() {
	for _, s := range g.locking {
		s.mu.Lock()
	}
}

// unlock lets the others in, and notes which of them have to look again.
func (g *sharing) unlock() {
	for _, s := range g.locking {
		for _, core := range s.state.Woken() {
			if d := s.users[core]; d != nil {
				g.woken = append(g.woken, d)
			}
		}
		s.mu.Unlock()
	}
}

// wake has the others look again. d itself has just done so.
func (g *sharing) wake(d *Dispatcher) {
	for _, other := range g.woken {
		if other != d {
			other.poke()
		}
	}
	clear(g.woken)
	g.woken = g.woken[:0]
}

// join and leave say who is to be woken.
func (g *sharing) join(d *Dispatcher) {
	for _, s := range g.limits {
		s.mu.Lock()
		s.users[d.loop.core] = d
		s.mu.Unlock()
	}
}

func (g *sharing) leave(d *Dispatcher) {
	for _, s := range g.limits {
		s.mu.Lock()
		delete(s.users, d.loop.core)
		s.mu.Unlock()
	}
}

// rules returns the limits as they are now.
func (g *sharing) rules() []policy.Limit {
	var rules []policy.Limit
	for _, s := range g.limits {
		rules = append(rules, s.Limit())
	}
	return rules
}

// revise tells those who submit and those who wait that a shared limit has changed.
func (d *Dispatcher) revise(s *SharedLimit) {
	d.adjusting.Lock()
	defer d.adjusting.Unlock()
	i := len(d.cfg.Limits) + slices.Index(d.sharing.limits, s)
	limits := slices.Clone(*d.limits.Load())
	limits[i] = s.Limit()
	d.limits.Store(&limits)
	d.ask(func() { d.loop.core.Step(scheduler.Event{Kind: scheduler.Revise, At: d.loop.now, Limit: i}) })
}
