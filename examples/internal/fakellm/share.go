package fakellm

import (
	"math"
	"math/rand/v2"
)

// block is how many requests one draw of a share covers. Independent draws would stray by a percent and more over a
// thousand requests; an exact count in every block, at random places, strays by less than a block at any time.
const block = 20

// Streams of random numbers, one for each purpose: the schedule of one does not move when another is switched on.
const (
	streamFail uint64 = iota + 1
	streamKind
	streamThrottle
	streamSlow
	streamLatency
	streamFault
	streamFaultKind
)

// stream returns the generator of one purpose.
func stream(seed, purpose uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, purpose)) }

// share picks a fraction of the events it is asked about, at random places, with an exact count in the long run.
// Not safe for concurrent use.
type share struct {
	fraction float64    // in [0, 1)
	phase    float64    // in [0, 1): where in its first interval a rare event falls
	rng      *rand.Rand // nil when fraction is 0
	blocks   float64    // blocks begun; a float64, since it is only multiplied, exact to 2^53
	left     int        // events left in this block
	hits     int        // how many of those are to be picked
}

func newShare(fraction float64, rng *rand.Rand) share {
	return share{fraction: fraction, phase: rng.Float64(), rng: rng}
}

// next reports whether the next event is picked.
func (s *share) next() bool {
	if s.fraction == 0 {
		return false
	}
	if s.left == 0 {
		// The difference of two totals, not a sum of rounded parts: no drift.
		before := math.Floor(s.fraction*block*s.blocks + s.phase)
		s.blocks++
		s.left = block
		s.hits = int(math.Floor(s.fraction*block*s.blocks+s.phase) - before)
	}
	// Selection sampling: every set of places in the block is equally likely.
	hit := s.rng.IntN(s.left) < s.hits
	s.left--
	if hit {
		s.hits--
	}
	return hit
}
