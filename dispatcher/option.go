package dispatcher

import (
	"math"
	"time"

	"github.com/toller-go/toller/policy"
)

// Option says something about one submission. Make one with [InOrder], or with the functions whose names begin with
// With.
type Option struct {
	kind     optionKind
	whenOpen policy.WhenOpen
	text     string
	tokens   float64
	count    int
	wait     time.Duration
	at       time.Time
	retry    *policy.Retry
}

type optionKind uint8

const (
	optionNone optionKind = iota // the zero Option says nothing
	optionKey
	optionCost
	optionDeadline
	optionDelay
	optionTimeout
	optionRetry
	optionWhenOpen
	optionWindow
	optionPriority
	optionGroup
	optionInOrder
)

// WithKey names whose fate the job shares: a host, a model, an account. Jobs of one key share a circuit, a cooldown and
// the limits that are per key, within one dispatcher: another one that uses the same account knows nothing of that, see
// [NewSharedLimit]. Without it, the key is empty.
func WithKey(key string) Option { return Option{kind: optionKey, text: key} }

// WithCost says what each attempt costs of the limit of that name, in tokens; fractions are allowed, and kept to a
// millionth. Without it, the cost is the limit's DefaultCost.
func WithCost(limit string, tokens float64) Option {
	return Option{kind: optionCost, text: limit, tokens: tokens}
}

// WithPriority says how urgent the job is, from -4 to 4: of the jobs that could start, those of the highest class go first.
// A job that waits rises one class for each Config.AgeAfter. Without it, the priority is 0.
func WithPriority(priority int) Option {
	return Option{kind: optionPriority, count: priority}
}

// WithDeadline ends the job at the given moment if it is not over. The deadline of Submit's context does the same; the
// earlier of the two counts.
func WithDeadline(at time.Time) Option { return Option{kind: optionDeadline, at: at} }

// WithDelay keeps the first attempt back for this long.
func WithDelay(wait time.Duration) Option { return Option{kind: optionDelay, wait: wait} }

// WithTimeout is Config.Timeout for this job: how long each of its attempts may take; all of the job is bounded by [WithDeadline], or by
// the context given to Submit. Zero means no bound.
func WithTimeout(each time.Duration) Option { return Option{kind: optionTimeout, wait: each} }

// WithRetry is Config.Retry for this job. The zero Retry turns retries off.
func WithRetry(retry policy.Retry) Option { return Option{kind: optionRetry, retry: &retry} }

// WithWhenOpen says whether the job fails or waits while its circuit is open, whatever Config.Breaker.WhenOpen says.
func WithWhenOpen(choice policy.WhenOpen) Option {
	return Option{kind: optionWhenOpen, whenOpen: choice}
}

// WithGroup puts the job into one of Config.Groups: it starts when that has a worker for it, besides all else. It may be given
// several times, for several groups.
func WithGroup(name string) Option { return Option{kind: optionGroup, text: name} }

// WithWindow says how many elements a [Map] or a [Then] may have read and not yielded, at least 1. Elsewhere it has no effect.
func WithWindow(elements int) Option { return Option{kind: optionWindow, count: elements} }

// InOrder has a [Map] or a [Then] yield its results in the order of its source. One that takes long holds back those behind it,
// which count as not yielded. Elsewhere it has no effect.
func InOrder() Option { return Option{kind: optionInOrder} }

// windowOf returns the window that the options ask for, or twice the workers, who may be as good as unbounded.
func windowOf(d *Dispatcher, options []Option) int {
	window := 2 * min(d.cfg.Workers, math.MaxInt/2)
	for i := range options {
		if options[i].kind == optionWindow {
			window = options[i].count
		}
	}
	return max(1, window)
}
