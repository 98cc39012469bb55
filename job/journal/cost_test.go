package journal_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/job/journal"
)

// fullJournal makes a journal of that many items that are done, without asking for it to be forced to the disk.
func fullJournal(tb testing.TB, items int) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "run.journal")
	f, err := os.Create(path)
	require.NoError(tb, err)
	line := journal.Encode(journal.Record{Kind: journal.KindHeader})
	for item := range items {
		s := journal.Status{State: journal.InFlight, Hash: uint64(item)*0x9e3779b97f4a7c15 + 1, Starts: 1}
		line = append(line, journal.Encode(journal.Record{Kind: journal.KindStart, Item: item, Status: s})...)
		s.State = journal.Done
		line = append(line, journal.Encode(journal.Record{Kind: journal.KindDone, Item: item, Status: s})...)
		if len(line) > 1<<16 || item == items-1 {
			_, err := f.Write(line)
			require.NoError(tb, err)
			line = line[:0]
		}
	}
	require.NoError(tb, f.Close())
	return path
}

// heap is what is in use after a collection.
func heap() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// The contract is at most 32 bytes a line for the whole program; the journal's share is 14, and 64 KiB for reading while it opens.
func TestMemory(t *testing.T) {
	const items = 20 * journal.PageItems
	path := fullJournal(t, items)
	before := heap()
	j := open(t, path, journal.Options{Sync: journal.Off})
	after := heap()
	each := float64(after-before) / items
	assert.Less(t, each, 15.0, "bytes an item")
	assert.Greater(t, each, 13.0, "or else this measures nothing")
	assert.Equal(t, items, j.Counts().Done)
	require.NoError(t, j.Compact())
	assert.Less(t, float64(heap()-before)/items, 15.0, "a compaction leaves nothing behind")
	require.NoError(t, j.Close())
}

// To record something allocates nothing.
func TestAppendAllocatesNothing(t *testing.T) {
	j := open(t, filepath.Join(t.TempDir(), "run.journal"), journal.Options{})
	data := []byte(`{"cost":3}`)
	require.NoError(t, j.Start(0, 1, data))
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		if err := j.Start(0, 1, data); err != nil {
			t.Error(err)
		}
	}))
	require.NoError(t, j.Close())
}

// BenchmarkAppend is two records an item, start and done, on a file.
func BenchmarkAppend(b *testing.B) {
	for _, c := range []struct {
		name string
		sync journal.Sync
	}{{"off", journal.Off}, {"interval", journal.Interval}, {"always", journal.Always}} {
		b.Run("sync="+c.name, func(b *testing.B) {
			j := open(b, filepath.Join(b.TempDir(), "run.journal"), journal.Options{Sync: c.sync})
			b.ReportAllocs()
			item := 0
			for b.Loop() {
				if err := j.Start(item, uint64(item)+1, nil); err != nil {
					b.Fatal(err)
				}
				if err := j.Done(item, nil); err != nil {
					b.Fatal(err)
				}
				item++
			}
			require.NoError(b, j.Close())
		})
	}
	b.Run("floor=write", func(b *testing.B) { // two writes of that length, and nothing else
		f, err := os.OpenFile(filepath.Join(b.TempDir(), "floor"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		require.NoError(b, err)
		line := journal.Encode(journal.Record{Kind: journal.KindStart, Item: 1 << 20, Status: journal.Status{Hash: 1, Starts: 1}})
		for b.Loop() {
			for range 2 {
				if _, err := f.Write(line); err != nil {
					b.Fatal(err)
				}
			}
		}
		require.NoError(b, f.Close())
	})
}

// BenchmarkOpen reads what is on record of 100,000 items, two records each, and compacts that.
func BenchmarkOpen(b *testing.B) {
	const items = 100_000
	path := fullJournal(b, items)
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			j := open(b, path, journal.Options{Sync: journal.Off})
			require.NoError(b, j.Close())
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/items, "ns/item")
	})
	b.Run("floor=read", func(b *testing.B) { // the bytes alone
		for b.Loop() {
			f, err := os.Open(path)
			require.NoError(b, err)
			_, err = io.Copy(io.Discard, struct{ io.Reader }{f})
			require.NoError(b, err)
			require.NoError(b, f.Close())
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/items, "ns/item")
	})
	b.Run("compact", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			data, err := os.ReadFile(path)
			require.NoError(b, err)
			again := filepath.Join(b.TempDir(), "again")
			require.NoError(b, os.WriteFile(again, data, 0o600))
			j := open(b, again, journal.Options{Sync: journal.Off})
			b.StartTimer()
			require.NoError(b, j.Compact())
			b.StopTimer()
			require.NoError(b, j.Close())
			b.StartTimer()
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/items, "ns/item")
	})
}

// BenchmarkFiveMillion opens a journal of five million items and says how large the process has become.
func BenchmarkFiveMillion(b *testing.B) {
	if os.Getenv("TOLLER_JOURNAL_LARGE") == "" {
		b.Skip("writes 650 MB; set TOLLER_JOURNAL_LARGE=1")
	}
	path := fullJournal(b, 5_000_000)
	for b.Loop() {
		j := open(b, path, journal.Options{Sync: journal.Off})
		require.Equal(b, 5_000_000, j.Counts().Done)
		b.ReportMetric(float64(heap())/1e6, "heap-MB")
		require.NoError(b, j.Close())
		b.ReportMetric(residentMB(b), "peak-resident-MB")
	}
}

// residentMB is the most memory that this process has had resident, as Linux counts it; 0 elsewhere.
func residentMB(b *testing.B) float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	var kb float64
	for line := range strings.Lines(string(status)) {
		if _, err := fmt.Sscanf(line, "VmHWM: %f kB", &kb); err == nil {
			return kb * 1024 / 1e6
		}
	}
	b.Fatal("no VmHWM")
	return 0
}
