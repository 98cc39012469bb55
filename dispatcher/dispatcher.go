package dispatcher

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/scheduler"
)

// Dispatcher runs jobs under limits, retries and circuit breakers. Make one with [New], hand jobs in with [Submit] and
// its kin, and end it with [Dispatcher.Close] or [Dispatcher.Stop]. All methods may be called from any goroutine. Those of a nil or
// zero Dispatcher return [ErrNilDispatcher], or do nothing if they have no error.
type Dispatcher struct {
	name         string                         // immutable after New
	cfg          Config                         // immutable after New
	costRequired bool                           // immutable after New; some limit demands a named cost
	limits       atomic.Pointer[[]policy.Limit] // as they are now, shared ones last: SetRate and SetBurst replace the whole
	start        time.Time                      // immutable after New; zero of the clock
	ended        chan struct{}                  // closed when the loop has ended
	adjusting    sync.Mutex                     // held while limits change
	place        job.Place                      // immutable after New; tells the contexts of its attempts from others
	room         room
	exchange     exchange
	watches      watches
	callers      callers
	keys         keySet
	sharing      sharing
	feed         feed
	loop         loop // loop only
}

// New starts a dispatcher. The zero Config works. It returns every fault of cfg at once, each a [*policy.FieldError]; or
// an error that matches [ErrNameTaken].
//
// A dispatcher owns a goroutine, and those of its workers, until [Dispatcher.Close] or [Dispatcher.Stop]; idle workers end a moment
// after these have returned. Close it: what it has accepted is lost with the process otherwise.
func New(cfg Config) (*Dispatcher, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	cfg.Limits, cfg.Groups = slices.Clone(cfg.Limits), slices.Clone(cfg.Groups)
	d := &Dispatcher{
		name:     cfg.Name,
		cfg:      cfg,
		start:    time.Now(),
		ended:    make(chan struct{}),
		exchange: exchange{bell: make(chan struct{}, 1)},
		watches:  watches{by: make(map[<-chan struct{}]*watch)},
		callers:  callers{bells: make(map[*header]chan struct{})},
		keys:     newKeySet(cfg),
		feed:     feed{listener: cfg.OnEvent, most: cfg.EventBuffer, bell: make(chan struct{}, 1)},
		loop:     loop{causes: make(map[string]error), armed: policy.Never},
	}
	d.room.free.Store(int64(cfg.Queue))
	d.setUpLimits()
	crew, err := newCrew(d.trim)
	if err != nil {
		return nil, err
	}
	d.exchange.crew = crew
	d.loop.timer = time.NewTimer(time.Hour)
	d.loop.timer.Stop()
	if err := register(d); err != nil { // from now on others find it
		d.release()
		return nil, err
	}
	d.sharing.join(d) // not before it is sure to run: who changes a shared limit waits until all users know
	if cfg.OnEvent != nil {
		go d.feed.run()
	}
	go d.run()
	for _, shared := range d.sharing.limits {
		d.revise(shared) // it may have been changed, or had tokens for d, before d was among its users
	}
	return d, nil
}

// setUpLimits makes the core.
func (d *Dispatcher) setUpLimits() {
	d.sharing = newSharing(d.cfg.Shared)
	limits := slices.Concat(d.cfg.Limits, d.sharing.rules())
	for _, limit := range limits {
		d.costRequired = d.costRequired || limit.CostRequired
	}
	d.limits.Store(&limits)
	core := d.cfg.core()
	core.Shared = d.sharing.uses(d.start)
	core.Ticket = func() uint64 { return sharedTickets.Add(1) }
	d.sharing.lock() // others may use them already
	d.loop.core = scheduler.New(core)
	d.sharing.unlock()
}

// Name returns the dispatcher's name, which is generated if Config had none.
func (d *Dispatcher) Name() string {
	if d == nil {
		return ""
	}
	return d.name
}

// made reports whether d comes from New. A nil or zero Dispatcher has no loop that could answer.
func (d *Dispatcher) made() bool { return d != nil && d.ended != nil }

// clock reads the monotonic clock. It starts at 1, so that an instant of zero can mean that there is none.
func (d *Dispatcher) clock() policy.Time { return 1 + policy.Time(time.Since(d.start)) }

// at converts a moment to an instant of the clock, the first one if that was earlier.
func (d *Dispatcher) at(moment time.Time) policy.Time {
	return max(1, d.clock().Add(time.Until(moment)))
}
