package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/policy"
)

// sharedLimit is example 2: two functions call one service and share its limit, because they go through one dispatcher. With no
// Retry and no Breaker, these are off.
func sharedLimit(ctx context.Context, diary diary) (err error) {
	diary.note("Example 2: two functions share a limit of 2 calls a second, 2 at once")
	service, err := dispatcher.New(dispatcher.Config{
		Name:   "service",
		Limits: []policy.Limit{{Name: "calls", Rate: policy.PerSecond(2), Burst: 2}},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, service.Close(ctx)) }()
	a := dispatcher.Wrap(service, endpoint("A"))
	b := dispatcher.Wrap(service, endpoint("B"))

	type result struct {
		text string
		err  error
		took time.Duration
	}
	results := make([]result, 4)
	var gather sync.WaitGroup
	for i := range results {
		call, item := a, 1+i/2
		if i%2 == 1 {
			call = b
		}
		gather.Go(func() {
			r := &results[i]
			r.text, r.err = call(ctx, item)
			r.took = time.Since(diary.start)
		})
	}
	gather.Wait()
	for _, r := range results {
		if r.err != nil {
			return r.err
		}
		diary.note("%s", r.text)
	}
	// Which two of the four go first is up to the goroutines; when each is done is up to the limit.
	slices.SortFunc(results, func(x, y result) int { return cmp.Compare(x.took, y.took) })
	diary.note("Two calls are done after %.1f s, one more after %.1f s, and the last after %.1f s",
		results[1].took.Seconds(), results[2].took.Seconds(), results[3].took.Seconds())
	return nil
}

// endpoint returns a function that calls one of the service's endpoints.
func endpoint(name string) func(ctx context.Context, item int) (string, error) {
	return func(ctx context.Context, item int) (string, error) {
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return "", err
		}
		return fmt.Sprintf("%s %d done", name, item), nil
	}
}
