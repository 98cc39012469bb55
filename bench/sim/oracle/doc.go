// Package oracle judges what a scheduler did by the rules of scheduler/SEMANTICS.md, and by nothing else: it imports neither
// policy nor scheduler (a test parses its imports), it is told what went in and what came out, and it has its own buckets,
// windows, circuits, cooldowns and counts, written from the rules and not from the code.
//
// A [Judge] goes with one core. [Judge.Turn] takes the events of one turn and the effects that followed, and returns the first
// rule that they break. Where the rules leave something to the scheduler, the order among those who could start (S-A5) or
// chance (jitter), it looks only whether the bounds were kept, and goes on from what was done.
//
// # Exactness
//
// Levels of buckets are exact rationals over a common denominator of a second, a minute and an hour. The judge's level is what the
// rules grant: never below the scheduler's, and equal to it, but where the scheduler may be on the safe side (S-L1, S-L3).
package oracle
