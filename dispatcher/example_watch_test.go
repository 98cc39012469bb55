package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/policy"
)

// How things stand, all of the same moment: in all, for each limit and group, and for each key that differs from a new one.
func ExampleDispatcher_Snapshot() {
	ctx := context.Background()
	d, err := dispatcher.New(dispatcher.Config{
		Limits:  []policy.Limit{{Name: "requests", Rate: policy.PerDay(1), Burst: 1}},
		Breaker: policy.Breaker{FailureThreshold: 1},
	})
	if err != nil {
		panic(err)
	}
	defer d.Stop(ctx)

	call := func(context.Context) (int, error) { return 0, errors.New("down") }
	_, _ = dispatcher.Do(ctx, d, call, dispatcher.WithKey("eu"))
	waiting, err := dispatcher.Submit(ctx, d, call, dispatcher.WithKey("us"))
	if err != nil {
		panic(err)
	}
	waiting.Explain() // by now it has been looked at

	now := d.Snapshot()
	fmt.Println(now.Running, "running,", now.Queued, "queued,", now.Waiting, "waiting for an instant")
	for _, limit := range now.Limits {
		fmt.Printf("%s, %v: %.0f left, holds back %d\n", limit.Name, limit.Rate, limit.Level, limit.Waiting)
	}
	for _, key := range now.Keys {
		fmt.Printf("%s: %d queued, circuit %v\n", key.Key, key.Queued, key.Circuit)
		for _, wait := range key.Waits {
			fmt.Println("   waits for", wait.Kind, wait.Name)
		}
	}
	// Output:
	// 0 running, 1 queued, 0 waiting for an instant
	// requests, 1/day: 0 left, holds back 1
	// eu: 0 queued, circuit open
	// us: 1 queued, circuit closed
	//    waits for limit requests
}

// What happens, in order, told on a goroutine of its own. A listener may call anything.
func ExampleConfig_onEvent() {
	d, err := dispatcher.New(dispatcher.Config{
		Retry: policy.Retry{MaxAttempts: 2, Delay: time.Millisecond},
		OnEvent: func(e dispatcher.Event) {
			fmt.Println(e.Seq, e.Kind, "of job", e.Job)
		},
	})
	if err != nil {
		panic(err)
	}
	defer d.Close(context.Background())

	first := true
	_, err = dispatcher.Do(context.Background(), d, func(context.Context) (int, error) {
		if first {
			first = false
			return 0, policy.Transient(errors.New("overloaded"))
		}
		return 1, nil
	})
	if err := d.FlushEvents(context.Background()); err != nil {
		panic(err)
	}
	fmt.Println(err, "with", d.EventsDropped(), "dropped")
	// Output:
	// 1 attempt started of job 1
	// 2 attempt ended of job 1
	// 3 job waiting of job 1
	// 4 attempt started of job 1
	// 5 attempt ended of job 1
	// 6 job settled of job 1
	// <nil> with 0 dropped
}

// Snapshots, events and errors have attributes for log/slog.
func ExampleSnapshot_LogValue() {
	ctx := context.Background()
	d, err := dispatcher.New(dispatcher.Config{Name: "batch"})
	if err != nil {
		panic(err)
	}
	defer d.Close(ctx)

	log := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Attr{} // so that every run prints the same
		}
		return a
	}}))
	log.Info("state", "now", d.Snapshot())
	_, err = dispatcher.Do(ctx, d, func(context.Context) (int, error) { return 0, errors.New("no such model") }, dispatcher.WithKey("gpt"))
	log.Error("failed", "about", err)
	// Output:
	// level=INFO msg=state now.dispatcher=batch now.queued=0 now.waiting=0 now.running=0 now.paused=false
	// level=ERROR msg=failed about.dispatcher=batch about.job=1 about.attempts=1 about.key=gpt about.reason="failed (retries are off)" about.last="no such model"
}
