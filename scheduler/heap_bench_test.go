package scheduler

import (
	stdheap "container/heap"
	"math/rand/v2"
	"testing"
	"time"
)

// BenchmarkPendingRetries is what a retry's backoff costs the core while a million others are pending: the next one is taken
// out, and one is put in, up to half an hour later. The peer can do what this heap can: who is in it knows where, so that it
// can be taken out before its time (S-A4). The checksum is of all that came out, in order, and so the same for both if they did
// as many operations (-benchtime 1000000x): they are given the same. Command bench/compare looks at it.
func BenchmarkPendingRetries(b *testing.B) {
	b.Run("heap", func(b *testing.B) {
		h := heap[*Entry]{moved: func(e *Entry, pos int32) { e.pos = pos }}
		pendingRetries(b, func(p pending) { h.push(p.key, p.tie, p.item) }, func() pending {
			least := *h.min()
			h.remove(least.item.pos)
			return least
		})
	})
	b.Run("container/heap", func(b *testing.B) {
		h := new(standardHeap)
		pendingRetries(b, func(p pending) { stdheap.Push(h, p) }, func() pending { return stdheap.Pop(h).(pending) })
	})
}

// pending is one that waits in a heap until an instant, its key.
type pending = heapNode[*Entry]

// pendingRetries measures one push and one pop of a heap that holds a million.
func pendingRetries(b *testing.B, push func(pending), pop func() pending) {
	entries := make([]Entry, 1_000_000)
	random := rand.New(rand.NewPCG(1, 2))
	now, tie := int64(0), uint64(0)
	park := func(e *Entry) {
		tie++
		push(pending{now + random.Int64N(int64(30*time.Minute)), tie, e})
	}
	for i := range entries {
		park(&entries[i])
	}
	checksum := uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		p := pop()
		now, checksum = p.key, checksum*31+p.tie
		park(p.item)
	}
	b.ReportMetric(float64(checksum%1e9), "checksum")
}

// standardHeap is what container/heap needs to do the same. It has values, as heap has, because with pointers to them it is
// slower still; each costs an allocation on its way in as an interface value, and one on its way out.
type standardHeap []pending

func (h standardHeap) Len() int           { return len(h) }
func (h standardHeap) Less(i, j int) bool { return h[i].less(&h[j]) }

func (h standardHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].item.pos, h[j].item.pos = int32(i), int32(j)
}

func (h *standardHeap) Push(x any) {
	p := x.(pending)
	p.item.pos = int32(len(*h))
	*h = append(*h, p)
}

func (h *standardHeap) Pop() any {
	last := len(*h) - 1
	p := (*h)[last]
	(*h)[last] = pending{} // let go of the pointer
	*h = (*h)[:last]
	return p
}
