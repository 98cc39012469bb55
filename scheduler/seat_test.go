package scheduler

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSeatRingAgreesWithAList: S-A5, S-A6: whatever comes, goes, is passed over or gets an earlier ticket in the midst of an admission,
// the front is the first, by tickets, of those that are to be looked at.
func TestSeatRingAgreesWithAList(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 22))
		ring, list := new(seatRing), []*seat(nil)
		tickets, turn := uint64(1000), uint64(1) // none below zero is ever asked for
		for range 400 {
			switch op := r.IntN(6); {
			case op == 0:
				turn++
			case op < 3 || len(list) == 0:
				tickets += 1 + uint64(r.IntN(2)) // some are left for those that advance
				s := &seat{ticket: tickets}
				ring.pushBack(s)
				list = append(list, s)
			case op == 3:
				i := r.IntN(len(list))
				ring.remove(list[i])
				list = slices.Delete(list, i, i+1)
			case op == 4: // as the one in front of all that are to be looked at is
				if s := ring.front(turn); s != nil {
					s.passedOver = turn
				}
			default: // one that is to be looked at comes before all that are: to the front's place, or that of another ring's
				front := ring.front(turn)
				i := r.IntN(len(list))
				s := list[i]
				if front == nil || s.passedOver == turn {
					continue
				}
				ticket := front.ticket - uint64(r.IntN(2))
				ring.advance(s, ticket)
				list = slices.Delete(list, i, i+1)
				list = slices.Insert(list, slices.IndexFunc(append(list, &seat{ticket: ticket}), func(s *seat) bool { return s.ticket >= ticket }), s)
			}
			var all []*seat
			for s := ring.first; s != nil; s = s.next {
				all = append(all, s)
			}
			require.True(t, slices.Equal(list, all), "seed %d", seed)
			i := slices.IndexFunc(list, func(s *seat) bool { return s.passedOver != turn })
			if i < 0 {
				require.Nil(t, ring.front(turn), "seed %d", seed)
			} else {
				require.Same(t, list[i], ring.front(turn), "seed %d", seed)
			}
		}
	}
}
