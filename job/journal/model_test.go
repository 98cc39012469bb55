package journal_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/job/journal"
)

// model is a journal as simple as can be: what each item has come to after each record since the last crash.
type model struct {
	history []map[int]journal.Status // history[n]: after n records
	synced  int                      // how many of these are on the disk
}

func (m *model) now() map[int]journal.Status { return m.history[len(m.history)-1] }

// expect returns the error that an entry must meet, and takes it in when that is nil. It says what the documentation says, case by
// case, and not how the journal does it.
func (m *model) expect(e journal.Entry) error {
	now := m.now()
	s, known := now[e.Item]
	next := maps.Clone(now)
	if e.Kind == journal.KindReset {
		delete(next, e.Item)
		m.history = append(m.history, next)
		return nil
	}
	if known && s.State == journal.Done {
		return journal.ErrDone
	}
	if known && e.Hash != 0 && s.Hash != 0 && s.Hash != e.Hash {
		return journal.ErrChanged
	}
	if e.Hash != 0 {
		s.Hash = e.Hash
	}
	open := s.State == journal.InFlight
	switch e.Kind {
	case journal.KindStart:
		s.Starts++
		if open {
			s.Ambiguous++
		}
		s.State = journal.InFlight
	case journal.KindDone:
		s.State = journal.Done
	case journal.KindFailed:
		if open && e.Ambiguous {
			s.Ambiguous++
		}
		s.State = journal.Failed
	default:
		if open && e.Ambiguous {
			s.Ambiguous++
		}
		s.State = journal.Pending
	}
	next[e.Item] = s
	m.history = append(m.history, next)
	return nil
}

// counts adds up what the items have come to.
func (m *model) counts() journal.Counts {
	var c journal.Counts
	for _, s := range m.now() {
		switch s.State {
		case journal.Pending:
			c.Pending++
		case journal.InFlight:
			c.InFlight++
		case journal.Done:
			c.Done++
		case journal.Failed:
			c.Failed++
		}
		c.Starts += int64(s.Starts)
		c.Ambiguous += int64(s.Ambiguous)
	}
	return c
}

// survived finds how far the journal has come through a crash, in its own history, and begins a new one there.
func (m *model) survived(t *testing.T, name string, got map[int]journal.Status, atLeast int) {
	t.Helper()
	for n := len(m.history) - 1; n >= atLeast; n-- {
		if maps.Equal(m.history[n], got) {
			m.history, m.synced = m.history[n:n+1], 0
			return
		}
	}
	require.Fail(t, "no moment of the past is like this", "%s: at least %d of %d records, got %v, want %v", name, atLeast,
		len(m.history)-1, got, m.now())
}

// Random entries, flushes, compactions, clean ends, kills and power cuts, each followed by a look at everything. After a power cut
// the journal is as it was at some moment since the last fsync; after a kill, as it was.
func TestModel(t *testing.T) {
	runs := 60
	if testing.Short() {
		runs = 15
	}
	seed := rand.Uint64()
	for run := range runs {
		rnd := rand.New(rand.NewPCG(seed, uint64(run)))
		name := fmt.Sprintf("seed %d, run %d", seed, run)
		walk(t, name, rnd, journal.Sync(run%3))
	}
}

// walk is one run of TestModel.
func walk(t *testing.T, name string, rnd *rand.Rand, policy journal.Sync) {
	d := newDisk()
	opts := func() journal.Options { return journal.Options{Sync: policy, Every: 1 << 40}.On(d) }
	j := open(t, at, opts())
	m := &model{history: []map[int]journal.Status{{}}}
	for step := range 200 {
		name := fmt.Sprintf("%s, step %d", name, step)
		switch n := rnd.IntN(100); {
		case n < 90:
			e := journal.Entry{
				Kind: journal.KindStart + journal.Kind(rnd.IntN(5)), Item: rnd.IntN(8), Hash: uint64(rnd.IntN(12) / 4), Ambiguous: rnd.IntN(2) == 0,
			}
			if want, got := m.expect(e), j.Append(e); want == nil {
				require.NoError(t, got, name)
			} else {
				require.ErrorIs(t, got, want, name)
			}
			if policy == journal.Always {
				m.synced = len(m.history) - 1
			}
		case n < 93:
			require.NoError(t, j.Flush(), name)
			m.synced = len(m.history) - 1
		case n < 95:
			require.NoError(t, j.Compact(), name)
			m.synced = len(m.history) - 1
		case n < 97:
			require.NoError(t, j.Close(), name)
			if policy != journal.Off {
				m.synced = len(m.history) - 1
			}
			delete(d.locked, at)
			j = open(t, at, opts())
		case n < 98:
			was := j
			d = d.kill()
			j = open(t, at, opts())
			require.NoError(t, was.Close())
			require.Equal(t, m.now(), statuses(j), name)
			if policy != journal.Off { // Open has forced what it found
				m.synced = len(m.history) - 1
			}
		default:
			was := j
			d = d.crash(rnd)
			j = open(t, at, opts())
			require.NoError(t, was.Close())
			m.survived(t, name, statuses(j), m.synced)
		}
		require.Equal(t, m.counts(), j.Counts(), name)
		for item := range 8 {
			require.Equal(t, m.now()[item], j.Status(item), name)
		}
	}
	require.Equal(t, m.now(), statuses(j), name)
	require.NoError(t, j.Close())
}
