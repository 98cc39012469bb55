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

// AttemptFrom returns the attempt to which ctx belongs. Inside a [Func], and in what it calls with its context, ok is
// true.
func AttemptFrom(ctx context.Context) (_ Attempt, ok bool) {
	c, ok := ctx.Value(attemptKey{}).(*attemptContext)
	if !ok {
		return Attempt{}, false
	}
	return c.attempt, true
}

// WithAttempt returns a context that belongs to a. Tests of a [Func] may call it.
func WithAttempt(ctx context.Context, a Attempt) context.Context { return WithSettler(ctx, a, nil) }

// WithSettler is [WithAttempt] for a dispatcher, to which the attempt's corrections go.
func WithSettler(ctx context.Context, a Attempt, settler Settler) context.Context {
	a.settler = settler
	return &attemptContext{Context: ctx, attempt: a}
}

// SettlerOf returns what the attempt of the dispatcher of this name has been given by [WithSettler], if ctx belongs to one, and
// its number.
func SettlerOf(ctx context.Context, dispatcher string) (Settler, int) {
	c, ok := ctx.Value(insideKey(dispatcher)).(*attemptContext)
	if !ok {
		return nil, 0
	}
	return c.attempt.settler, c.attempt.N
}

// Inside reports whether ctx belongs, directly or through jobs of other dispatchers, to an attempt of the dispatcher of
// this name.
func Inside(ctx context.Context, dispatcher string) bool {
	return ctx.Value(insideKey(dispatcher)) != nil
}

type (
	attemptKey struct{}
	insideKey  string
)

// attemptContext carries the attempt without an allocation beside itself.
type attemptContext struct {
	context.Context
	attempt Attempt
}

func (c *attemptContext) Value(key any) any {
	switch key := key.(type) {
	case attemptKey:
		return c
	case insideKey:
		if string(key) == c.attempt.Dispatcher {
			return c
		}
	}
	return c.Context.Value(key)
}
