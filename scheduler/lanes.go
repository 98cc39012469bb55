package scheduler

import (
	"cmp"
	"hash/maphash"
	"slices"
)

// laneTable finds lanes by their keys: a hash table whose chains run through the lanes themselves. With very many keys nothing of
// them is in the cache, and what a job costs is how much of the memory it touches; where each job's key is new, the one hash does
// for looking it up and for adding it. A map of Go hashes each time, and has slots of its own (BenchmarkCore/keys=10000).
//
// The hash is chance, so that nobody can choose keys that collide. It decides nothing but the order within a chain (S-T1).
type laneTable struct {
	seed   maphash.Seed
	chains []*lane // as many as a power of two
	len    int
}

// fewChains is how many chains a table has at first.
const fewChains = 64

func newLaneTable() laneTable {
	return laneTable{seed: maphash.MakeSeed(), chains: make([]*lane, fewChains)}
}

func (t *laneTable) hash(key string) uint64 { return maphash.String(t.seed, key) }

func (t *laneTable) chain(hash uint64) **lane { return &t.chains[hash&uint64(len(t.chains)-1)] }

// find returns the lane of a key with its hash, or nil.
func (t *laneTable) find(key string, hash uint64) *lane {
	l := *t.chain(hash)
	for l != nil && (l.hash != hash || l.key != key) {
		l = l.chained
	}
	return l
}

// get returns the lane of a key, or nil.
func (t *laneTable) get(key string) *lane { return t.find(key, t.hash(key)) }

// add takes in a lane, whose key has none yet.
func (t *laneTable) add(l *lane) {
	if t.len == len(t.chains) {
		t.grow()
	}
	t.link(l)
	t.len++
}

func (t *laneTable) link(l *lane) {
	first := t.chain(l.hash)
	l.chained, *first = *first, l
}

// remove takes out a lane that is in the table.
func (t *laneTable) remove(l *lane) {
	at := t.chain(l.hash)
	for *at != l {
		at = &(*at).chained
	}
	*at, l.chained = l.chained, nil
	t.len--
}

func (t *laneTable) grow() {
	old := t.chains
	t.chains = make([]*lane, 2*len(old))
	for _, l := range old {
		for l != nil {
			next := l.chained
			t.link(l)
			l = next
		}
	}
}

// inOrder returns the lanes that have not been dropped, by age: that of the chains is chance, and effects must not depend on it
// (S-T1).
func (t *laneTable) inOrder() []*lane {
	lanes := make([]*lane, 0, t.len)
	for _, l := range t.chains {
		for ; l != nil; l = l.chained {
			if !l.retired {
				lanes = append(lanes, l)
			}
		}
	}
	slices.SortFunc(lanes, func(a, b *lane) int { return cmp.Compare(a.number, b.number) })
	return lanes
}
