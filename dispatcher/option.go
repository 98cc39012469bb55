package dispatcher

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/scheduler"
)

// Option says something about one submission. Make one with the functions whose names begin with With.
type Option struct {
	kind     optionKind
	whenOpen policy.WhenOpen
	text     string
	number   float64
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
// the limits that are per key. Without it, the key is empty.
func WithKey(key string) Option { return Option{kind: optionKey, text: key} }

// WithCost says what each attempt costs of the limit of that name, in tokens; fractions are allowed, and kept to a
// millionth. Without it, the cost is the limit's DefaultCost.
func WithCost(limit string, tokens float64) Option {
	return Option{kind: optionCost, text: limit, number: tokens}
}

// WithPriority says how urgent the job is, from -4 to 4: of the jobs that could start, those of the highest class go first.
// A job that waits rises one class for each Config.AgeAfter. Without it, the priority is 0.
func WithPriority(priority int) Option {
	return Option{kind: optionPriority, number: float64(priority)}
}

// WithDeadline ends the job at the given moment if it is not over. The deadline of Submit's context does the same; the
// earlier of the two counts.
func WithDeadline(at time.Time) Option { return Option{kind: optionDeadline, at: at} }

// WithDelay keeps the first attempt back for this long.
func WithDelay(wait time.Duration) Option { return Option{kind: optionDelay, wait: wait} }

// WithTimeout is Config.Timeout for this job: how long each of its attempts may take. Zero means no bound.
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
func WithWindow(elements int) Option { return Option{kind: optionWindow, number: float64(elements)} }

// InOrder has a [Map] or a [Then] yield its results in the order of its source. One that takes long holds back those behind it,
// which count as not yielded. Elsewhere it has no effect.
func InOrder() Option { return Option{kind: optionInOrder} }

// windowOf returns the window that the options ask for, or twice the workers.
func windowOf(d *Dispatcher, options []Option) int {
	window := 2 * DefaultWorkers
	if d != nil {
		window = 2 * d.cfg.Workers
	}
	for i := range options {
		if options[i].kind == optionWindow {
			window = int(options[i].number)
		}
	}
	return max(1, window)
}

// spec is what the options of one submission come to.
type spec struct {
	key      string
	costs    []policy.Amount // nil: the defaults
	groups   uint64
	priority int
	deadline time.Time // zero: none
	delay    time.Duration
	timeout  time.Duration
	retry    *policy.Retry // nil: Config.Retry
	whenOpen policy.WhenOpen
}

// apply reads the options over the dispatcher's settings. The error names the option, the value and what is allowed.
func (d *Dispatcher) apply(options []Option) (spec, error) {
	s := spec{timeout: d.cfg.Timeout, whenOpen: d.cfg.Breaker.WhenOpen}
	named := 0
	for i := range options {
		if err := s.set(d, &options[i]); err != nil {
			return s, err
		}
		if options[i].kind == optionCost {
			named++
		}
	}
	if named > 0 || d.costRequired {
		if err := s.checkCosts(d, options); err != nil {
			return s, err
		}
	}
	return s, nil
}

func (s *spec) set(d *Dispatcher, o *Option) error {
	switch o.kind {
	case optionNone, optionInOrder:
	case optionKey:
		s.key = o.text
	case optionCost:
		return s.setCost(d, o.text, o.number)
	case optionDeadline:
		s.deadline = o.at
	case optionDelay:
		s.delay = o.wait
	case optionTimeout:
		s.timeout = o.wait
	case optionRetry:
		s.retry = o.retry
		return o.retry.Validate()
	case optionWhenOpen:
		s.whenOpen = o.whenOpen
	case optionPriority:
		s.priority = int(o.number)
	case optionGroup:
		i, err := d.groupIndex(o.text)
		if err != nil {
			return err
		}
		s.groups |= 1 << i
	case optionWindow:
	}
	return o.check()
}

// check returns what is wrong with an option by itself. What is well costs no allocation.
func (o *Option) check() error {
	switch {
	case o.kind == optionDeadline && o.at.IsZero():
		return &policy.FieldError{Field: "WithDeadline", Value: o.at, Allowed: "a moment; the zero time is none"}
	case o.kind == optionDelay && o.wait < 0:
		return &policy.FieldError{Field: "WithDelay", Value: o.wait, Allowed: "zero or positive"}
	case o.kind == optionTimeout && o.wait < 0:
		return &policy.FieldError{Field: "WithTimeout", Value: o.wait, Allowed: "positive, or 0 for no bound"}
	case o.kind == optionWhenOpen && o.whenOpen > policy.Wait:
		return &policy.FieldError{Field: "WithWhenOpen", Value: o.whenOpen, Allowed: "ByCall, FailFast or Wait"}
	case o.kind == optionPriority && !(o.number >= scheduler.MinPriority && o.number <= scheduler.MaxPriority):
		return &policy.FieldError{
			Field: "WithPriority", Value: int(o.number), Allowed: fmt.Sprintf("from %d to %d", scheduler.MinPriority, scheduler.MaxPriority),
		}
	case o.kind == optionWindow && o.number < 1:
		return &policy.FieldError{Field: "WithWindow", Value: o.number, Allowed: "at least 1"}
	default:
		return nil
	}
}

func (s *spec) setCost(d *Dispatcher, name string, tokens float64) error {
	i, err := d.limitIndex(name)
	if err != nil {
		return err
	}
	cost, err := policy.AmountOf(fmt.Sprintf("cost of limit %q", name), tokens)
	if err != nil {
		return err
	}
	limits := *d.limits.Load()
	if s.costs == nil {
		s.costs = make([]policy.Amount, len(limits))
		for j := range limits {
			s.costs[j] = limits[j].Cost()
		}
	}
	s.costs[i] = cost
	return limits[i].Admits(cost)
}

// limitIndex finds a limit by its name. The error for one that does not exist says which do.
func (d *Dispatcher) limitIndex(name string) (int, error) {
	limits := *d.limits.Load()
	names := make([]string, len(limits))
	for i := range limits {
		if limits[i].Name == name {
			return i, nil
		}
		names[i] = strconv.Quote(limits[i].Name)
	}
	return 0, unknown("limit", name, names)
}

// groupIndex is limitIndex for groups.
func (d *Dispatcher) groupIndex(name string) (int, error) {
	names := make([]string, len(d.cfg.Groups))
	for i, group := range d.cfg.Groups {
		if group.Name == name {
			return i, nil
		}
		names[i] = strconv.Quote(group.Name)
	}
	return 0, unknown("group", name, names)
}

// unknown is the error for a name that is none of those there are.
func unknown(what, name string, names []string) error {
	allowed := fmt.Sprintf("left out, because the dispatcher has no %ss", what)
	if len(names) > 0 {
		allowed = "one that exists: " + strings.Join(names, ", ")
	}
	return &policy.FieldError{Field: fmt.Sprintf("%s %q", what, name), Value: "unknown", Allowed: allowed}
}

// checkCosts refuses a job that does not name a cost where one is required.
func (s *spec) checkCosts(d *Dispatcher, options []Option) error {
	for _, limit := range *d.limits.Load() {
		if !limit.CostRequired {
			continue
		}
		found := false
		for i := range options {
			found = found || options[i].kind == optionCost && options[i].text == limit.Name
		}
		if !found {
			return &policy.FieldError{
				Field: fmt.Sprintf("cost of limit %q", limit.Name), Value: "not named",
				Allowed: fmt.Sprintf("given by WithCost(%q, …), because the limit requires it", limit.Name),
			}
		}
	}
	return nil
}
