package policy

import "time"

// TollerLimit is the limit that Toller's decorator has when it is told nothing: 10 calls a second, with a burst of 20. Other
// than the zero values here, Toller's defaults are on; those who come from there, and relied on them, write
//
//	dispatcher.Config{
//		Limits:  []policy.Limit{policy.TollerLimit("calls")},
//		Retry:   policy.TollerRetry(),
//		Breaker: policy.TollerBreaker(),
//	}
func TollerLimit(name string) Limit {
	return Limit{Name: name, Rate: PerSecond(10), Burst: 20}
}

// TollerRetry is how Toller's decorator tries again when it is told nothing: 3 attempts, 100 ms between the first two, doubled
// then, with full jitter. Toller caps no wait; here [DefaultMaxDelay] does, which so few attempts never reach.
func TollerRetry() Retry {
	return Retry{MaxAttempts: 3, Delay: 100 * time.Millisecond, Backoff: 2, Jitter: FullJitter}
}

// TollerBreaker is the circuit breaker that Toller's decorator has when it is told nothing: 5 failures in a row open the
// circuit for 30 s. Toller's breaker stands around the retries and sees whole calls, hence [CountJobs].
func TollerBreaker() Breaker {
	return Breaker{FailureThreshold: 5, RecoveryTimeout: 30 * time.Second, Counts: CountJobs}
}
