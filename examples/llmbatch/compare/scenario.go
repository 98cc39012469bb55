package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/toller-go/toller/examples/internal/fakellm"
)

// scenario is what every contender faces. Immutable once made.
type scenario struct {
	prompts []prompt
	api     fakellm.Config
	pause   time.Duration // of the parallel processor after a throttle
}

// prompt is one request, and what its answer is known by.
type prompt struct {
	id   string
	text string
	body []byte // what is posted
}

// inFlight is how many requests the contenders that bound it have under way at once: what llmbatch does by default.
const inFlight = 64

// hostile is the scenario of the comparison: 40 requests a second, and one in five of them meets a fault. The burst of ten seconds is
// there for the parallel processor's sake: it stops for 15 s at each throttle, and in between gets no more done than the API admits at
// once. With a burst of one second, it takes a quarter of an hour. So are the many kinds of faults, of which throttles are but one.
func hostile(n int, seed uint64) scenario {
	return scenario{
		prompts: somePrompts(n, seed),
		api: fakellm.Config{
			Rate: 40, Burst: 400,
			Faults: fakellm.Faults{Share: 0.2, Kinds: []fakellm.Fault{
				fakellm.Status408, fakellm.Status409, fakellm.Status500, fakellm.Status502, fakellm.Status503, fakellm.Status504,
				fakellm.ThrottleSeconds, fakellm.ErrorIn200, fakellm.Reset, fakellm.EOF,
				fakellm.ResetMid, fakellm.EOFMid, fakellm.Short, fakellm.Empty,
			}},
			Latency: fakellm.Range{Min: 50 * time.Millisecond, Max: 300 * time.Millisecond},
			Seed:    seed,
		},
		pause: 15 * time.Second,
	}
}

// perMinute is the limit as an API states it: what it admits in a minute in the long run.
func (s *scenario) perMinute() float64 { return 60 * s.api.Rate }

// needed is how many requests must be admitted until every prompt has its answer: the schedule of faults spares none of them, so that
// of n requests n × share are lost whoever sends them.
func (s *scenario) needed() int {
	const rounding = 1e-9
	return int(math.Ceil(float64(len(s.prompts))/(1-s.api.Faults.Share) - rounding))
}

// ideal is the time in which so many can be admitted: the burst at once, and then as the bucket fills. What the last answer takes is
// not in it.
func (s *scenario) ideal() time.Duration {
	return time.Duration(max(0, float64(s.needed())-s.api.Burst) / s.api.Rate * float64(time.Second))
}

// somePrompts makes prompts of different lengths, no two alike.
func somePrompts(n int, seed uint64) []prompt {
	random := rand.New(rand.NewPCG(seed, 0))
	subjects := strings.Fields("glaciers beehives lighthouses tides bridges violins deserts clocks rivers comets harbours forests")
	asks := []string{"Describe %s in two sentences", "What would a child ask about %s", "Name three surprising facts about %s", "Translate a saying about %s into French"}
	prompts := make([]prompt, n)
	for i := range prompts {
		words := make([]string, 1+random.IntN(4))
		for j := range words {
			words[j] = subjects[random.IntN(len(subjects))]
		}
		text := fmt.Sprintf(asks[random.IntN(len(asks))]+" (no. %d).", strings.Join(words, " and "), i+1)
		body, err := json.Marshal(map[string]any{
			"model": "fake-mini", "messages": []map[string]string{{"role": "user", "content": text}}, "max_tokens": 64,
		})
		if err != nil {
			panic(err) // text and numbers
		}
		prompts[i] = prompt{id: fmt.Sprintf("prompt-%d", i+1), text: text, body: body}
	}
	return prompts
}

// writeTo writes the prompts as a file for llmbatch.
func (s *scenario) writeTo(path string) error {
	var lines []byte
	for _, p := range s.prompts {
		line, err := json.Marshal(map[string]any{
			"custom_id": p.id, "method": "POST", "url": "/v1/chat/completions", "body": json.RawMessage(p.body),
		})
		if err != nil {
			return err
		}
		lines = append(append(lines, line...), '\n')
	}
	return os.WriteFile(path, lines, 0o600)
}

// faceAll has all contenders answer the prompts, one after the other. What they leave in files is gone when it returns.
func (s *scenario) faceAll(ctx context.Context, stderr io.Writer) ([]result, error) {
	dir, err := os.MkdirTemp("", "llmbatch-compare-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // what is left of it is in the directory for such things
	program, err := build(ctx, dir)
	if err != nil {
		return nil, err
	}
	var results []result
	for i, c := range contenders(s, program) {
		result, err := s.face(ctx, c, filepath.Join(dir, strconv.Itoa(i)), newProgress(stderr, c.name, len(s.prompts)))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		results = append(results, result)
	}
	return results, nil
}

// face has one contender answer the prompts, with a server of its own, and counts. dir is made for its files.
func (s *scenario) face(ctx context.Context, c contender, dir string, p *progress) (result, error) {
	t := task{prompts: s.prompts, in: filepath.Join(dir, "prompts.jsonl"), out: filepath.Join(dir, "results.jsonl")}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return result{}, err
	}
	if err := s.writeTo(t.in); err != nil {
		return result{}, err
	}
	api, err := fakellm.New(s.api)
	if err == nil {
		err = api.Start("127.0.0.1:0")
	}
	if err != nil {
		return result{}, fmt.Errorf("the API does not start: %w", err)
	}
	t.baseURL = api.BaseURL()

	p.start(api.Ledger)
	began := time.Now()
	failed := c.run(ctx, t)
	took := time.Since(began)
	p.stop()

	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_ = api.Shutdown(closing) // whoever is still asking has been given up; the bill has it
	if failed != nil {
		return result{}, failed
	}
	r := result{contender: c, took: took, bill: api.Ledger()}
	if r.lines, err = judge(t); err != nil {
		return result{}, err
	}
	p.done(&r)
	return r, nil
}
