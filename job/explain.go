package job

import (
	"fmt"
	"strings"
	"time"
)

// Explanation says where a job stands, and what it waits for if it waits. Its String is a sentence for people.
type Explanation struct {
	ID         ID
	Dispatcher string
	Key        string
	State      string  // "queued", "waiting" (for an instant), "running", or "settled"
	Attempts   int     // started so far
	Waits      []Wait  // all of it must come true; empty when the job runs or is over
	History    History // of the attempts that have failed so far
}

// Wait is one thing that a job waits for.
type Wait struct {
	For   string        // such as "limit", "cooldown", "circuit", "worker", "group"
	Name  string        // of the limit or group
	In    time.Duration // how long if nothing else happens; negative when no time can tell
	Why   string        // what stands in the way, in words
	Frees string        // what would end the wait sooner
}

// String returns a sentence such as
//
//	job 7 (key "gpt") of dispatcher "batch" is queued after 1 attempt (overloaded): it waits for limit "tokens" (3 of the 50 it costs), in 4.7s (or SetRate, SetBurst)
func (e Explanation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "job %d", e.ID)
	if e.Key != "" {
		fmt.Fprintf(&b, " (key %q)", e.Key)
	}
	fmt.Fprintf(&b, " of dispatcher %q is %s", e.Dispatcher, e.State)
	switch {
	case e.State == "running":
		fmt.Fprintf(&b, ", attempt %d", e.Attempts)
	case e.Attempts > 0:
		fmt.Fprintf(&b, " after %d %s", e.Attempts, plural(e.Attempts, "attempt"))
	}
	if last := e.History.latest(); last != nil {
		fmt.Fprintf(&b, " (%v)", last)
	}
	for i, w := range e.Waits {
		if i == 0 {
			b.WriteString(": it waits for ")
		} else {
			b.WriteString("; and for ")
		}
		w.write(&b)
	}
	return b.String()
}

func (w Wait) write(b *strings.Builder) {
	b.WriteString(w.Why)
	if w.In >= 0 {
		fmt.Fprintf(b, ", in %v", w.In.Round(time.Millisecond))
	}
	if w.Frees != "" {
		fmt.Fprintf(b, " (or %s)", w.Frees)
	}
}

// Explain says what the job waits for and until when, and how its attempts have failed (S-O3). It asks the dispatcher, which takes
// no longer than a turn of its loop; once that has been closed, all it says is that the job is settled. Of a nil or zero Future it is the zero Explanation.
func (f *Future[T]) Explain() Explanation {
	if f == nil || f.owner == nil {
		return Explanation{}
	}
	return f.owner.ExplainJob()
}
