package job

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// A word of a deadlock that comes with a result is no more than that of this wait: the next one is told anew.
func TestDeadlockIsForgotten(t *testing.T) {
	box := &inbox{bell: make(chan struct{}, 1)}
	box.despair()
	box.add(3)
	assert.NoError(t, box.wait(t.Context()), "there is a result")
	assert.Equal(t, []int{3}, box.take())
	box.ring()
	assert.NoError(t, box.wait(t.Context()), "nobody has said that there is a deadlock")
	box.despair()
	assert.ErrorIs(t, box.wait(t.Context()), ErrDeadlock)
}
