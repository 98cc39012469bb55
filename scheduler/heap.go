package scheduler

import "github.com/toller-go/toller/policy"

// heap is a 4-ary min-heap of values: half the depth of a binary one, and the four children of a node share a cache line
// or two. Each item is told its index whenever that changes, so that any item can be removed in O(log n).
type heap[T any] struct {
	nodes []heapNode[T]
	moved func(item T, pos int32) // -1: it has left the heap
}

// heapNode keeps the order beside the item, so that comparing follows no pointer.
type heapNode[T any] struct {
	key  int64
	tie  uint64 // decides between equal keys; unique
	item T
}

func (n *heapNode[T]) less(m *heapNode[T]) bool {
	return n.key < m.key || n.key == m.key && n.tie < m.tie
}

func (h *heap[T]) len() int { return len(h.nodes) }

// key returns the least key, or that of [policy.Never] when the heap is empty.
func (h *heap[T]) key() int64 {
	if len(h.nodes) == 0 {
		return int64(policy.Never)
	}
	return h.nodes[0].key
}

// min returns the least node; the heap must not be empty.
func (h *heap[T]) min() *heapNode[T] { return &h.nodes[0] }

func (h *heap[T]) push(key int64, tie uint64, item T) {
	h.nodes = append(h.nodes, heapNode[T]{key, tie, item})
	h.up(len(h.nodes) - 1)
}

// remove takes out the item at pos.
func (h *heap[T]) remove(pos int32) {
	i, last := int(pos), len(h.nodes)-1
	h.moved(h.nodes[i].item, -1)
	moved := h.nodes[last]
	h.nodes[last] = heapNode[T]{} // let go of the pointer
	h.nodes = h.nodes[:last]
	if i == last {
		return
	}
	h.nodes[i] = moved
	if !h.up(i) {
		h.down(i)
	}
}

// up moves the node at i towards the root as far as it belongs, and reports whether it moved.
func (h *heap[T]) up(i int) bool {
	node, start := h.nodes[i], i
	for i > 0 {
		parent := (i - 1) / 4
		if !node.less(&h.nodes[parent]) {
			break
		}
		h.place(i, h.nodes[parent])
		i = parent
	}
	h.place(i, node)
	return i != start
}

// down moves the node at i away from the root as far as it belongs.
func (h *heap[T]) down(i int) {
	node := h.nodes[i]
	for {
		least := h.leastChild(i)
		if least < 0 || !h.nodes[least].less(&node) {
			break
		}
		h.place(i, h.nodes[least])
		i = least
	}
	h.place(i, node)
}

// leastChild returns the index of the least child of i, or -1 if it has none.
func (h *heap[T]) leastChild(i int) int {
	first := 4*i + 1
	if first >= len(h.nodes) {
		return -1
	}
	least := first
	for child := first + 1; child < min(first+4, len(h.nodes)); child++ {
		if h.nodes[child].less(&h.nodes[least]) {
			least = child
		}
	}
	return least
}

func (h *heap[T]) place(i int, node heapNode[T]) {
	h.nodes[i] = node
	h.moved(node.item, int32(i))
}

// below calls visit for every item whose key is less than key, in no useful order. It looks at no subtree whose root is
// not below, so the work is in proportion to what it finds. visit must not change the heap.
func (h *heap[T]) below(key int64, visit func(T)) { h.belowFrom(0, key, visit) }

func (h *heap[T]) belowFrom(i int, key int64, visit func(T)) {
	if i >= len(h.nodes) || h.nodes[i].key >= key {
		return
	}
	visit(h.nodes[i].item)
	for child := 4*i + 1; child <= 4*i+4; child++ {
		h.belowFrom(child, key, visit)
	}
}
