package dispatcher

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/scheduler"
)

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
	said     bool // whenOpen is that of an option, and not of Config.Breaker
}

// asks reports whether s says anything that few jobs do.
func (s *spec) asks(d *Dispatcher) bool {
	return s.costs != nil || s.groups != 0 || s.retry != nil || s.delay > 0 || s.timeout != d.cfg.Timeout
}

// apply reads the options over the dispatcher's settings. The error names the option, the value and what is allowed.
func (d *Dispatcher) apply(options []Option) (spec, error) {
	s := spec{timeout: d.cfg.Timeout, whenOpen: d.cfg.Breaker.WhenOpen}
	for i := range options {
		if err := s.set(d, &options[i]); err != nil {
			return s, err
		}
	}
	if s.costs != nil || d.costRequired {
		return s, s.checkCosts(d, options)
	}
	return s, nil
}

func (s *spec) set(d *Dispatcher, o *Option) error {
	switch o.kind {
	case optionNone, optionInOrder:
	case optionKey:
		s.key = o.text
	case optionCost:
		return s.setCost(d, o.text, o.tokens)
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
		s.whenOpen, s.said = o.whenOpen, true
	case optionPriority:
		s.priority = o.count
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
	case o.kind == optionPriority && (o.count < scheduler.MinPriority || o.count > scheduler.MaxPriority):
		return &policy.FieldError{
			Field: "WithPriority", Value: o.count, Allowed: fmt.Sprintf("from %d to %d", scheduler.MinPriority, scheduler.MaxPriority),
		}
	case o.kind == optionWindow && o.count < 1:
		return &policy.FieldError{Field: "WithWindow", Value: o.count, Allowed: "at least 1"}
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
	if s.costs == nil {
		limits := *d.limits.Load()
		s.costs = make([]policy.Amount, len(limits))
		for j := range limits {
			s.costs[j] = limits[j].Cost()
		}
	}
	s.costs[i] = cost
	return nil
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

// checkCosts refuses a job that does not name a cost where one is required, or names one that can never be admitted.
func (s *spec) checkCosts(d *Dispatcher, options []Option) error {
	limits := *d.limits.Load()
	for i := range limits {
		if !limits[i].CostRequired || slices.ContainsFunc(options, func(o Option) bool { return o.kind == optionCost && o.text == limits[i].Name }) {
			continue
		}
		return &policy.FieldError{
			Field: fmt.Sprintf("cost of limit %q", limits[i].Name), Value: "not named",
			Allowed: fmt.Sprintf("given by WithCost(%q, …), because the limit requires it", limits[i].Name),
		}
	}
	rules, _, err := d.keys.rulesOf(s.key)
	if err != nil {
		return err
	}
	for i, cost := range s.costs {
		rule := &limits[i]
		if own := rules.LimitRule(i); own != nil {
			rule = own
		}
		if err := rule.Admits(cost); err != nil {
			return err
		}
	}
	return nil
}
