package fakellm

import "math/rand/v2"

// What a client must be able to rely on, however unlucky the seed: four attempts always suffice for a prompt, resets
// alone never exhaust a budget of two ambiguous retries, and a breaker that trips at five in a row stays closed.
const (
	maxFailures = 3 // of one prompt
	maxResets   = 2 // of one prompt
	maxRun      = 4 // failures one after the other, in the order of admission
)

// schedule decides which admitted requests fail, and how. The seed says when a failure falls due; one that cannot be
// given to the request at hand stays owed and goes to the next that may have it. Not safe for concurrent use.
type schedule struct {
	due   share
	kinds *rand.Rand
	owed  int // failures that fell due and were not given yet
	run   int // failures since the last success
}

func newSchedule(fraction float64, seed uint64) schedule {
	return schedule{due: newShare(fraction, stream(seed, streamFail)), kinds: stream(seed, streamKind)}
}

// next decides for the next admitted request, one of prompt p, and counts what it decides against p's caps.
func (s *schedule) next(p *prompt) outcome {
	if s.due.next() {
		s.owed++
	}
	if s.owed == 0 || p.failures >= maxFailures || s.run >= maxRun {
		s.run = 0
		return completed
	}
	s.owed--
	s.run++
	p.failures++
	kind := [...]outcome{failed500, failed503, failedReset}[s.kinds.IntN(3)]
	if kind == failedReset && p.resets >= maxResets {
		kind = [...]outcome{failed500, failed503}[s.kinds.IntN(2)]
	}
	if kind == failedReset {
		p.resets++
	}
	return kind
}
