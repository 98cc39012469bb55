package journal_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/job/journal"
)

func TestCompact(t *testing.T) {
	data, _ := sample(t)
	d := put(data)
	j := open(t, at, journal.Options{}.On(d))
	want, counts := statuses(j), j.Counts()
	require.NoError(t, j.Compact())
	assert.Equal(t, want, statuses(j))
	assert.Equal(t, counts, j.Counts())
	records, size := j.Size()
	assert.Equal(t, 4, records)
	assert.Len(t, d.names[at].data, int(size))
	assert.Len(t, d.names, 1)

	lines := bytes.SplitAfter(data, []byte("\n"))
	header := journal.Encode(journal.Record{Kind: journal.KindHeader, Data: json.RawMessage(`2`)})
	assert.Equal(t, string(header)+string(lines[4])+string(lines[5])+string(lines[10]), string(d.names[at].data),
		"the last line of items 3, 2 and 0, byte for byte, in the order they had")

	require.NoError(t, j.Done(0, nil), "it goes on in the new file")
	require.NoError(t, j.Compact())
	require.NoError(t, j.Close())
	j = open(t, at, journal.Options{}.On(d))
	assert.Equal(t, journal.Done, j.Status(0).State)
	assert.Equal(t, "2", string(j.Meta()))
	records, _ = j.Size()
	assert.Equal(t, 4, records)
	require.NoError(t, j.Close())
}

// Compaction is cut off at each of its steps, by a kill and by a power cut: afterwards the journal is the old one or the new one.
func TestCompactCutOff(t *testing.T) {
	data, _ := sample(t)
	ends := map[string]bool{}
	for stop := 1; ; stop++ {
		d := put(data)
		j := open(t, at, journal.Options{}.On(d))
		want := statuses(j)
		base := d.steps
		d.stopAt = base + stop
		err := j.Compact()
		if err == nil {
			require.Equal(t, 5, stop, "open, write, sync, rename, sync the directory")
			break
		}
		require.ErrorIs(t, err, errCut)
		check := func(how string, after *disk) {
			name := fmt.Sprintf("%s after %d steps", how, stop)
			j := open(t, at, journal.Options{}.On(after))
			require.Equal(t, want, statuses(j), name)
			require.Zero(t, j.Report().Torn, name)
			require.Len(t, after.names, 1, "%s: nothing is left lying about", name)
			ends[fmt.Sprint(how, j.Report().Records)] = true
			require.NoError(t, j.Start(9, 0, nil), name)
			require.NoError(t, j.Close(), name)
		}
		check("kill", d.kill())
		for seed := range uint64(20) {
			check("power cut", d.crash(rand.New(rand.NewPCG(seed, uint64(stop)))))
		}
	}
	assert.Equal(t, map[string]bool{"kill11": true, "kill4": true, "power cut11": true, "power cut4": true}, ends)
}

// What Repair does is cut off at each of its steps: either it is done, or it can be done again, and the damaged file is somewhere.
func TestRepairCutOff(t *testing.T) {
	data, _ := sample(t)
	data[300] ^= 1
	for stop := 1; ; stop++ {
		d := put(data)
		d.stopAt = stop
		j, err := journal.Open(at, journal.Options{Repair: true}.On(d))
		if err == nil {
			require.Equal(t, 12, stop, "remove, open, remove, link, sync the directory, open, write, sync, rename, sync the directory, then as ever")
			require.NoError(t, j.Close())
			return
		}
		require.ErrorIs(t, err, errCut)
		for seed := range uint64(20) {
			for _, after := range []*disk{d.kill(), d.crash(rand.New(rand.NewPCG(seed, uint64(stop))))} {
				j := open(t, at, journal.Options{Repair: true}.On(after))
				records, _ := j.Size()
				require.Equal(t, 9, records, "without the damaged line, and with the metadata in the header")
				require.Equal(t, data, after.names[at+".damaged"].data)
				require.NoError(t, j.Close())
			}
		}
	}
}

func TestCompactWithoutRoom(t *testing.T) {
	data, _ := sample(t)
	d := put(data)
	j := open(t, at, journal.Options{Sync: journal.Off}.On(d)) // so that no timer looks at the disk while it changes
	d.room = 100
	err := j.Compact()
	assert.ErrorIs(t, err, errFull)
	assert.NotErrorIs(t, err, journal.ErrUnwritable)
	assert.Len(t, d.names, 1, "the unfinished file is gone")
	assert.Equal(t, data, d.names[at].data)
	d.room = -1
	require.NoError(t, j.Start(9, 0, nil), "the journal is usable")

	d.syncErr = errIO
	assert.ErrorIs(t, j.Compact(), errIO)
	d.syncErr = nil
	require.NoError(t, j.Start(9, 0, nil))

	d.dirErr = errIO
	err = j.Compact()
	assert.ErrorIs(t, err, journal.ErrUnwritable, "the old file may come back")
	assert.ErrorIs(t, err, errIO)
	assert.ErrorIs(t, j.Start(9, 0, nil), journal.ErrUnwritable)
	assert.ErrorIs(t, j.Close(), journal.ErrUnwritable)
	assert.NotContains(t, d.names, at+".compact")
}

// Items get other numbers, some of them each other's, and are left out; all at once.
func TestRenumber(t *testing.T) {
	data, _ := sample(t)
	d := put(data)
	j := open(t, at, journal.Options{}.On(d))
	was := statuses(j)
	require.Contains(t, was, 0)
	require.Contains(t, was, 2)
	require.Contains(t, was, 3)
	var asked []int
	require.NoError(t, j.Renumber(func(item int) (int, bool) {
		asked = append(asked, item)
		return map[int]int{0: 3, 3: 5000}[item], item != 2
	}))
	want := map[int]journal.Status{3: was[0], 5000: was[3]}
	check := func() {
		t.Helper()
		assert.Equal(t, want, statuses(j))
		assert.Equal(t, journal.Status{}, j.Status(0))
		assert.Equal(t, journal.Status{}, j.Status(2))
		var counts journal.Counts
		for _, s := range want {
			counts.Starts += int64(s.Starts)
			counts.Ambiguous += int64(s.Ambiguous)
		}
		assert.Equal(t, counts.Starts, j.Counts().Starts)
		assert.Equal(t, counts.Ambiguous, j.Counts().Ambiguous)
	}
	assert.Equal(t, []int{3, 2, 0}, asked, "in the order of their last records")
	check()
	require.NoError(t, j.Start(0, 7, nil), "a number that is free again")
	require.NoError(t, j.Reset(0))
	require.NoError(t, j.Close())
	j = open(t, at, journal.Options{}.On(d))
	check()
	require.NoError(t, j.Close())
	assert.ErrorIs(t, j.Renumber(func(item int) (int, bool) { return item, true }), journal.ErrClosed)
}

// Numbers that make no sense change nothing.
func TestRenumberRefuses(t *testing.T) {
	data, _ := sample(t)
	for name, number := range map[string]func(int) (int, bool){
		"negative":  func(int) (int, bool) { return -1, true },
		"too large": func(int) (int, bool) { return journal.MaxItem + 1, true },
		"the same":  func(int) (int, bool) { return 8, true },
	} {
		d := put(data)
		j := open(t, at, journal.Options{}.On(d))
		want, counts := statuses(j), j.Counts()
		assert.ErrorIs(t, j.Renumber(number), journal.ErrInvalid, name)
		assert.Equal(t, want, statuses(j), name)
		assert.Equal(t, counts, j.Counts(), name)
		assert.Equal(t, data, d.names[at].data, name)
		assert.Len(t, d.names, 1, name)
		require.NoError(t, j.Start(9, 0, nil), name)
		require.NoError(t, j.Close(), name)
	}
}

// Cut off at each of its steps, it has happened or it has not.
func TestRenumberCutOff(t *testing.T) {
	data, _ := sample(t)
	j := open(t, at, journal.Options{}.On(put(data)))
	before := statuses(j)
	require.NoError(t, j.Close())
	after := make(map[int]journal.Status)
	for item, status := range before {
		after[item+1] = status
	}
	ends := map[string]bool{}
	for stop := 1; ; stop++ {
		d := put(data)
		j := open(t, at, journal.Options{}.On(d))
		d.stopAt = d.steps + stop
		err := j.Renumber(func(item int) (int, bool) { return item + 1, true })
		if err == nil {
			require.Equal(t, 5, stop, "open, write, sync, rename, sync the directory")
			break
		}
		require.ErrorIs(t, err, errCut)
		check := func(how string, left *disk) {
			j := open(t, at, journal.Options{}.On(left))
			if _, moved := statuses(j)[4]; moved {
				require.Equal(t, after, statuses(j), "%s after %d steps", how, stop)
				ends[how+": moved"] = true
			} else {
				require.Equal(t, before, statuses(j), "%s after %d steps", how, stop)
				ends[how+": as it was"] = true
			}
			require.NoError(t, j.Close())
		}
		check("kill", d.kill())
		for seed := range uint64(20) {
			check("power cut", d.crash(rand.New(rand.NewPCG(seed, uint64(stop)))))
		}
	}
	assert.Len(t, ends, 4, "%v", ends)
}
