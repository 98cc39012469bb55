package job

import "context"

// ID is the number of a job within its dispatcher: 1 for the first, counting up.
type ID uint64

// Func is what a job does. It may be called more than once, one call at a time; each call is an attempt, with a context
// of its own. The context ends when the job is canceled, its deadline comes or the attempt's time is up; a function that
// ignores it keeps its worker until it returns.
type Func[T any] func(ctx context.Context) (T, error)

// Attempt says which run of which job a context belongs to.
type Attempt struct {
	ID         ID
	N          int    // 1 for the first run of the job, counting up
	Key        string // empty when the job named none
	Dispatcher string // name of the dispatcher

	settler Settler // nil outside a dispatcher
}

// Settler takes the corrections of what an attempt costs. Dispatchers implement it.
type Settler interface {
	// SettleAttempt says what attempt n really costs of a limit, in tokens.
	SettleAttempt(n int, limit string, actual float64) error
}

// Settle says what this attempt really costs of a limit, in tokens: what it was charged at the start was an estimate. The
// difference is charged or refunded at once, possibly into debt. It is for limits that are declared as settled
// (policy.Limit.Settled), must be called before the function returns, and counts once for each limit; later calls change
// nothing. The error says that there is no such limit, that it is not settled, or that actual is negative or not a number.
//
// In a test of a function, outside a dispatcher, it does nothing.
func (a Attempt) Settle(limit string, actual float64) error {
	if a.settler == nil {
		return nil
	}
	return a.settler.SettleAttempt(a.N, limit, actual)
}

// Settler returns who takes the corrections; nil outside a dispatcher.
func (a Attempt) Settler() Settler { return a.settler }

// WithSettler returns a with somebody who takes its corrections.
func (a Attempt) WithSettler(settler Settler) Attempt {
	a.settler = settler
	return a
}

// AttemptFrom returns the attempt to which ctx belongs. Inside a [Func], and in what it calls with its context, ok is
// true.
func AttemptFrom(ctx context.Context) (_ Attempt, ok bool) {
	c, ok := ctx.Value(attemptKey{}).(Carrier)
	if !ok {
		return Attempt{}, false
	}
	return c.Attempt(), true
}

// WithAttempt returns a context that belongs to a. Tests of a [Func] may call it. Only by [Inside] is it within the dispatcher that a
// names: no dispatcher takes it for one of its own.
func WithAttempt(ctx context.Context, a Attempt) context.Context {
	return &attemptContext{Context: ctx, attempt: a, place: PlaceOf(a.Dispatcher)}
}

// Carrier is a context that belongs to an attempt. Dispatchers implement it, so that the context of an attempt need not be more
// than the job itself: its Value returns the carrier for every key that [Place.Asked] reports.
type Carrier interface {
	context.Context
	// Attempt returns the attempt.
	Attempt() Attempt
}

// Place is a dispatcher as the contexts of its attempts know it.
type Place struct {
	name insideKey
	own  any // the key by which it tells its attempts from those of others of its name
}

// PlaceOf returns that of whichever dispatcher of this name.
func PlaceOf(dispatcher string) Place { return Place{insideKey(dispatcher), insideKey(dispatcher)} }

// NewPlace returns that of a new dispatcher. Attempts of one of the same name that was there before are not within it: they may outlive
// theirs.
func NewPlace(dispatcher string) Place {
	name := insideKey(dispatcher)
	return Place{name, &name}
}

// Asked reports whether a key of a context asks for the attempt of this dispatcher that the context belongs to.
func (p Place) Asked(key any) bool {
	switch key := key.(type) {
	case attemptKey:
		return true
	case insideKey:
		return key == p.name
	case *insideKey:
		return key == p.own
	default:
		return false
	}
}

// Inside reports whether ctx belongs, directly or through jobs of other dispatchers, to an attempt of this dispatcher.
func (p Place) Inside(ctx context.Context) bool { return ctx.Value(p.own) != nil }

// Inside reports whether ctx belongs, directly or through jobs of other dispatchers, to an attempt of the dispatcher of
// this name.
func Inside(ctx context.Context, dispatcher string) bool { return PlaceOf(dispatcher).Inside(ctx) }

type (
	attemptKey struct{}
	insideKey  string
)

// attemptContext is the context of an attempt outside a dispatcher.
type attemptContext struct {
	context.Context
	attempt Attempt
	place   Place
}

func (c *attemptContext) Attempt() Attempt { return c.attempt }

func (c *attemptContext) Value(key any) any {
	if c.place.Asked(key) {
		return c
	}
	return c.Context.Value(key)
}
