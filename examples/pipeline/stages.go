package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
)

// settings is what a run depends on.
type settings struct {
	pages       int
	fetchRate   float64 // pages a second
	summaryRate float64 // summaries a second
}

// The windows: how many pages each stage may have taken in and not passed on.
const (
	fetchWindow   = 20
	summaryWindow = 8
	storeWindow   = 4
)

// page and summary are what the stages pass on. What a later stage must know of an earlier one travels in them.
type page struct {
	number int
	text   string
}

type summary struct {
	page int
	text string
}

// run sends all pages through the stages, and writes to out how that goes. The error is that of a setting or of Close;
// what becomes of a page is written. When ctx ends, the pages under way come out with an error and no more are read.
func run(ctx context.Context, s settings, out io.Writer) (err error) {
	var dispatchers [3]*dispatcher.Dispatcher
	defer func() {
		for _, d := range dispatchers {
			if d != nil {
				err = errors.Join(err, d.Close(context.WithoutCancel(ctx)))
			}
		}
	}()
	for i, cfg := range configs(s) {
		if dispatchers[i], err = dispatcher.New(cfg); err != nil {
			return err
		}
	}
	fetching, summarizing, storing := dispatchers[0], dispatchers[1], dispatchers[2]

	var t tally
	_, _ = fmt.Fprintf(out, "fetch (%g/s, window %d), then summarize (%g/s, window %d), then store (window %d): %d pages\n\n",
		s.fetchRate, fetchWindow, s.summaryRate, summaryWindow, storeWindow, s.pages)
	stop := t.report(out)
	pages := dispatcher.Map(ctx, fetching, t.numbers(s.pages), t.fetch, nil, dispatcher.WithWindow(fetchWindow))
	summaries := dispatcher.Then(ctx, summarizing, pages, t.summarize, nil, dispatcher.WithWindow(summaryWindow))
	stored := dispatcher.Then(ctx, storing, summaries, t.store, nil, dispatcher.WithWindow(storeWindow))
	var failed []string
	for item := range stored {
		t.out.Add(1)
		if item.Err != nil {
			failed = append(failed, fmt.Sprintf("page %d: %v", item.In, item.Err))
		}
	}
	stop()
	t.conclude(out, failed)
	return nil
}

// configs are the dispatchers of the three stages: two limits, and retries where calls fail now and then.
func configs(s settings) [3]dispatcher.Config {
	return [3]dispatcher.Config{
		{Name: "fetch", Limits: []policy.Limit{{Name: "requests", Rate: policy.PerSecond(s.fetchRate), Burst: 1}}},
		{
			Name:   "summarize",
			Limits: []policy.Limit{{Name: "summaries", Rate: policy.PerSecond(s.summaryRate), Burst: 1}},
			Retry:  policy.Retry{MaxAttempts: 3, Jitter: policy.NoJitter}, // so that every run shows the same
		},
		{Name: "store"},
	}
}

// numbers is the source: the numbers of the pages. It is read no faster than the pipeline takes them.
func (t *tally) numbers(pages int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for n := range pages {
			t.read.Add(1)
			t.most = max(t.most, t.read.Load()-t.out.Load())
			if !yield(n) {
				return
			}
		}
	}
}

// fetch, summarize and store stand for calls over a network.

func (t *tally) fetch(ctx context.Context, number int) (page, error) {
	if err := pass(ctx, 40*time.Millisecond); err != nil {
		return page{}, err
	}
	if number%25 == 24 {
		return page{}, policy.Fatal(errors.New("404: there is no such page"))
	}
	t.fetched.Add(1)
	return page{number: number, text: fmt.Sprintf("the text of page %d", number)}, nil
}

func (t *tally) summarize(ctx context.Context, p page) (summary, error) {
	if err := pass(ctx, 200*time.Millisecond); err != nil {
		return summary{}, err
	}
	if attempt, _ := job.AttemptFrom(ctx); attempt.N == 1 && p.number%10 == 3 {
		return summary{}, policy.Transient(errors.New("503: overloaded"))
	}
	t.summarized.Add(1)
	return summary{page: p.number, text: "in short, " + p.text}, nil
}

func (t *tally) store(ctx context.Context, s summary) (struct{}, error) {
	if err := pass(ctx, 10*time.Millisecond); err != nil {
		return struct{}{}, err
	}
	t.stored.Add(1)
	return struct{}{}, nil
}

// pass lets time pass, unless ctx ends before.
func pass(ctx context.Context, takes time.Duration) error {
	timer := time.NewTimer(takes)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
