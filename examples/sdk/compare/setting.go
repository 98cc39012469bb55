package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/dispatcher/transport"
	"github.com/toller-go/toller/examples/internal/fakellm"
	"github.com/toller-go/toller/examples/sdk/internal/ask"
	"github.com/toller-go/toller/policy"
)

// The API lets ten through at once, after a pause; the dispatcher sends half of that, since what is sent evenly need not arrive
// so.
const (
	serverBurst = 10
	clientBurst = 5
	latency     = 200 * time.Millisecond
)

// setting is what all contenders meet.
type setting struct {
	calls, workers, limit int
	span                  time.Duration
}

// contender is an SDK, and how it retries.
type contender struct {
	name, way string
	over      bool // a dispatcher, whose attempts are bounded by time alone
	asking    func(url string, client *http.Client) ask.Func
}

// result is how a contender fared.
type result struct {
	contender
	bill fakellm.Ledger
	lost int
	took time.Duration
}

func contenders() []contender {
	var all []contender
	for _, s := range ask.All {
		retries := map[string]int{"alone, its 2 retries": 2, "alone, with 10 retries": 10}
		ways := []string{"alone, its 2 retries", "alone, with 10 retries"}
		if s.Name == "go-openai" || s.Name == "net/http" {
			ways = []string{"alone"}
		}
		for _, way := range ways {
			all = append(all, contender{name: s.Name, way: way, asking: func(url string, client *http.Client) ask.Func {
				return s.Alone(url, "fake-mini", client, retries[way])
			}})
		}
		all = append(all, contender{name: s.Name, way: "over a dispatcher", over: true, asking: func(url string, client *http.Client) ask.Func {
			return s.Over(url, "fake-mini", client)
		}})
	}
	return all
}

// all has the contenders work, each at an API of its own, at the same time: they wait nearly all of it.
func (s setting) all(ctx context.Context) ([]result, error) {
	entered := contenders()
	results, errs := make([]result, len(entered)), make([]error, len(entered))
	var wg sync.WaitGroup
	for i, c := range entered {
		wg.Go(func() { results[i], errs[i] = s.one(ctx, c) })
	}
	wg.Wait()
	return results, errors.Join(errs...)
}

func (s setting) one(ctx context.Context, c contender) (_ result, err error) {
	api, err := fakellm.New(fakellm.Config{
		Limits:  []fakellm.Limit{{Max: float64(s.limit), Per: s.span, Burst: serverBurst}},
		Latency: fakellm.Range{Min: latency},
	})
	if err != nil {
		return result{}, err
	}
	if err := api.Start("127.0.0.1:0"); err != nil {
		return result{}, err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err = errors.Join(err, api.Shutdown(closing))
	}()
	client, finish, err := s.client(c)
	if err != nil {
		return result{}, err
	}
	asking := c.asking(strings.TrimSuffix(api.BaseURL(), "/v1"), client)
	start := time.Now()
	lost := s.work(ctx, asking)
	took := time.Since(start)
	if err := finish(); err != nil {
		return result{}, err
	}
	return result{contender: c, bill: api.Ledger(), lost: lost, took: took}, ctx.Err()
}

// client is the client of a contender, and what is to be done with it in the end.
func (s setting) client(c contender) (*http.Client, func() error, error) {
	base := transport.NewBase(s.workers) // for all alike: the default keeps two connections
	if !c.over {
		return &http.Client{Transport: base}, func() error { base.CloseIdleConnections(); return nil }, nil
	}
	d, err := dispatcher.New(dispatcher.Config{
		Workers: s.workers,
		Limits:  []policy.Limit{{Name: "requests", Rate: policy.Per(float64(s.limit), s.span), Burst: clientBurst}},
		Retry:   policy.Retry{MaxAttempts: 10},
	})
	if err != nil {
		return nil, nil, err
	}
	t, err := transport.New(d, transport.Config{Base: base})
	if err != nil {
		return nil, nil, err
	}
	return &http.Client{Transport: t}, func() error {
		base.CloseIdleConnections()
		return d.Close(context.Background()) // nothing is left: all calls have returned
	}, nil
}

// work asks all questions, as many at once as there are workers, and returns how many got no answer, or a wrong one.
func (s setting) work(ctx context.Context, asking ask.Func) int {
	var lost atomic.Int64
	questions := make(chan string)
	var wg sync.WaitGroup
	for range s.workers {
		wg.Go(func() {
			for q := range questions {
				answer, err := asking(ctx, q)
				if err != nil || !strings.Contains(answer, fakellm.Digest(q)) {
					lost.Add(1)
				}
			}
		})
	}
	for i := range s.calls {
		questions <- fmt.Sprint("question ", i)
	}
	close(questions)
	wg.Wait()
	return int(lost.Load())
}

// ideal is the least time in which the API answers so many calls.
func (s setting) ideal(calls int) time.Duration {
	perCall := float64(s.span) / float64(s.limit)
	return time.Duration(max(0, float64(calls-serverBurst))*perCall) + latency
}
