package main

import (
	"path/filepath"
	"time"

	"github.com/toller-go/toller/job/journal"
)

// policy is when a store forces what it was told to the disk.
type policy int

const (
	off      policy = iota // never, until it is closed
	interval               // within about a second
	always                 // before the call returns
)

func (p policy) String() string { return [...]string{"off", "interval", "always"}[p] }

// store is a durable record of items. Calls may come from any goroutine. Each is on record when it returns: it survives a kill, and
// with always, a power cut.
type store interface {
	start(item int, hash uint64) error
	done(item int) error
	close() error
}

// status is what each store keeps of an item.
type status struct {
	state  uint8 // 1 in flight, 2 done
	hash   uint64
	starts uint16
}

// contender is a way to keep the record.
type contender struct {
	name string
	// open makes a store in an empty directory, for that many callers at once.
	open func(dir string, p policy, callers int) (store, error)
	// load reads the status of all items into memory, as a program does that resumes.
	load func(dir string) (map[int]status, error)
	// resume is what a program has to do before it can go on: open, and count the items that are done. It is what is timed.
	resume func(dir string) (done int, err error)
}

// contenders are all of them, ours first.
func contenders() []contender {
	return []contender{
		{"journal", openJournal, loadJournal, resumeJournal},
		{"bbolt", openBolt, loadBolt, resumeBolt},
		{"sqlite", openSQLite, loadSQLite, resumeSQLite},
	}
}

// ours is a store of package journal.
type ours struct{ j *journal.Journal }

func openJournal(dir string, p policy, _ int) (store, error) {
	sync := map[policy]journal.Sync{off: journal.Off, interval: journal.Interval, always: journal.Always}[p]
	j, err := journal.Open(filepath.Join(dir, "run.journal"), journal.Options{Sync: sync, Every: time.Second})
	if err != nil {
		return nil, err
	}
	return ours{j}, nil
}

func (o ours) start(item int, hash uint64) error { return o.j.Start(item, hash, nil) }
func (o ours) done(item int) error               { return o.j.Done(item, nil) }
func (o ours) close() error                      { return o.j.Close() }

func loadJournal(dir string) (map[int]status, error) {
	s, err := openJournal(dir, off, 1)
	if err != nil {
		return nil, err
	}
	all := map[int]status{}
	for item, s := range s.(ours).j.All() {
		all[item] = status{uint8(s.State), s.Hash, uint16(s.Starts)}
	}
	return all, s.close()
}

func resumeJournal(dir string) (int, error) {
	s, err := openJournal(dir, off, 1)
	if err != nil {
		return 0, err
	}
	return s.(ours).j.Counts().Done, s.close()
}
