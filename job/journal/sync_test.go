package journal_test

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/job/journal"
)

// unsynced is how many bytes of the journal are not on the disk.
func (d *disk) unsynced() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.names[at].data) - len(d.names[at].synced)
}

func TestSyncAlways(t *testing.T) {
	d := newDisk()
	j := open(t, at, journal.Options{Sync: journal.Always}.On(d))
	assert.Same(t, d.names[at], d.durable[at], "the directory has its name")
	for item := range 3 {
		require.NoError(t, j.Start(item, 0, nil))
		assert.Zero(t, d.unsynced())
	}
	require.NoError(t, j.SetMeta(nil))
	assert.Zero(t, d.unsynced())
	require.NoError(t, j.Close())
}

func TestSyncOff(t *testing.T) {
	d := newDisk()
	syncs := 0
	d.onSync = func() { syncs++ }
	j := open(t, at, journal.Options{Sync: journal.Off}.On(d))
	require.NoError(t, j.Start(0, 0, nil))
	assert.Zero(t, syncs)
	require.NoError(t, j.Flush(), "one that is asked for")
	assert.Equal(t, 1, syncs)
	assert.Zero(t, d.unsynced())
	require.NoError(t, j.Flush(), "there is nothing to do")
	require.NoError(t, j.Start(0, 0, nil))
	require.NoError(t, j.Close())
	assert.Equal(t, 1, syncs)
}

// What is found at Open may never have been forced to the disk, and is relied upon from then on.
func TestOpenForcesWhatItFinds(t *testing.T) {
	for _, c := range []struct {
		sync journal.Sync
		want bool
	}{{journal.Always, true}, {journal.Interval, true}, {journal.Off, false}} {
		d := newDisk()
		j := open(t, at, journal.Options{Sync: journal.Off}.On(d))
		require.NoError(t, j.Start(0, 0, nil))
		require.NoError(t, j.Close())
		j = open(t, at, journal.Options{Sync: c.sync}.On(d))
		assert.Equal(t, c.want, d.unsynced() == 0)
		require.NoError(t, j.Close())
	}
}

func TestSyncInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		var syncs []time.Duration
		begin := time.Now()
		var mu sync.Mutex
		d.onSync = func() {
			mu.Lock()
			defer mu.Unlock()
			syncs = append(syncs, time.Since(begin))
		}
		seen := func() []time.Duration {
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(syncs)
		}
		j := open(t, at, journal.Options{Every: 3 * time.Second}.On(d))
		assert.Equal(t, []time.Duration{0}, seen(), "the header")

		time.Sleep(10 * time.Second)
		require.NoError(t, j.Start(0, 0, nil)) // at 10 s: forced at 13 s
		time.Sleep(2 * time.Second)
		require.NoError(t, j.Start(1, 0, nil)) // at 12 s: likewise
		time.Sleep(2 * time.Second)
		assert.Zero(t, d.unsynced())
		require.NoError(t, j.Start(2, 0, nil)) // at 14 s: forced at 17 s
		time.Sleep(time.Hour)
		assert.Equal(t, []time.Duration{0, 13 * time.Second, 17 * time.Second}, seen(), "and not while there is nothing to force")

		require.NoError(t, j.Start(3, 0, nil))
		require.NoError(t, j.Close())
		assert.Zero(t, d.unsynced(), "Close forces the rest")
		assert.Len(t, seen(), 4)
	})
}

// slowSync makes each fsync take a second, during which others write.
func slowSync(d *disk) *atomic.Int32 {
	syncs := new(atomic.Int32)
	d.onSync = func() {
		syncs.Add(1)
		time.Sleep(time.Second)
	}
	return syncs
}

// A record that is written while the timer's fsync is under way is not covered by it, and has its own time.
func TestSyncIntervalDuringSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		j := open(t, at, journal.Options{Every: 3 * time.Second}.On(d))
		syncs := slowSync(d)
		require.NoError(t, j.Start(0, 0, nil))
		time.Sleep(3*time.Second + time.Millisecond)
		assert.EqualValues(t, 1, syncs.Load(), "under way")
		require.NoError(t, j.Start(1, 0, nil), "who writes does not wait for it")
		time.Sleep(3 * time.Second)
		synctest.Wait()
		assert.EqualValues(t, 2, syncs.Load())
		time.Sleep(time.Second)
		synctest.Wait()
		assert.Zero(t, d.unsynced())

		require.NoError(t, j.Start(2, 0, nil))
		go func() { assert.NoError(t, j.Flush()) }()
		synctest.Wait()
		require.NoError(t, j.Start(3, 0, nil), "during somebody's Flush")
		time.Sleep(5 * time.Second)
		assert.Zero(t, d.unsynced())

		require.NoError(t, j.Start(4, 0, nil))
		time.Sleep(3*time.Second + time.Millisecond)
		require.NoError(t, j.Close(), "while the timer's fsync is under way")
	})
}

// With Always, those who write during an fsync share the next one.
func TestGroupCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		j := open(t, at, journal.Options{Sync: journal.Always}.On(d))
		syncs := slowSync(d)
		begin := time.Now()
		var wg sync.WaitGroup
		var mu sync.Mutex
		took := map[time.Duration]int{}
		for item := range 50 {
			wg.Go(func() {
				assert.NoError(t, j.Start(item, 0, nil))
				mu.Lock()
				defer mu.Unlock()
				took[time.Since(begin)]++
			})
		}
		wg.Wait()
		assert.LessOrEqual(t, syncs.Load(), int32(2), "for those who come first, and for all others together")
		assert.Equal(t, 50, took[time.Second]+took[2*time.Second])
		assert.GreaterOrEqual(t, took[time.Second], 1)
		assert.Zero(t, d.unsynced())
		require.NoError(t, j.Close())
	})
}

// An fsync that failed is not tried again: all who waited for it are told, and so are all who come later.
func TestStickySyncError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		j := open(t, at, journal.Options{Sync: journal.Always}.On(d))
		slowSync(d)
		d.syncErr = errIO
		var wg sync.WaitGroup
		for item := range 10 {
			wg.Go(func() {
				err := j.Start(item, 0, nil)
				assert.ErrorIs(t, err, journal.ErrUnwritable)
				assert.ErrorIs(t, err, errIO)
			})
		}
		wg.Wait()
		d.syncErr = nil // the next one would succeed, and would mean nothing
		writes := len(d.writes)
		assert.ErrorIs(t, j.Start(0, 0, nil), journal.ErrUnwritable)
		assert.ErrorIs(t, j.Flush(), journal.ErrUnwritable)
		assert.ErrorIs(t, j.Err(), journal.ErrUnwritable)
		assert.ErrorIs(t, j.Close(), errIO)
		assert.Len(t, d.writes, writes)
		assert.NotZero(t, d.unsynced())
	})
}

func TestStickySyncErrorOfTheTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		j := open(t, at, journal.Options{}.On(d))
		d.syncErr = errIO
		require.NoError(t, j.Start(0, 0, nil))
		time.Sleep(time.Second - 1)
		synctest.Wait()
		assert.NoError(t, j.Err())
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		assert.ErrorIs(t, j.Err(), journal.ErrUnwritable, "it can be asked for")
		assert.ErrorIs(t, j.Start(1, 0, nil), errIO)
		assert.ErrorIs(t, j.Close(), errIO)
	})
}

// Close waits for an fsync under way, be it one that the policy would not have made, and who waits to flush hears that it is closed.
func TestCloseDuringFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		j := open(t, at, journal.Options{Sync: journal.Off}.On(d))
		slowSync(d)
		begin := time.Now()
		require.NoError(t, j.Start(0, 0, nil))
		go func() { assert.NoError(t, j.Flush()) }()
		synctest.Wait()
		require.NoError(t, j.Start(1, 0, nil))
		var late error
		go func() { late = j.Flush() }()
		synctest.Wait()
		require.NoError(t, j.Close())
		synctest.Wait()
		if late != nil { // it came too late for an fsync of its own
			assert.ErrorIs(t, late, journal.ErrClosed)
			assert.Equal(t, time.Second, time.Since(begin))
		} else {
			assert.Equal(t, 2*time.Second, time.Since(begin))
		}
		assert.NoError(t, j.Err())
	})
}

// Many goroutines at once, under the race detector, on a real file.
func TestConcurrentUse(t *testing.T) {
	for _, policy := range []journal.Sync{journal.Always, journal.Interval, journal.Off} {
		path := t.TempDir() + "/run.journal"
		j := open(t, path, journal.Options{Sync: policy, Every: time.Millisecond})
		var wg sync.WaitGroup
		for worker := range 8 {
			wg.Go(func() {
				for item := worker; item < 400; item += 8 {
					assert.NoError(t, j.Start(item, uint64(item)+1, nil))
					j.Counts()
					assert.NoError(t, j.Done(item, nil))
					assert.Equal(t, journal.Done, j.Status(item).State)
				}
				for range j.All() {
					j.Size()
				}
				assert.NoError(t, j.Compact())
				assert.NoError(t, j.Flush())
			})
		}
		wg.Wait()
		require.NoError(t, j.Close())
		j = open(t, path, journal.Options{})
		assert.Equal(t, journal.Counts{Done: 400, Starts: 400}, j.Counts())
		assert.Equal(t, 401, j.Report().Records)
		require.NoError(t, j.Close())
	}
}
