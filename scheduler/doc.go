// Package scheduler decides: which attempt may start, what a failed one is followed by, and when to look again.
//
// It is one deterministic machine. Events go in through [Core.Step], effects come out of [Core.Effects], and
// [Core.NextWake] says when to call again if nothing happens before. There is no goroutine, channel, lock, clock or
// context in here, and its random numbers come from a generator seeded in [Config]: the same events always give the same
// effects, so every decision can be replayed and read (see testdata/*.txt). The promises it keeps are the numbered rules
// of SEMANTICS.md, which comments cite as S-A1 and so on.
//
//	Submit → ready queue of the key → ADMIT: cooldown? circuit? key's limits? worker? shared limits?
//	       → Start → Done → Settle, or parked until its backoff is over → ready queue
//
// # How a turn goes
//
// The owner steps all events that have come in, then takes the effects; admission happens in that last call, once for
// the whole turn. An attempt is looked at by every gate before anything is taken from one (S-A2), so a refusal costs
// nothing and there is nothing to give back.
//
// Each key has a lane: its queues, circuit, cooldown and own limits. Its jobs sit together with those that pass the same
// gates, and the seats stand in rings and are served in turn; those whose lane's own gates are closed have left the rings
// until their gate's time or the event that opens it. What lanes share, workers, limits and groups, is looked at last, and
// who finds too little holds the line for what it lacks: those behind who need it too are passed over, the others are not,
// as long as that makes nobody in front wait longer (S-A5, see gates.go).
//
// # Concurrency
//
// A [Core] and its entries have one owner; calls must not overlap. Cores that take from the same [Shared] limit have one lock.
//
// # Cost
//
// Submit, admission and the end of an attempt are O(1) for fresh jobs, O(log n) in the number of those that are parked,
// come back or have a deadline: below a microsecond in all, with one key or 10,000, with a million jobs in front or parked,
// and half a microsecond more for one that is itself parked among a million
// (go test -run '^$' -bench Core ./scheduler), and without an allocation. An admission looks once more at each key that has a
// job which leaves a worker, or room in a limit of its own, to an older one of the key that waits for what keys share (S-A5).
// Changing a limit looks at every lane that has a bucket of it. Memory is the caller's entries plus 24 bytes for each one that
// is parked or has a deadline, and one lane for each key.
package scheduler
