package dispatcher

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
)

// There may be millions of jobs: a task fits a size class of the allocator, and what few jobs need stands behind a pointer. A field
// that makes it larger costs the next class, 32 bytes for each of them.
func TestTaskSize(t *testing.T) {
	const class = 288
	assert.LessOrEqual(t, unsafe.Sizeof(task[int]{}), uintptr(class))
	assert.LessOrEqual(t, unsafe.Sizeof(task[struct{}]{}), uintptr(class))
	t.Logf("task[int] %d, its header %d bytes", unsafe.Sizeof(task[int]{}), unsafe.Sizeof(header{}))
}
