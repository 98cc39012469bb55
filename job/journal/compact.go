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
	return j.compact(nil, func(line []byte, _ Record) ([]byte, error) { return line, nil })
}

// Renumber is [Journal.Compact] for a journal whose items have got other numbers: number returns the one that an item has from now on,
// or ok false, by which it is left out like one that was reset. It is called for each item that has a record, in the order of their
// last ones, with the journal held: it must not call its methods. Replay is not called again. While it runs it needs another 13 bytes of
// memory an item.
//
// Numbers must be from 0 to [MaxItem], and different: the error matches [ErrInvalid] otherwise, and the journal is as it was. The
// others are those of Compact.
func (j *Journal) Renumber(number func(item int) (renumbered int, ok bool)) error {
	items := new(table)
	var buf []byte
	return j.compact(items, func(_ []byte, r Record) ([]byte, error) {
		to, ok := number(r.Item)
		if !ok {
			return nil, nil
		}
		if to < 0 || to > MaxItem {
			return nil, &FieldError{"number", to, "from 0 to 1,073,741,823"}
		}
		if _, taken := items.get(to); taken {
			return nil, &FieldError{"number", to, "another for each item"}
		}
		r.Item = to
		items.apply(r)
		buf = encode(buf[:0], r)
		return buf, nil
	})
}

// compact replaces the file by one with the header and what change makes of the last record of each item: a line, or nil. items, unless it
// is nil, is what is in the new file.
func (j *Journal) compact(items *table, change func(line []byte, r Record) ([]byte, error)) error {
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
	n, old := 0, j.file
	err = j.rewrite(false, func(line []byte, r Record) ([]byte, error) {
		n++
		if !r.Kind.ofItem() || last[r.Item/pageItems][r.Item%pageItems] != uint32(n) {
			return nil, nil
		}
		return change(line, r)
	})
	if items != nil && j.file != old {
		j.items = *items
	}
	return err
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
	return j.rewrite(true, func(line []byte, r Record) ([]byte, error) {
		if !r.Kind.ofItem() {
			return nil, nil
		}
		return line, nil
	})
}

// rewrite replaces the file by one that has a header with the metadata of now, and the lines that change makes of its records; nil is
// none. It is called with mu held, or before anyone else knows of j.
func (j *Journal) rewrite(salvage bool, change func(line []byte, r Record) ([]byte, error)) error {
	temporary := j.target + ".compact"
	next, err := j.fs.Open(temporary, true)
	if err != nil {
		return asError(j.path, err, "compacting")
	}
	size, records, err := j.copyTo(next, salvage, change)
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
func (j *Journal) copyTo(next file, salvage bool, change func([]byte, Record) ([]byte, error)) (size int64, records int, err error) {
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
		changed, err := change(line, r)
		if err != nil || changed == nil {
			return err
		}
		return put(changed)
	})
	return size, records, errors.Join(err, out.Flush())
}
