package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// What the parallel processor has as constants and defaults.
const (
	processorStep     = time.Millisecond      // between two looks at what is to be done
	processorLate     = 50 * time.Millisecond // how far they may be behind and catch up
	processorAttempts = 5
	// What its HTTP client, aiohttp, has unless told otherwise.
	processorConnections = 100
	processorTimeout     = 5 * time.Minute
	// So that tokens, of which the API has no limit, bind nobody.
	processorTokens = 2e6
	// What it takes an answer to cost where the request has no max_tokens.
	processorAnswer = 15
)

// processorRules is what the parallel processor goes by.
type processorRules struct {
	requestsPerMinute float64
	tokensPerMinute   float64
	attempts          int
	pause             time.Duration      // after a throttle
	throttled         func(problem) bool // which errors are throttles
}

// processor has prompts answered by the algorithm of api_request_parallel_processor.py in OpenAI's cookbook, written anew from its
// description. One loop, once a millisecond: it fills two buckets, of requests and of tokens per minute, takes the next request,
// one to be retried before any new one, and sends it if both have room. After an error that is a throttle nothing is sent for 15 s.
// Whatever the error, a request is sent five times at most, and then its line is that error.
type processor struct {
	processorRules
	client *http.Client
	url    string
	out    *sheet

	mu           sync.Mutex
	retries      []*pending // guarded by mu: in the order of their failures
	unsettled    int        // guarded by mu: begun, and without a line
	lastThrottle time.Time  // guarded by mu
}

// pending is a prompt that has been begun. It belongs to the loop, or to the attempt under way.
type pending struct {
	prompt
	tokens float64
	left   int // attempts
}

// problem is the error in an answer.
type problem struct {
	Message string `json:"message"`
	Code    string `json:"code"`
}

// byMessage knows a throttle by the words of its message, as the script did at first and as many copies of it do.
func byMessage(p problem) bool { return strings.Contains(p.Message, "Rate limit") }

// byCode is how the script does it today. The code is Azure's; of OpenAI's own throttles it sees none, and never pauses.
func byCode(p problem) bool { return p.Code == "429" }

// run is that of a contender.
func (r processorRules) run(ctx context.Context, t task) error {
	out, err := newSheet(t.out)
	if err != nil {
		return err
	}
	transport := t.transport()
	transport.MaxConnsPerHost, transport.MaxIdleConnsPerHost = processorConnections, processorConnections
	defer transport.CloseIdleConnections()
	p := &processor{processorRules: r, client: &http.Client{Transport: transport, Timeout: processorTimeout}, url: t.chat(), out: out}
	p.loop(ctx, t.prompts)
	if err := out.close(); err != nil {
		return err
	}
	return ctx.Err()
}

// loop returns when every prompt has its line, or when ctx has ended and with it what was under way.
func (p *processor) loop(ctx context.Context, prompts []prompt) {
	var sending sync.WaitGroup
	defer sending.Wait()
	requests, tokens := newBucket(p.requestsPerMinute, time.Now()), newBucket(p.tokensPerMinute, time.Now())
	pace := newPace()
	var next *pending // taken, and waiting for room
	for ctx.Err() == nil {
		if next == nil {
			next, prompts = p.take(prompts)
		}
		now := time.Now()
		requests.fill(now)
		tokens.fill(now)
		if next != nil && requests.left >= 1 && tokens.left >= next.tokens {
			requests.left--
			tokens.left -= next.tokens
			next.left--
			request := next
			sending.Go(func() { p.attempt(ctx, request) })
			next = nil
		}
		if next == nil && len(prompts) == 0 && p.settled() {
			return
		}
		pace.wait(ctx)
		if rest := p.cooldown(time.Now()); rest > 0 { // once: what is throttled meanwhile shows after the next request
			sleep(ctx, rest)
			pace = newPace()
		}
	}
}

// pace is a look every millisecond on average. The script sleeps that long after each, and timers take up to twice as long where others want
// the processors: then fewer requests would be out before it knows of a throttle, and the figures would be those of the machine.
type pace struct{ due time.Time }

func newPace() pace { return pace{due: time.Now()} }

// wait waits for the next look. What was missed is made up for, within reason.
func (p *pace) wait(ctx context.Context) {
	now := time.Now()
	p.due = p.due.Add(processorStep)
	if late := now.Add(-processorLate); p.due.Before(late) {
		p.due = late
	}
	sleep(ctx, p.due.Sub(now))
}

// take returns what is to be sent next, a retry before a new prompt, and the prompts that are left; nil if there is nothing now.
func (p *processor) take(prompts []prompt) (*pending, []prompt) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.retries) > 0 {
		next := p.retries[0]
		p.retries = p.retries[1:]
		return next, prompts
	}
	if len(prompts) == 0 {
		return nil, nil
	}
	p.unsettled++
	return &pending{prompt: prompts[0], tokens: tokensOf(prompts[0].body), left: p.attempts}, prompts[1:]
}

// settled reports whether everything that was begun has its line.
func (p *processor) settled() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.unsettled == 0
}

// cooldown is how long nothing is sent from now on.
func (p *processor) cooldown(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lastThrottle.Add(p.pause).Sub(now)
}

// attempt sends a prompt once.
func (p *processor) attempt(ctx context.Context, r *pending) {
	answer, err := p.call(ctx, r.body)
	p.mu.Lock()
	defer p.mu.Unlock()
	var refused *refusal
	if errors.As(err, &refused) && p.throttled(refused.problem) {
		p.lastThrottle = time.Now()
	}
	switch {
	case err == nil:
		p.out.answered(r.prompt, answer)
	case r.left > 0:
		p.retries = append(p.retries, r)
		return
	default:
		p.out.gaveUp(r.prompt, err)
	}
	p.unsettled--
}

// refusal is an answer that has an error in it.
type refusal struct{ problem problem }

func (r *refusal) Error() string { return r.problem.Message }

// call posts a body. Like the script, it does not look at the status, but takes all JSON without an error for an answer.
func (p *processor) call(ctx context.Context, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := p.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	var envelope struct {
		Error *problem `json:"error"`
	}
	if err := json.Unmarshal(answer, &envelope); err != nil {
		return nil, err
	}
	if envelope.Error != nil {
		return nil, &refusal{*envelope.Error}
	}
	return answer, nil
}

// tokensOf is what a request is taken to cost: the prompt's tokens, of four bytes each, and what the answer may have.
func tokensOf(body []byte) float64 {
	var request struct {
		Messages  []struct{ Content string }
		MaxTokens *int `json:"max_tokens"`
	}
	_ = json.Unmarshal(body, &request) // it was made here
	const perMessage, perAnswer = 4, 2
	tokens := perAnswer + processorAnswer
	if request.MaxTokens != nil {
		tokens = perAnswer + *request.MaxTokens
	}
	for _, m := range request.Messages {
		tokens += perMessage + (len(m.Content)+3)/4
	}
	return float64(tokens)
}

// sleep waits for d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
