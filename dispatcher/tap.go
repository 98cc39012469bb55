package dispatcher

import (
	"slices"
	"sync"
)

// tap is where a stage reads. The items that it yields carry it, so that the next stage, when it has come to its end, can have the
// reading stopped at the source and pass on what was read before: no element is lost on the way.
type tap struct {
	mu     sync.Mutex
	shut   bool   // guarded by mu
	before []*tap // guarded by mu; of the stages from which items have come; none: the source is not a stage
}

// connect notes that an item has come from the stage of other, if that is one.
func (t *tap) connect(other *tap) {
	if other == nil {
		return
	}
	t.mu.Lock()
	known := slices.Contains(t.before, other)
	if !known {
		t.before = append(t.before, other)
	}
	shut := t.shut && !known
	t.mu.Unlock()
	if shut {
		other.close()
	}
}

// close stops the reading, here and in all stages before.
func (t *tap) close() {
	t.mu.Lock()
	again := t.shut
	t.shut = true
	before := t.before
	t.mu.Unlock()
	if again {
		return
	}
	for _, other := range before {
		other.close()
	}
}

// dry reports whether no more is to be read. From a stage before, what is under way there still is.
func (t *tap) dry() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.shut && len(t.before) == 0
}
