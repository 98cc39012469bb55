package journal_test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"sync"

	"github.com/toller-go/toller/job/journal"
)

// What a disk returns after its power was cut, when it is full, and when it is told to.
var (
	errCut  = errors.New("power cut")
	errFull = errors.New("no space left")
	errIO   = errors.New("input/output error")
)

// disk is a file system in memory that knows what of it is on the disk and what is not yet. It fails when told to, and after a
// crash it has what a real one might have. A test may set and read its fields while no journal uses it.
type disk struct {
	mu       sync.Mutex
	names    map[string]*node // as processes see them
	durable  map[string]*node // as they are on the disk
	locked   map[string]bool
	steps    int   // calls that change something, since the start
	stopAt   int   // the step at which the power goes; 0 for never
	room     int   // bytes that can still be written; negative for no end
	syncErr  error // what Sync, SyncDir and Truncate return
	dirErr   error
	truncErr error
	onSync   func()         // called when a sync has begun
	writes   []int          // length of each write
	log      func(s string) // may be nil
}

// node is a file's contents.
type node struct {
	data   []byte
	synced []byte
}

func newDisk() *disk {
	return &disk{names: map[string]*node{}, durable: map[string]*node{}, locked: map[string]bool{}, room: -1}
}

// step counts a change and tells whether the power is gone. It is called with mu held.
func (d *disk) step(format string, args ...any) error {
	if d.stopAt > 0 && d.steps >= d.stopAt {
		return errCut
	}
	d.steps++
	if d.log != nil {
		d.log(fmt.Sprintf(format, args...))
	}
	return nil
}

// kill returns the disk as the next process finds it when this one was killed: nothing that was written is lost.
func (d *disk) kill() *disk {
	after := newDisk()
	for name, n := range d.names {
		after.names[name] = &node{data: append([]byte(nil), n.data...), synced: append([]byte(nil), n.synced...)}
		after.durable[name] = after.names[name]
	}
	return after
}

// crash returns the disk as it may be after a power cut: of what was not synced, some has got there and some has not.
func (d *disk) crash(rnd *rand.Rand) *disk {
	after := newDisk()
	names := d.durable
	if rnd.IntN(2) == 0 { // the directory happened to be written
		names = d.names
	}
	for name, n := range names {
		data := append([]byte(nil), n.synced[:common(n.synced, n.data)]...)
		if len(n.data) > len(data) { // a prefix of the rest; or its length, and zeros where the contents are missing
			rest := n.data[len(data):]
			got := rnd.IntN(len(rest) + 1)
			data = append(data, rest[:got]...)
			if rnd.IntN(3) == 0 {
				data = append(data, make([]byte, rnd.IntN(len(rest)-got+1))...)
			}
		}
		after.names[name] = &node{data: data, synced: append([]byte(nil), data...)}
		after.durable[name] = after.names[name]
	}
	return after
}

func (d *disk) Resolve(path string) string { return path }

func (d *disk) Open(path string, fresh bool) (journal.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step("open %s", filepath.Base(path)); err != nil {
		return nil, err
	}
	n := d.names[path]
	if n == nil {
		n = &node{}
		d.names[path] = n
	}
	if fresh {
		n.data = nil
	}
	return &handle{disk: d, node: n}, nil
}

// common is how many bytes a and b begin with that are the same.
func common(a, b []byte) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

func (d *disk) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step("rename %s to %s", filepath.Base(from), filepath.Base(to)); err != nil {
		return err
	}
	d.names[to] = d.names[from]
	delete(d.names, from)
	return nil
}

func (d *disk) Link(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step("link %s to %s", filepath.Base(from), filepath.Base(to)); err != nil {
		return err
	}
	d.names[to] = d.names[from]
	return nil
}

func (d *disk) Remove(path string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step("remove %s", filepath.Base(path)); err != nil {
		return err
	}
	delete(d.names, path)
	return nil
}

func (d *disk) SyncDir(string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step("sync the directory"); err != nil {
		return err
	}
	if d.dirErr != nil {
		return d.dirErr
	}
	d.durable = maps.Clone(d.names)
	return nil
}

func (d *disk) Lock(path string) (func() error, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.locked[path] {
		return nil, &journal.Error{Item: -1, Reason: journal.ErrLocked}
	}
	d.locked[path] = true
	return func() error {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.locked, path)
		return nil
	}, nil
}

// handle is an open file, in append mode.
type handle struct {
	disk *disk
	node *node
	at   int // where reading goes on
}

func (h *handle) Read(b []byte) (int, error) {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	if h.at >= len(h.node.data) {
		return 0, io.EOF
	}
	n := copy(b, h.node.data[h.at:])
	h.at += n
	return n, nil
}

func (h *handle) Seek(offset int64, whence int) (int64, error) {
	if whence != io.SeekStart {
		return 0, errors.ErrUnsupported
	}
	h.at = int(offset)
	return offset, nil
}

func (h *handle) Write(b []byte) (int, error) {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	if err := h.disk.step("write %d bytes", len(b)); err != nil {
		return 0, err
	}
	n := len(b)
	if h.disk.room >= 0 {
		n = min(n, h.disk.room)
		h.disk.room -= n
	}
	h.node.data = append(h.node.data, b[:n]...)
	h.disk.writes = append(h.disk.writes, n)
	if n < len(b) {
		return n, errFull
	}
	return n, nil
}

func (h *handle) Truncate(size int64) error {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	if err := h.disk.step("truncate to %d", size); err != nil {
		return err
	}
	if h.disk.truncErr != nil {
		return h.disk.truncErr
	}
	h.node.data = append([]byte(nil), h.node.data[:size]...)
	return nil
}

func (h *handle) Sync() error {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	target := len(h.node.data)
	if h.disk.onSync != nil {
		h.disk.mu.Unlock() // it may take its time
		h.disk.onSync()
		h.disk.mu.Lock()
	}
	if err := h.disk.step("sync"); err != nil {
		return err
	}
	if h.disk.syncErr != nil {
		return h.disk.syncErr
	}
	h.node.synced = append([]byte(nil), h.node.data[:target]...)
	return nil
}

func (h *handle) Close() error { return nil }
