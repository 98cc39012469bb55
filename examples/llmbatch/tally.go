package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/toller-go/toller/examples/llmbatch/internal/batchfile"
	"github.com/toller-go/toller/examples/llmbatch/internal/chat"
	"github.com/toller-go/toller/job/journal"
	"github.com/toller-go/toller/policy/api"
)

// tally counts what a run does. Its methods may be called from any goroutine.
type tally struct {
	mu    sync.Mutex
	price price // immutable

	counts counts                // guarded by mu
	kinds  map[string]*failure   // guarded by mu; what has failed for good, by status or error code
	last   string                // guarded by mu; the latest error of an attempt
	unsent int                   // guarded by mu; attempts that found no connection, until the first that did
	sent   bool                  // guarded by mu; some attempt has reached the server
	under  map[*flight]time.Time // guarded by mu; the attempts under way, and when they began
}

// failure is one kind of failure.
type failure struct {
	count int
	first string // what the first of them said
}

// enoughUnsent is how many attempts in a row find no server before a run that never reached it gives up: the URL is wrong,
// or nobody is there.
const enoughUnsent = 10

// unreachable reports whether the server has never been reached, and has been tried often enough.
func (t *tally) unreachable() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.sent && t.unsent >= enoughUnsent
}

// lastError returns what the latest failed attempt said; empty when none has.
func (t *tally) lastError() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last
}

// counts is the figures of a run at one moment.
type counts struct {
	Prompts  int `json:"prompts"`
	Answered int `json:"answered"`
	Shared   int `json:"shared"` // of the answered, those that share the answer to another prompt
	Failed   int `json:"failed"` // each has its line
	Left     int `json:"left"`   // have no line yet
	Before   int `json:"before"` // of the answered and the failed, those of earlier runs

	Requests         int     `json:"requests"`  // attempts that have ended
	Retries          int     `json:"retries"`   // of them, all but the first of each prompt
	Throttled        int     `json:"throttled"` // refused for sending too much
	Errors           int     `json:"errors"`    // failed otherwise
	PromptTokens     int64   `json:"prompt_tokens"`
	CachedTokens     int64   `json:"cached_tokens"` // of the prompt tokens
	CompletionTokens int64   `json:"completion_tokens"`
	USD              float64 `json:"usd"`          // by -price; 0 without
	MaybeBilled      int     `json:"maybe_billed"` // of the errors: nobody knows whether they cost something

	Busy float64 `json:"busy_seconds"` // of all requests that were answered, together

	answeredBefore int // of Before
	started        time.Time
	ended          time.Time // zero while the run goes on
}

func (t *tally) start(prompts int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts = counts{Prompts: prompts, started: time.Now()}
	t.under = make(map[*flight]time.Time)
}

// resume takes in what earlier runs have done.
func (t *tally) resume(found journal.Counts) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts.Answered, t.counts.Failed, t.counts.Before = found.Done, found.Failed, found.Done+found.Failed
	t.counts.answeredBefore = found.Done
}

// begin notes that an attempt goes out.
func (t *tally) begin(f *flight) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.under[f] = time.Now()
}

// end counts the end of one attempt.
func (t *tally) end(f *flight, answer chat.Answer, err error) {
	var refused *api.Error
	errors.As(err, &refused)
	t.mu.Lock()
	defer t.mu.Unlock()
	took := time.Since(t.under[f])
	delete(t.under, f)
	if refused != nil && refused.Class == api.Unsent {
		t.unsent++
	} else {
		t.sent = true
	}
	t.counts.Requests++
	if f.tries++; f.tries > 1 {
		t.counts.Retries++
	}
	t.bill(answer.Usage) // if only of an answer of no use
	if err == nil {
		t.counts.Busy += took.Seconds()
		return
	}
	t.last = oneLine(err.Error())
	if maybeBilled(err) {
		t.counts.MaybeBilled++
	}
	if refused != nil && refused.Class == api.Throttled {
		t.counts.Throttled++
	} else {
		t.counts.Errors++
	}
}

// bill adds what an answer was billed. mu is held.
func (t *tally) bill(u api.Usage) {
	t.counts.PromptTokens += u.Input
	t.counts.CachedTokens += u.Cached
	t.counts.CompletionTokens += u.Output
	t.counts.USD += t.price.billed(u)
}

// oldest is how long the longest of the attempts under way has taken; 0 if there is none.
func (t *tally) oldest() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	var oldest time.Duration
	for _, began := range t.under {
		oldest = max(oldest, time.Since(began))
	}
	return oldest
}

// recorded counts a prompt whose line is written, as answered or, if it has a flaw or no answer, as failed.
func (t *tally) recorded(record batchfile.Record, answered bool, flaw string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case answered:
		t.counts.Answered++
	case flaw != "":
		t.fail(flaw, "the answer is "+flaw+" (-strict)")
	case record.Error != nil:
		t.fail(record.Error.Code, reasonOf(err))
	case record.Response.StatusCode/100 != 2:
		t.fail(fmt.Sprintf("HTTP %d", record.Response.StatusCode), reasonOf(err))
	default:
		t.fail("no answer", fmt.Sprintf("HTTP %d with an error, or with something else than a JSON object", record.Response.StatusCode))
	}
	t.counts.ended = time.Now()
}

// shared counts a prompt that was answered with the answer to another.
func (t *tally) shared(record batchfile.Record) {
	t.recorded(record, true, "", nil)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts.Shared++
}

// oneLine is text in one line, which it is for whoever draws it: a server may say what takes several, or moves the cursor.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, unicode.IsControl), " ")
}

// fail counts a prompt that has failed for good. mu is held.
func (t *tally) fail(kind, why string) {
	t.counts.Failed++
	if t.kinds == nil {
		t.kinds = make(map[string]*failure)
	}
	if t.kinds[kind] == nil {
		t.kinds[kind] = &failure{first: oneLine(why)}
	}
	t.kinds[kind].count++
}

// failures lists what has failed for good, a line for each kind, with what the first of it said.
func (t *tally) failures() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var list []string
	for _, kind := range slices.Sorted(maps.Keys(t.kinds)) {
		list = append(list, fmt.Sprintf("%d × %s, the first: %s", t.kinds[kind].count, kind, t.kinds[kind].first))
	}
	return list
}

// now returns the figures of this moment.
func (t *tally) now() counts {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.counts
	c.Left = c.Prompts - c.finished()
	return c
}

// finished is how many prompts have their line.
func (c counts) finished() int { return c.Answered + c.Failed }

// elapsed is how long the run has taken.
func (c counts) elapsed() time.Duration { return time.Since(c.started) }

// remaining is how long the run will still take if it goes on as before; negative while nobody can tell.
func (c counts) remaining() time.Duration {
	if c.finished() == c.Before {
		return -1
	}
	each := float64(c.elapsed()) / float64(c.finished()-c.Before)
	return time.Duration(each * float64(c.Prompts-c.finished()))
}

// exitCode is what the run comes to. A wish to halt that came when all was done changes nothing, unless a record failed.
func (t *tally) exitCode(h *halt) int {
	c, code := t.now(), 0
	if wished, _ := h.wish(); wished == exitNotRecorded || c.finished() < c.Prompts {
		code = wished
	}
	switch {
	case code != 0:
		return code
	case c.finished() < c.Prompts:
		return exitPaused // nobody wished for it, but something is left
	case c.Failed > 0:
		return exitSomeFailed
	default:
		return exitDone
	}
}
