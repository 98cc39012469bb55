// Package policy holds the rules that make unreliable calls well behaved, as plain values, and their running state, as
// small machines.
//
// The rules are [Limit], [Retry] and [Breaker]; the zero value of each means "off", and [TollerLimit], [TollerRetry] and
// [TollerBreaker] are Toller's defaults. The marks [Transient], [Fatal], [Throttled], [Unusable], [Failed] and [Neutral] let a
// job say what its error means, and [Retry.Classify] turns an error into the [Outcome] on which every decision rests.
//
// The machines are [Bucket], [Circuit] and [Cooldown]. They own no clock and no generator: whoever drives them tells
// them the time and, where chance is wanted, the random number. The same calls therefore always give the same answers.
//
// # Concurrency
//
// Rules are values: copy them freely, and do not change one that is in use. A machine has one owner, and calls on it must
// not overlap; there is no lock inside. A [Retry]'s predicates are called from the goroutine that ran the attempt.
//
// # Errors
//
// A rule that makes no sense is refused by its Validate method with one [FieldError] for each fault, joined; all of them
// match [ErrInvalid].
//
// # Cost
//
// Advancing a bucket and taking from it is integer arithmetic of a few nanoseconds. In steady state the machines allocate
// nothing: what a bucket remembers for giving back, and a circuit of its probes, is kept and used again. The window of a
// sliding limit adds a few nanoseconds, and 24 bytes for each slice it holds: some 130 where charges come thick and fast.
package policy
