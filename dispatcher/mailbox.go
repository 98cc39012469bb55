package dispatcher

import (
	"sync"

	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/scheduler"
)

// message is something for the loop: an event for the core, or something to do.
type message struct {
	kind    scheduler.EventKind
	job     *header        // of Submit, Done, Unstarted and Cancel
	attempt int            // of Done and Unstarted
	outcome policy.Outcome // of Done
	err     error          // of Done: what the function returned; of Cancel: the cause of the job's context
	expired bool           // of Cancel: it was the context's deadline
	limit   int            // of Correct
	amount  policy.Amount  // of Correct
	do      func()         // instead of an event: called on the loop
}

// mailbox is how everybody talks to the loop. Posting never blocks: what bounds its length is the bound on accepted jobs,
// each of which has but a few messages under way. The loop takes all there is in one swap.
type mailbox struct {
	bell chan struct{} // holds one: there is something to take

	mu     sync.Mutex
	queue  []message // guarded by mu
	closed bool      // guarded by mu; no more jobs are accepted
	ended  bool      // guarded by mu; nobody reads any more
}

// post delivers m. It reports false when the loop has ended; then every job is settled and nothing is in flight.
func (b *mailbox) post(m message) bool {
	b.mu.Lock()
	if b.ended {
		b.mu.Unlock()
		return false
	}
	b.queue = append(b.queue, m)
	first := len(b.queue) == 1
	b.mu.Unlock()
	if first {
		ring(b.bell)
	}
	return true
}

// submit is post for a new job. It reports false once close has been called: whether a job was accepted is decided here,
// in one place and one moment (S-F6).
func (b *mailbox) submit(h *header) bool {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return false
	}
	b.queue = append(b.queue, message{kind: scheduler.Submit, job: h})
	first := len(b.queue) == 1
	b.mu.Unlock()
	if first {
		ring(b.bell)
	}
	return true
}

// ring wakes whoever listens to a bell, a channel that holds one. Only the message that finds the mailbox empty needs to: the
// others ride along.
func ring(bell chan<- struct{}) {
	select {
	case bell <- struct{}{}:
	default:
	}
}

// close lets no more jobs in.
func (b *mailbox) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
}

// take returns all messages, and keeps spare, emptied, for those to come.
func (b *mailbox) take(spare []message) []message {
	clear(spare)
	b.mu.Lock()
	defer b.mu.Unlock()
	taken := b.queue
	b.queue = spare[:0]
	return taken
}

// end turns away all further messages and returns those that had not been taken.
func (b *mailbox) end() []message {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
	return b.queue
}
