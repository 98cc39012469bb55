package batchfile

import (
	"hash/maphash"
	"math/bits"
)

const (
	// idShards is how many tables the ids are spread over: while one is being moved to a larger array, the others are not.
	idShards = 256
	// idShardMin is the first size of a shard, in slots.
	idShardMin = 8
)

// idTable maps ids to the number of a line, in 15 to 20 bytes an id however long the ids are: it keeps a 64-bit hash instead of the
// id. A map[string]int takes 60 bytes and the id itself, too much for the promise of 32 bytes a line.
type idTable struct {
	seed   maphash.Seed
	shards [idShards]idShard
}

// idShard is an open-addressed table with linear probing. It grows by a quarter at a time, so that at most a third of it is empty.
type idShard struct {
	hashes []uint64
	lines  []uint32 // 0: the slot is free
	used   int
}

func newIDTable() *idTable { return &idTable{seed: maphash.MakeSeed()} }

// insert remembers the line of an id, or returns the line that the id has already. line is not 0.
func (t *idTable) insert(id string, line uint32) (first uint32, fresh bool) {
	h := maphash.String(t.seed, id)
	s := &t.shards[h%idShards]
	if s.used*5 >= len(s.lines)*4 {
		s.grow()
	}
	i := s.slot(h)
	if s.lines[i] != 0 {
		return s.lines[i], false
	}
	s.hashes[i], s.lines[i] = h, line
	s.used++
	return line, true
}

// find returns the line of an id, 0 for none.
func (t *idTable) find(id string) uint32 {
	h := maphash.String(t.seed, id)
	s := &t.shards[h%idShards]
	if s.used == 0 {
		return 0
	}
	return s.lines[s.slot(h)]
}

// slot is where h is, or the free slot where it belongs. The table has a free slot always, so the search ends.
func (s *idShard) slot(h uint64) int {
	// The high bits of h scaled to the size: any size will do, not only powers of two, so the table need not double.
	hi, _ := bits.Mul64(h, uint64(len(s.lines)))
	i := int(hi)
	for s.lines[i] != 0 && s.hashes[i] != h {
		if i++; i == len(s.lines) {
			i = 0
		}
	}
	return i
}

func (s *idShard) grow() {
	old := *s
	size := max(idShardMin, len(old.lines)*5/4)
	s.hashes, s.lines = make([]uint64, size), make([]uint32, size)
	for i, line := range old.lines {
		if line != 0 {
			j := s.slot(old.hashes[i])
			s.hashes[j], s.lines[j] = old.hashes[i], line
		}
	}
}
