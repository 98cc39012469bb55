package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"

	"github.com/toller-go/toller/examples/llmbatch/internal/batchfile"
)

// contender is a way of having prompts answered.
type contender struct {
	name string
	how  string // in a sentence or two, for the report
	// run answers what it can and writes it to the task's output. An error means that there is nothing to compare.
	run func(ctx context.Context, t task) error
}

// task is what one contender is to do.
type task struct {
	prompts []prompt
	baseURL string
	in, out string // files; the input is there, in the format of OpenAI Batch

	dial func(ctx context.Context, network, addr string) (net.Conn, error) // that of a test; nil: the network
}

// chat is where prompts are posted.
func (t task) chat() string { return t.baseURL + "/chat/completions" }

// transport is the one that http.Get has, but nobody else's.
func (t task) transport() *http.Transport {
	own := http.DefaultTransport.(*http.Transport).Clone()
	if t.dial != nil {
		own.DialContext = t.dial
	}
	return own
}

// contenders are all of them, in the order of the report; the last is llmbatch, whose program is given.
func contenders(s *scenario, program string) []contender {
	copied := processorRules{
		requestsPerMinute: s.perMinute(), tokensPerMinute: processorTokens, attempts: processorAttempts, pause: s.pause, throttled: byMessage,
	}
	today := copied
	today.throttled = byCode
	return []contender{
		{
			"errgroup, as documented",
			fmt.Sprintf("golang.org/x/sync/errgroup with SetLimit(%d): each prompt is sent once. The first error cancels the others, and what was "+
				"answered by then would be thrown away; here it counts.", inFlight),
			func(ctx context.Context, t task) error { return group(ctx, t, false) },
		},
		{
			"errgroup, errors logged", "The same, but an error becomes a line of the output, and the others go on.",
			func(ctx context.Context, t task) error { return group(ctx, t, true) },
		},
		{
			"parallel processor",
			fmt.Sprintf("The algorithm of api_request_parallel_processor.py in OpenAI's cookbook, written anew from its description: buckets of "+
				"requests and tokens per minute that start full, %d attempts, retries first, and nothing for %v after a 429, which it knows by its "+
				"message, as many copies do. It may send the API's limit of %g requests a minute; its help recommends half of that or three "+
				"quarters, which makes no difference here, where the pauses bind.", processorAttempts, s.pause, s.perMinute()),
			copied.run,
		},
		{
			"parallel processor today", "The same, but a 429 is known by the code in its body, `\"429\"`, as the script has it by now. That is Azure's: of " +
				"OpenAI's it sees none and never pauses, so that they use up its attempts.",
			today.run,
		},
		oursContender(s, program),
	}
}

// sheet is an output under way. Its methods may be called from any goroutine.
type sheet struct {
	mu     sync.Mutex
	out    *batchfile.Writer // guarded by mu
	failed error             // guarded by mu: the first error
}

func newSheet(path string) (*sheet, error) {
	out, err := batchfile.Create(path)
	return &sheet{out: out}, err
}

// answered writes the line of a prompt that has an answer.
func (s *sheet) answered(p prompt, body []byte) {
	s.write(batchfile.Record{CustomID: p.id, Response: &batchfile.Response{StatusCode: 200, Body: body}})
}

// gaveUp writes the line of a prompt that has none.
func (s *sheet) gaveUp(p prompt, err error) {
	s.write(batchfile.Record{CustomID: p.id, Error: &batchfile.Failure{Code: "failed", Message: err.Error()}})
}

func (s *sheet) write(r batchfile.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.out.Write(r); err != nil && s.failed == nil {
		s.failed = err
	}
}

// close returns the first error there was.
func (s *sheet) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.out.Close(); s.failed == nil {
		s.failed = err
	}
	return s.failed
}
