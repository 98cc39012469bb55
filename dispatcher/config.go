package dispatcher

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/scheduler"
)

// Defaults of the fields of a [Config].
const (
	DefaultWorkers  = 64     // attempts in flight at once
	DefaultQueue    = 65_536 // jobs accepted and not settled
	DefaultMaxKeys  = 100_000
	DefaultAgeAfter = time.Minute
)

// NeverAge as Config.AgeAfter leaves every job in the class it was given.
const NeverAge time.Duration = -1

// maxLimits is how many limits a dispatcher may have, the shared ones included, and how many groups.
const maxLimits = 64

// Group is a bound on the attempts in flight at once of the jobs that belong to it. It has two fields: a Name, by which [WithGroup]
// and Spec.Groups refer to it, and the number of Workers, at least 1.
type Group = scheduler.Group

// Config is what a [Dispatcher] is made from. The zero Config works: 64 workers, room for 65,536 jobs, no timeout, no
// limits, no retries, no breaker.
type Config struct {
	// Name is how the dispatcher is found by [Lookup] and named in errors; unique among those not closed. Defaults to a
	// generated one.
	Name string
	// Workers is how many attempts may be in flight at once. Defaults to 64.
	Workers int
	// Queue is how many jobs may be accepted and not settled, whether queued, waiting or running; beyond that Submit
	// waits. Defaults to 65,536.
	Queue int
	// MaxKeys is how many keys may be in use: those with jobs, and those whose circuit, cooldown or limits are not as new.
	// Beyond that Submit refuses a job with a new key. Defaults to 100,000.
	MaxKeys int
	// AgeAfter is how long a job waits before it rises a class of priority, up to the highest that anybody has asked for.
	// Defaults to a minute; [NeverAge] turns it off.
	AgeAfter time.Duration
	// Timeout is how long one attempt may take before its context ends; a function that ignores it keeps its worker.
	// Defaults to no bound.
	Timeout time.Duration
	// KeyWorkers is how many attempts of one key may be in flight at once. Defaults to no bound but Workers.
	KeyWorkers int
	// Groups bound how many attempts may be in flight at once of the jobs that belong to them, whatever their key; see
	// [WithGroup]. Defaults to none.
	Groups []Group
	// Keys says what a key has of its own. It is called on the goroutine that submits, when a key comes into use, and again
	// when it does so after it has been forgotten; it may be called more than once. Defaults to nothing.
	Keys func(key string) KeyConfig
	// Limits bound what is started: an attempt needs room in all of them. A limit is for all keys together, or for each by itself
	// if it is PerKey. Defaults to none.
	Limits []policy.Limit
	// Shared are limits that other dispatchers take from, too. (That keys share a limit is what Limits do.) Defaults to none.
	Shared []*SharedLimit
	// Retry says whether and when failed attempts are repeated. Defaults to never.
	Retry policy.Retry
	// Budget bounds the retries of each key to a share of its recent attempts. Defaults to no bound.
	Budget policy.Budget
	// Breaker stops sending to a key that keeps failing. Defaults to off.
	Breaker policy.Breaker
	// OnEvent is told what happens, in order, on a goroutine of its own; it may call anything, this dispatcher included. When it
	// is slower than what happens, events are dropped, see EventBuffer: counts and records must not be made of them; progress is
	// what job.Completed or Map yields. After Close has returned it may still be told the last ones, see [Dispatcher.FlushEvents].
	// Defaults to nobody.
	OnEvent func(Event)
	// EventBuffer is how many events may wait for OnEvent; the rest is dropped and counted (EventsDropped). Defaults to 4,096.
	EventBuffer int
	// Seed makes the choices of jitter repeatable. Defaults to a random one.
	Seed uint64
}

// withDefaults returns c with every field set that has a default, save for the name.
func (c Config) withDefaults() Config {
	c.Workers = cmp.Or(c.Workers, DefaultWorkers)
	c.Queue = cmp.Or(c.Queue, DefaultQueue)
	c.AgeAfter = cmp.Or(c.AgeAfter, DefaultAgeAfter)
	c.MaxKeys = cmp.Or(c.MaxKeys, DefaultMaxKeys)
	c.EventBuffer = cmp.Or(c.EventBuffer, DefaultEventBuffer)
	if c.Seed == 0 {
		c.Seed = rand.Uint64()
	}
	return c
}

// validate returns nil, or every fault of c, joined.
func (c Config) validate() error {
	var faults []error
	fault := func(bad bool, field string, value any, allowed string) {
		if bad {
			faults = append(faults, &policy.FieldError{Field: "Config." + field, Value: value, Allowed: allowed})
		}
	}
	fault(c.Workers < 0, "Workers", c.Workers, "positive, or 0 for the default")
	fault(c.Queue < 0, "Queue", c.Queue, "positive, or 0 for the default")
	fault(c.MaxKeys < 0, "MaxKeys", c.MaxKeys, "positive, or 0 for the default")
	fault(c.AgeAfter < NeverAge, "AgeAfter", c.AgeAfter, "positive, 0 for the default, or NeverAge")
	fault(c.Timeout < 0, "Timeout", c.Timeout, "positive, or 0 for no bound")
	fault(c.KeyWorkers < 0, "KeyWorkers", c.KeyWorkers, "positive, or 0 for no bound")
	fault(c.EventBuffer < 0, "EventBuffer", c.EventBuffer, "positive, or 0 for the default")
	for _, limit := range c.Limits {
		faults = append(faults, limit.Validate())
	}
	faults = append(faults, c.validateNames(), c.Retry.Validate(), c.Budget.Validate(), c.Breaker.Validate())
	return errors.Join(faults...)
}

// validateNames returns what is wrong with the names of limits and groups, and with their number.
func (c Config) validateNames() error {
	var faults []error
	fault := func(bad bool, field string, value any, allowed string) {
		if bad {
			faults = append(faults, &policy.FieldError{Field: "Config." + field, Value: value, Allowed: allowed})
		}
	}
	number := len(c.Limits) + len(c.Shared)
	fault(number > maxLimits, "Limits", number, "at most 64 of them, the shared ones included")
	names := make(map[string]bool)
	for _, limit := range c.Limits {
		fault(names[limit.Name], "Limits", fmt.Sprintf("%q twice", limit.Name), "limits of different names")
		names[limit.Name] = true
	}
	for _, shared := range c.Shared {
		if !shared.made() {
			fault(true, "Shared", "nil or zero", "limits made by NewSharedLimit")
			continue
		}
		name := shared.Limit().Name
		fault(names[name], "Shared", fmt.Sprintf("%q twice", name), "limits of different names, among Limits and Shared")
		names[name] = true
	}
	fault(len(c.Groups) > maxLimits, "Groups", len(c.Groups), "at most 64 of them")
	groups := make(map[string]bool)
	for _, group := range c.Groups {
		fault(group.Name == "", "Groups", `""`, "groups that have names")
		fault(groups[group.Name], "Groups", fmt.Sprintf("%q twice", group.Name), "groups of different names")
		fault(group.Workers < 1, fmt.Sprintf("Groups(%q).Workers", group.Name), group.Workers, "at least 1")
		groups[group.Name] = true
	}
	return errors.Join(faults...)
}

// core is the configuration of the dispatcher's core, without its shared limits.
func (c Config) core() scheduler.Config {
	return scheduler.Config{
		Workers: c.Workers, KeyWorkers: c.KeyWorkers, Groups: c.Groups, Limits: c.Limits, Retry: c.Retry, Budget: c.Budget, Breaker: c.Breaker,
		Seed: c.Seed, AgeAfter: c.AgeAfter,
	}
}
