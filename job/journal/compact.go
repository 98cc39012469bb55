package journal

import (
	"bufio"
	"errors"
	"path/filepath"
)

// Compact rewrites the journal so that it has only the last record of each item, in the order in which these were written, and none of
// items that were reset. Nothing can be recorded meanwhile, and no status be read. It needs room on the disk for both files, and 4
// bytes of memory an item until it returns.
//
// The new file is written beside the old one, under its name and ".compact", forced to the disk, and then takes its name: a crash
// at any moment leaves the one or the other, whole. An error before that leaves the journal as it was, and usable. An error after
// it matches [ErrUnwritable]. On Windows, which does not replace a file that is open, Compact fails, harmlessly.
func (j *Journal) Compact() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for j.syncing {
		j.idle.Wait()
	}
	if err := j.usable(); err != nil {
		return err
	}
	if err := rewind(j.file); err != nil {
		return asError(j.path, err, "compacting")
	}
	last, err := lastRecords(j.file)
	if err != nil {
		return asError(j.path, err, "compacting")
	}
	n := 0
	return j.rewrite(false, func(r Record) bool {
		n++
		return r.Kind.ofItem() && last[r.Item/pageItems][r.Item%pageItems] == uint32(n)
	})
}

// lastRecords returns, by pages, which record is the last of each item, from 1; 0 for items that have none that counts.
func lastRecords(f file) ([]*[pageItems]uint32, error) {
	var last []*[pageItems]uint32
	n := uint32(0)
	_, err := scan(f, false, func(_ []byte, r Record) error {
		n++
		if !r.Kind.ofItem() {
			return nil
		}
		at := r.Item / pageItems
		for at >= len(last) {
			last = append(last, nil)
		}
		if last[at] == nil {
			last[at] = new([pageItems]uint32)
		}
		last[at][r.Item%pageItems] = n
		if r.Kind == KindReset {
			last[at][r.Item%pageItems] = 0
		}
		return nil
	})
	return last, err
}

// repair rewrites the file without its damaged lines, and keeps the old one under another name. Open calls it.
func (j *Journal) repair() error {
	aside := j.target + ".damaged"
	err := j.fs.Remove(aside)
	if err == nil {
		err = j.fs.Link(j.target, aside)
	}
	if err == nil {
		err = j.fs.SyncDir(filepath.Dir(j.target)) // before the other name goes
	}
	if err != nil {
		return asError(j.path, err, "keeping the damaged file as "+aside)
	}
	return j.rewrite(true, func(r Record) bool { return r.Kind.ofItem() })
}

// rewrite replaces the file by one that has a header with the metadata of now, and the lines of those records that keep picks, byte
// for byte. It is called with mu held, or before anyone else knows of j.
func (j *Journal) rewrite(salvage bool, keep func(Record) bool) error {
	temporary := j.target + ".compact"
	next, err := j.fs.Open(temporary, true)
	if err != nil {
		return asError(j.path, err, "compacting")
	}
	size, records, err := j.copyTo(next, salvage, keep)
	if err == nil {
		err = next.Sync()
	}
	if err == nil {
		err = j.fs.Rename(temporary, j.target)
	}
	if err != nil {
		err = errors.Join(err, next.Close(), j.fs.Remove(temporary))
		return asError(j.path, err, "compacting; the journal is as it was")
	}
	old := j.file
	j.file, j.size, j.records = next, size, records
	j.synced = j.written
	// Until the directory is on the disk, a power cut would bring back the old file, without what is recorded from now on.
	if err := j.fs.SyncDir(filepath.Dir(j.target)); err != nil {
		return j.spoil(errors.Join(err, old.Close()), "forcing a new name to the disk")
	}
	_ = old.Close() // nothing of it is needed any more
	return nil
}

// copyTo writes the new contents to next.
func (j *Journal) copyTo(next file, salvage bool, keep func(Record) bool) (size int64, records int, err error) {
	if err := rewind(j.file); err != nil {
		return 0, 0, err
	}
	out := bufio.NewWriterSize(next, 1<<20)
	put := func(line []byte) error {
		size += int64(len(line))
		records++
		_, err := out.Write(line)
		return err
	}
	if err := put(encode(nil, Record{Kind: KindHeader, Data: j.meta})); err != nil {
		return 0, 0, err
	}
	_, err = scan(j.file, salvage, func(line []byte, r Record) error {
		if !keep(r) {
			return nil
		}
		return put(line)
	})
	return size, records, errors.Join(err, out.Flush())
}
