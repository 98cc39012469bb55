// Command quickstart asks a made-up, unreliable model a hundred questions, under a limit, with retries and a breaker.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"os"
	"time"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/policy"
)

func main() {
	if err := run(os.Stdout, 100); err != nil {
		log.Fatal(err)
	}
}

// ask is a call that fails now and then, as calls over a network do.
func ask(_ context.Context, question int) (int, error) {
	time.Sleep(20 * time.Millisecond)
	if rand.IntN(5) == 0 {
		return 0, policy.Transient(errors.New("the model is overloaded"))
	}
	return 2 * question, nil
}

func run(out io.Writer, questions int) error {
	d, err := dispatcher.New(dispatcher.Config{
		Limits:  []policy.Limit{{Name: "requests", Rate: policy.PerSecond(50), Burst: 20}},
		Retry:   policy.Retry{MaxAttempts: 12, Delay: 50 * time.Millisecond},
		Breaker: policy.Breaker{FailureThreshold: 10},
	})
	if err != nil {
		return err
	}
	start, answers := time.Now(), 0
	numbers := func(yield func(int) bool) {
		for n := range questions {
			if !yield(n) {
				return
			}
		}
	}
	for item := range dispatcher.Map(context.Background(), d, numbers, ask, nil) {
		if item.Err != nil {
			_, _ = fmt.Fprintln(out, "question", item.In, "failed:", item.Err)
			continue
		}
		answers++
	}
	_, _ = fmt.Fprintf(out, "%d of %d questions answered in %v\n", answers, questions, time.Since(start).Round(100*time.Millisecond))
	return d.Close(context.Background())
}
