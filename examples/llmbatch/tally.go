package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/toller-go/toller/examples/llmbatch/internal/chat"
	"github.com/toller-go/toller/job"
)

// tally counts what a run does. Its methods may be called from any goroutine.
type tally struct {
	mu     sync.Mutex
	counts counts // guarded by mu
}

// counts is the figures of a run at one moment.
type counts struct {
	Prompts  int `json:"prompts"`
	Answered int `json:"answered"`
	Failed   int `json:"failed"` // each has its line
	Left     int `json:"left"`   // given up because the run ended

	Requests         int   `json:"requests"`  // attempts that have ended
	Retries          int   `json:"retries"`   // of them, all but the first of each prompt
	Throttled        int   `json:"throttled"` // refused for sending too much
	Errors           int   `json:"errors"`    // failed otherwise
	PromptTokens     int64 `json:"prompt_tokens"`
	CompletionTokens int64 `json:"completion_tokens"`

	started time.Time
	ended   time.Time // zero while the run goes on
}

func (t *tally) begin(prompts int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts = counts{Prompts: prompts, started: time.Now()}
}

// attempt counts the end of one attempt.
func (t *tally) attempt(ctx context.Context, answer chat.Answer, err error) {
	attempt, _ := job.AttemptFrom(ctx)
	var refused *chat.Error
	throttled := errors.As(err, &refused) && refused.Class == chat.Throttled
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts.Requests++
	if attempt.N > 1 {
		t.counts.Retries++
	}
	switch {
	case throttled:
		t.counts.Throttled++
	case err != nil:
		t.counts.Errors++
	default:
		t.counts.PromptTokens += answer.Usage.PromptTokens
		t.counts.CompletionTokens += answer.Usage.CompletionTokens
	}
}

// recorded counts a prompt whose line is written.
func (t *tally) recorded(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		t.counts.Answered++
	} else {
		t.counts.Failed++
	}
	t.counts.ended = time.Now()
}

// left counts a prompt that was given up.
func (t *tally) left() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts.Left++
}

// now returns the figures of this moment.
func (t *tally) now() counts {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.counts
}

// finished is how many prompts have their line.
func (c counts) finished() int { return c.Answered + c.Failed }

// elapsed is how long the run has taken.
func (c counts) elapsed() time.Duration { return time.Since(c.started) }

// remaining is how long the run will still take if it goes on as before; negative while nobody can tell.
func (c counts) remaining() time.Duration {
	if c.finished() == 0 {
		return -1
	}
	each := float64(c.elapsed()) / float64(c.finished())
	return time.Duration(each * float64(c.Prompts-c.finished()))
}

// exitCode is what the run comes to. A wish to halt that came when all was done changes nothing, unless a record failed.
func (t *tally) exitCode(h *halt) int {
	c, code := t.now(), 0
	if wished, _ := h.wish(); wished == exitNotRecorded || c.finished() < c.Prompts {
		code = wished
	}
	if code == 0 && c.Failed > 0 {
		code = exitSomeFailed
	}
	return code
}
