package fakellm

import (
	"errors"
	"math"
	"time"
)

const (
	minRate = 1e-9 // requests per second; the bucket counts in billionths
	maxRate = 1e9  // requests per second; keeps a bucket's content inside int64

	defaultRetryAfter  = time.Second
	defaultSlowLatency = 2 * time.Second
	defaultMaxBody     = 4 << 20
	defaultPerPrompt   = 2
	defaultStall       = 30 * time.Second

	maxWait = 24 * time.Hour // of one answer; keeps sums of waits far from overflow
)

// Config says how hostile the API is. The zero Config is a friendly one: no limits, no failures, no latency, no key.
type Config struct {
	// Rate is how many requests per second the token bucket admits in the long run, exact to a billionth.
	// 0 is unlimited; otherwise 1e-9 to 1e9. One bucket serves all keys.
	Rate float64
	// Burst is the bucket's capacity in requests; the bucket starts full. Defaults to max(1, Rate); otherwise 1 to
	// 1e9. It has no effect when Rate is 0.
	Burst float64

	// Fail is the fraction of admitted requests, in [0, 1), that fail with 500, 503 or a connection reset, before
	// anything is billed. No prompt fails more than three times, is reset more than twice, and no five admitted
	// requests fail in a row: above about 0.3 these caps begin to hold the fraction down.
	Fail float64
	// Throttle is the fraction, in [0, 1), of requests refused with 429 although the bucket has room. They take
	// nothing from the bucket.
	Throttle float64
	// RetryAfter is the wait that such an arbitrary 429 asks for, at most 24h. Defaults to one second. A 429 of the
	// bucket says the true wait instead.
	RetryAfter time.Duration

	// Latency is how long an admitted request takes, drawn evenly from the range. The zero Range is no latency.
	Latency Range
	// Slow is the fraction of admitted requests, in [0, 1), that take SlowLatency more.
	Slow float64
	// SlowLatency is added to a slow one, at most 24h. Defaults to two seconds.
	SlowLatency time.Duration

	// OutageAt is when the outage begins, measured from the arrival of the first request. 0 is at once.
	OutageAt time.Duration
	// OutageFor is how long it lasts: every request that is judged in [OutageAt, OutageAt+OutageFor) gets 503 at
	// once; those being answered already are not touched. 0 is no outage.
	OutageFor time.Duration

	// Dialect is how limits and errors are told. Defaults to that of the endpoint.
	Dialect Dialect
	// Limits are further limits, of requests or of tokens.
	Limits []Limit
	// Concurrent is how many requests may be admitted and not answered yet; one more gets 429. 0 is no bound.
	Concurrent int
	// Faults is a schedule of transient faults, beside Fail, whose promises do not hold with it.
	Faults Faults
	// Rules make requests fail by their model or by what their prompt contains. The first that fits counts.
	Rules []Rule
	// Phases change things as time goes by. They are in the order of their At.
	Phases []Phase
	// Stall is how long a stalled answer trickles, a byte every tenth of it, before it breaks off; 1ms to 24h. Defaults to
	// 30 seconds.
	Stall time.Duration
	// WordDelay is the time between two events of a stream, at most 24h. Defaults to none.
	WordDelay time.Duration

	// Keys are the accepted keys, as a bearer token or in the header x-api-key or api-key. Empty accepts every request, with
	// or without a key.
	Keys []string
	// Accounts is how many answers a key pays for, by key. When nothing is left, its requests meet NoQuota, until TopUp. An
	// answer is paid for when its request is admitted, and only if it is billed. A key that is not named pays for everything.
	Accounts map[string]int
	// Seed selects the schedule of failures, throttles and latencies. Every value is as good as any other.
	Seed uint64
	// MaxBody bounds a request's body in bytes; a longer one gets 413. Defaults to 4 MiB.
	MaxBody int64
}

// Range is a closed range of durations.
type Range struct {
	Min time.Duration // inclusive, 0 to 24h
	Max time.Duration // inclusive, Min to 24h; 0 stands for Min
}

// Validate returns nil, or all faults joined, each a *FieldError. It changes nothing.
func (c Config) Validate() error {
	var faults []error
	check := func(ok bool, field string, value any, allowed string) {
		if !ok {
			faults = append(faults, &FieldError{Field: field, Value: value, Allowed: allowed})
		}
	}
	// Written so that NaN fails: it compares false with everything.
	within := func(v, lo, hi float64) bool { return v >= lo && v <= hi }
	wait := func(d time.Duration) bool { return d >= 0 && d <= maxWait }
	fraction := func(v float64) bool { return v >= 0 && v < 1 }

	check(c.Rate == 0 || within(c.Rate, minRate, maxRate), "Rate", c.Rate, "0 (unlimited), or 1e-9 to 1e9 requests per second")
	check(c.Burst == 0 || within(c.Burst, 1, maxRate), "Burst", c.Burst, "0 (one second of the rate, at least 1), or 1 to 1e9 requests")
	check(fraction(c.Fail), "Fail", c.Fail, "a fraction from 0 to below 1")
	check(fraction(c.Throttle), "Throttle", c.Throttle, "a fraction from 0 to below 1")
	check(fraction(c.Slow), "Slow", c.Slow, "a fraction from 0 to below 1")
	check(wait(c.RetryAfter), "RetryAfter", c.RetryAfter, "0s (the default, 1s) to 24h")
	check(wait(c.Latency.Min), "Latency.Min", c.Latency.Min, "0s to 24h")
	check(wait(c.Latency.Max) && (c.Latency.Max == 0 || c.Latency.Max >= c.Latency.Min), "Latency.Max", c.Latency.Max,
		"0s (the same as Latency.Min), or Latency.Min ("+c.Latency.Min.String()+") to 24h")
	check(wait(c.SlowLatency), "SlowLatency", c.SlowLatency, "0s (the default, 2s) to 24h")
	check(c.OutageAt >= 0, "OutageAt", c.OutageAt, "0s or longer")
	check(c.OutageFor >= 0, "OutageFor", c.OutageFor, "0s (no outage) or longer")
	check(c.OutageAt <= 0 || c.OutageFor != 0, "OutageAt", c.OutageAt, "only 0s while OutageFor is 0s: there is no outage to begin")
	check(c.MaxBody >= 0, "MaxBody", c.MaxBody, "0 (the default, 4 MiB), or a number of bytes")
	for _, key := range c.Keys {
		check(key != "", "Keys", `""`, "keys that are not empty")
	}
	for key, answers := range c.Accounts {
		check(key != "" && answers >= 0, "Accounts", answers, "a number of answers, 0 or more, for a key that is not empty")
	}
	c.validateMore(check)
	return errors.Join(faults...)
}

// withDefaults returns c with its zero values replaced. c must be valid.
func (c Config) withDefaults() Config {
	if c.Burst == 0 {
		c.Burst = math.Max(1, c.Rate)
	}
	if c.RetryAfter == 0 {
		c.RetryAfter = defaultRetryAfter
	}
	if c.Latency.Max == 0 {
		c.Latency.Max = c.Latency.Min
	}
	if c.SlowLatency == 0 {
		c.SlowLatency = defaultSlowLatency
	}
	if c.MaxBody == 0 {
		c.MaxBody = defaultMaxBody
	}
	return c.withMoreDefaults()
}
