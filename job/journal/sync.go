package journal

import (
	"errors"
	"runtime"
	"time"
)

// commit gets what was just written to the disk, now or later, as the policy wants. It is called with mu held.
func (j *Journal) commit() error {
	switch j.sync {
	case Always:
		return j.flush(j.written)
	case Interval:
		j.arm()
	case Off:
	}
	return nil
}

// arm sees to it that there will be an fsync within the time that Interval allows. It is called with mu held.
func (j *Journal) arm() {
	switch {
	case j.timerSet:
		return
	case j.timer == nil:
		j.timer = time.AfterFunc(j.every, j.tick)
	default:
		j.timer.Reset(j.every)
	}
	j.timerSet = true
}

// flush returns when the first upTo records of this process are on the disk, or cannot be brought there. It is called with mu held,
// and gives it up while it waits: others write meanwhile, and one fsync serves all who wrote before it began.
func (j *Journal) flush(upTo uint64) error {
	for j.synced < upTo {
		if j.failed != nil {
			return j.failed
		}
		if j.closed {
			return &Error{Path: j.path, Item: -1, Reason: ErrClosed}
		}
		if j.syncing {
			j.idle.Wait()
			continue
		}
		// Those whom the last fsync has woken are about to write again: let them, so that this one serves them, too. If
		// it did not wait for them, every other fsync would serve one record.
		j.syncing = true
		j.mu.Unlock()
		runtime.Gosched()
		j.mu.Lock()
		target, f := j.written, j.file
		j.mu.Unlock()
		err := f.Sync()
		j.mu.Lock()
		j.syncing = false
		j.idle.Broadcast()
		if err != nil {
			return j.spoil(err, "forcing records to the disk")
		}
		j.synced = target
	}
	return nil
}

// tick is the timer's.
func (j *Journal) tick() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.timerSet = false // so that who writes during the fsync sets it again
	if !j.closing {
		_ = j.flush(j.written) // its error is kept for the next call
	}
}

// Flush forces what was recorded to the disk, whatever the policy is, and returns when it is there.
func (j *Journal) Flush() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.usable(); err != nil {
		return err
	}
	return j.flush(j.written)
}

// Close forces what was recorded to the disk, unless the policy is Off, closes the file and gives up the lock. Its error is the one
// that Err returns, or what the system said when closing. Items in flight stay so: on record they may have taken effect. A second
// Close does nothing.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closing {
		return nil
	}
	j.closing = true
	err := j.failed
	if err == nil && j.sync != Off {
		err = j.flush(j.written)
	}
	for j.syncing { // by a Flush, or by the timer
		j.idle.Wait()
	}
	if j.timer != nil {
		j.timer.Stop()
	}
	j.closed = true
	return errors.Join(err, j.file.Close(), j.unlock())
}
