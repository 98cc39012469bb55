package fakellm

import (
	"math"
	"time"
)

// Unit is what a limit counts.
type Unit uint8

// The units. Tokens are those that the answer is billed, and are taken when the request is admitted.
const (
	Requests Unit = iota
	Tokens
	InputTokens
	OutputTokens
)

// Engine is how a limit counts.
type Engine uint8

// The engines.
const (
	// TokenBucket fills evenly, Max in Per, and holds Burst.
	TokenBucket Engine = iota
	// SlidingWindow admits at most Max in any half-open window of length Per.
	SlidingWindow
	// FixedWindow admits at most Max in each span of the clock on the wall that is Per long: each minute, for instance.
	FixedWindow
)

// Limit is one limit. A request has to pass all of them, and takes from all or from none.
type Limit struct {
	Counts Unit
	Engine Engine
	Max    float64       // 1 to 1e9, in whole units
	Per    time.Duration // 1ms to 24h
	Burst  float64       // of a TokenBucket: what it holds, and starts with. Defaults to Max
	PerKey bool          // each key has a limit of its own
	Hidden bool          // headers do not tell of it
}

// level is what a limit has left, as the headers tell it.
type level struct {
	limits
	counts Unit
	max    uint64        // what is granted over per
	per    time.Duration // the span
}

// meter is a limit at work: it is told the time, which never goes back, and amounts in whole units.
type meter interface {
	tell(now time.Duration)
	// room returns how long it takes until there is room for so much; 0 is now, and negative is never.
	room(amount uint64) time.Duration
	// spend takes so much. Only after room returned 0.
	spend(amount uint64)
	limits() limits
	// speed makes the limit what it was at first, times factor.
	speed(factor float64)
}

// gate is a limit with its meters.
type gate struct {
	cfg    Limit
	epoch  time.Time // the zero of the meters' time
	factor float64
	meters map[string]meter // by key; one under "" for a limit that is not per key
}

func newGate(cfg Limit, epoch time.Time) *gate {
	return &gate{cfg: cfg, epoch: epoch, factor: 1, meters: map[string]meter{}}
}

// of returns the meter of a key.
func (g *gate) of(key string, now time.Duration) meter {
	if !g.cfg.PerKey {
		key = ""
	}
	m := g.meters[key]
	if m == nil {
		m = g.cfg.meter(g.epoch)
		m.speed(g.factor)
		g.meters[key] = m
	}
	m.tell(now)
	return m
}

// speed changes all meters as of now.
func (g *gate) speed(now time.Duration, factor float64) {
	g.factor = factor
	for _, m := range g.meters {
		m.tell(now)
		m.speed(factor)
	}
}

// level is what a meter of the gate has left.
func (g *gate) level(m meter) level {
	return level{limits: m.limits(), counts: g.cfg.Counts, max: uint64(g.cfg.Max * g.factor), per: g.cfg.Per}
}

func (l Limit) meter(epoch time.Time) meter {
	switch l.Engine {
	case SlidingWindow:
		return &sliding{base: l.Max, max: uint64(l.Max), per: l.Per}
	case FixedWindow:
		// Where in its span the zero of the time lies, by UTC.
		offset := time.Duration(epoch.UnixNano()) % l.Per
		return &fixed{base: l.Max, max: uint64(l.Max), per: l.Per, offset: offset}
	default:
		rate := l.Max / l.Per.Seconds()
		b := newBucket(rate, l.Burst)
		return &filling{bucket: b, rate: rate}
	}
}

// amount is what a request costs of the limit.
func (l Limit) amount(u usage) uint64 {
	switch l.Counts {
	case Tokens:
		return uint64(u.Prompt + u.Completion)
	case InputTokens:
		return uint64(u.Prompt)
	case OutputTokens:
		return uint64(u.Completion)
	default:
		return 1
	}
}

// filling is a bucket as a meter.
type filling struct {
	bucket
	rate float64 // at first, per second
}

func (f *filling) room(amount uint64) time.Duration {
	if amount > f.size/nano {
		return -1
	}
	return f.until(amount * nano)
}

func (f *filling) spend(amount uint64)  { f.credit -= amount * nano }
func (f *filling) speed(factor float64) { f.bucket.rate = uint64(math.Round(f.rate * factor * nano)) }

// sliding is a window that ends now.
type sliding struct {
	base  float64
	max   uint64
	per   time.Duration
	now   time.Duration
	taken []taking // in order
	sum   uint64
}

type taking struct {
	at     time.Duration
	amount uint64
}

func (s *sliding) tell(now time.Duration) {
	s.now = max(s.now, now)
	gone := 0
	for gone < len(s.taken) && s.now-s.taken[gone].at >= s.per {
		s.sum -= s.taken[gone].amount
		gone++
	}
	s.taken = s.taken[gone:]
}

func (s *sliding) room(amount uint64) time.Duration {
	if amount > s.max {
		return -1
	}
	wait, sum := time.Duration(0), s.sum
	for i := 0; sum+amount > s.max; i++ {
		sum -= s.taken[i].amount
		wait = s.taken[i].at + s.per - s.now
	}
	return wait
}

func (s *sliding) spend(amount uint64) {
	s.taken = append(s.taken, taking{s.now, amount})
	s.sum += amount
}

func (s *sliding) limits() limits {
	l := limits{known: true, limit: s.max, remaining: s.max - min(s.max, s.sum)}
	if n := len(s.taken); n > 0 {
		l.reset = s.taken[n-1].at + s.per - s.now
	}
	return l
}

func (s *sliding) speed(factor float64) { s.max = scaled(s.base, factor) }

// fixed is a window of the clock on the wall.
type fixed struct {
	base   float64
	max    uint64
	per    time.Duration
	offset time.Duration // of the zero of the time in its window
	now    time.Duration
	window int64 // the number of the current one
	used   uint64
}

func (f *fixed) tell(now time.Duration) {
	f.now = max(f.now, now)
	if window := int64((f.now + f.offset) / f.per); window != f.window {
		f.window, f.used = window, 0
	}
}

// left is the time until the next window begins.
func (f *fixed) left() time.Duration { return f.per - (f.now+f.offset)%f.per }

func (f *fixed) room(amount uint64) time.Duration {
	switch {
	case amount > f.max:
		return -1
	case f.used+amount <= f.max:
		return 0
	}
	return f.left()
}

func (f *fixed) spend(amount uint64) { f.used += amount }

func (f *fixed) limits() limits {
	return limits{known: true, limit: f.max, remaining: f.max - min(f.max, f.used), reset: f.left()}
}

func (f *fixed) speed(factor float64) { f.max = scaled(f.base, factor) }

// scaled is a number of whole units, at least one.
func scaled(base, factor float64) uint64 { return max(1, uint64(math.Round(base*factor))) }
