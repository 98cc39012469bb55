package scheduler

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"testing"
	"time"
)

// FuzzEvents looks for streams of events that break what must hold whatever happens (random_check_test.go): the stories of
// TestRandomStories, told by bytes and not by a seed. The core must not panic, nor go round for ever. To see the events of
// a kept one:
//
//	go test ./scheduler -run FuzzEvents/0123456789abcdef -v -events
func FuzzEvents(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("a story that a text tells is as good as any"))
	for _, seed := range []uint64{2, 9, 33, 512} {
		data := make([]byte, 40*seed%997)
		random := rand.New(rand.NewPCG(seed, seed))
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		// A panic ends the process, and the fuzzer keeps the bytes that were played.
		stuck := time.AfterFunc(time.Minute, func() { panic(fmt.Sprintf("the story of %x has no end", data)) })
		defer stuck.Stop()
		newStory(t, newTeller(data), "a story told by bytes (-events -v)").play()
	})
}

// teller is a source of chance whose first numbers are bytes, so that a change of one byte is a change of one decision. When
// the bytes run out it goes on with random numbers, always the same ones after the same bytes.
type teller struct {
	rest  []byte
	after *rand.PCG
}

func newTeller(data []byte) *teller {
	sum := fnv.New64a()
	_, _ = sum.Write(data) // never fails
	return &teller{rest: data, after: rand.NewPCG(sum.Sum64(), 0)}
}

// Uint64 spreads a byte such that either end of the number tells it: choices are made by the upper bits, or by the lower
// ones where their number is a power of two. The bits after the upper eight keep [rand.Rand] from drawing again.
func (p *teller) Uint64() uint64 {
	if len(p.rest) == 0 {
		return p.after.Uint64()
	}
	b := uint64(p.rest[0])
	p.rest = p.rest[1:]
	return b<<56 | 1<<55 | b<<32 | b
}
