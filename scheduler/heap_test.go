package scheduler

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestHeapAgreesWithAList: whatever comes and goes, also from the middle, the least is the least of all, each item knows where it
// is, and below finds those that are below and no others. On this rest deadlines, wake-ups and parked jobs (S-A4, S-L9).
func TestHeapAgreesWithAList(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 21))
		h := heap[*Entry]{moved: func(e *Entry, pos int32) { e.pos = pos }}
		var list []pending
		byOrder := func(a, b pending) int {
			if a.less(&b) {
				return -1
			}
			return 1
		}
		for tie := range uint64(300) {
			if len(list) == 0 || r.IntN(5) > 1 {
				p := pending{key: r.Int64N(200), tie: tie, item: new(Entry)}
				h.push(p.key, p.tie, p.item)
				list = append(list, p)
			} else {
				i := r.IntN(len(list))
				h.remove(list[i].item.pos)
				require.Equal(t, int32(-1), list[i].item.pos, "seed %d: it has left", seed)
				list = slices.Delete(list, i, i+1)
			}
			require.Equal(t, len(list), h.len(), "seed %d", seed)
			for _, p := range list {
				require.Same(t, p.item, h.nodes[p.item.pos].item, "seed %d", seed)
			}
			if len(list) > 0 {
				require.Same(t, slices.MinFunc(list, byOrder).item, h.min().item, "seed %d", seed)
			}
			limit, found := r.Int64N(220), map[*Entry]bool{}
			h.below(limit, func(e *Entry) {
				require.False(t, found[e], "seed %d: twice", seed)
				found[e] = true
			})
			for _, p := range list {
				require.Equal(t, p.key < limit, found[p.item], "seed %d: %d below %d", seed, p.key, limit)
			}
		}
	}
}
