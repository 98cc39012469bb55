package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
)

// ask stands for a call to a model.
func ask(context.Context, string) (string, error) { return "Because.", nil }

func readme(ctx context.Context) error {
	d, err := dispatcher.New(dispatcher.Config{
		Limits:  []policy.Limit{{Name: "requests", Rate: policy.PerMinute(500), Burst: 10}},
		Retry:   policy.Retry{MaxAttempts: 4},
		Breaker: policy.Breaker{FailureThreshold: 5},
	})
	if err != nil {
		return err
	}
	defer d.Close(context.Background()) // finishes what was accepted
	future, err := dispatcher.Submit(ctx, d, func(ctx context.Context) (string, error) { return ask(ctx, "Why?") })
	if err != nil {
		return err
	}
	answer, err := future.Await(ctx)
	fmt.Println(answer, err)
	return err
}

func Example() {
	if err := readme(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output: Because. <nil>
}

func readmeBatch(ctx context.Context, d *dispatcher.Dispatcher, prompts []string) error {
	for item := range dispatcher.Map(ctx, d, slices.Values(prompts), ask, nil) {
		fmt.Println(item.In, item.Value, item.Err)
	}
	return ctx.Err() // a loop that ended early looks like one that is through
}

// A batch: each result as it comes, with the element that it is about.
func Example_batch() {
	ctx := context.Background()
	d, err := dispatcher.New(dispatcher.Config{Workers: 1})
	if err != nil {
		panic(err)
	}
	defer d.Close(ctx)
	if err := readmeBatch(ctx, d, []string{"Why?", "Why not?"}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// Why? Because. <nil>
	// Why not? Because. <nil>
}

// The lines of the README's programs are those of the examples above, in that order.
func TestReadmeProgram(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	source, err := os.ReadFile("example_test.go")
	require.NoError(t, err)
	rest, programs := string(source), 0
	for part := range strings.SplitSeq(string(text), "```go\n") {
		program, _, found := strings.Cut(part, "```")
		if programs++; programs == 1 || !found {
			continue // what stands before the first
		}
		for line := range strings.Lines(program) {
			_, rest, found = strings.Cut(rest, "\n\t"+line)
			require.True(t, found, "not in the examples, or not in this order: %s", line)
			rest = "\n" + rest
		}
	}
	require.Equal(t, 3, programs)
}

func ExampleDo() {
	d, err := dispatcher.New(dispatcher.Config{Retry: policy.Retry{MaxAttempts: 3, Delay: time.Millisecond}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer d.Close(context.Background())

	answer, err := dispatcher.Do(context.Background(), d, func(ctx context.Context) (string, error) {
		attempt, _ := job.AttemptFrom(ctx)
		if attempt.N < 3 {
			return "", policy.Transient(errors.New("overloaded"))
		}
		return fmt.Sprintf("answered in attempt %d", attempt.N), nil
	})
	fmt.Println(answer, err)
	// Output: answered in attempt 3 <nil>
}

func ExampleWrap() {
	d, err := dispatcher.New(dispatcher.Config{Limits: []policy.Limit{{Name: "calls", Rate: policy.PerSecond(10), Burst: 20}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer d.Close(context.Background())

	length := dispatcher.Wrap(d, func(_ context.Context, prompt string) (int, error) {
		if prompt == "" {
			return 0, policy.Fatal(errors.New("empty prompt"))
		}
		return len(prompt), nil
	})
	fmt.Println(length(context.Background(), "How long?"))
	_, err = length(context.Background(), "")
	fmt.Println(errors.Is(err, job.ErrFailed), err.(*job.Error).Last) //nolint:errorlint // the future's own error
	// Output:
	// 9 <nil>
	// true empty prompt
}

func ExampleMap() {
	d, err := dispatcher.New(dispatcher.Config{Name: "squares", Workers: 4})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer d.Close(context.Background())

	numbers := slices.Values([]int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
	square := func(_ context.Context, n int) (int, error) { return n * n, nil }
	sum := 0
	for item := range dispatcher.Map(context.Background(), d, numbers, square, nil) {
		sum += item.Value
	}
	fmt.Println(sum)
	// Output: 385
}

// Two stages of a pipeline, each on a dispatcher with limits of its own. What fails in the first is passed on.
func ExampleThen() {
	ctx := context.Background()
	fetching, err := dispatcher.New(dispatcher.Config{Retry: policy.Retry{MaxAttempts: 3}})
	if err != nil {
		panic(err)
	}
	defer fetching.Close(ctx)
	asking, err := dispatcher.New(dispatcher.Config{Limits: []policy.Limit{{Name: "requests", Rate: policy.PerMinute(500), Burst: 10}}})
	if err != nil {
		panic(err)
	}
	defer asking.Close(ctx)

	fetch := func(_ context.Context, page string) (int, error) { return len(page), nil }
	ask := func(_ context.Context, length int) (string, error) { return fmt.Sprintf("%d letters", length), nil }
	pages := slices.Values([]string{"one", "three"})
	fetched := dispatcher.Map(ctx, fetching, pages, fetch, nil, dispatcher.InOrder())
	for item := range dispatcher.Then(ctx, asking, fetched, ask, nil, dispatcher.InOrder()) {
		fmt.Println(item.In, item.Value, item.Err)
	}
	// Output:
	// one 3 letters <nil>
	// three 5 letters <nil>
}

// Two dispatchers that take from one limit, because their jobs use one account.
func ExampleNewSharedLimit() {
	ctx := context.Background()
	account, err := dispatcher.NewSharedLimit(policy.Limit{Name: "requests", Rate: policy.PerHour(100), Burst: 10})
	if err != nil {
		panic(err)
	}
	for _, name := range []string{"chat", "batch"} {
		d, err := dispatcher.New(dispatcher.Config{Name: name, Shared: []*dispatcher.SharedLimit{account}})
		if err != nil {
			panic(err)
		}
		defer d.Close(ctx)
		if _, err := dispatcher.Do(ctx, d, func(context.Context) (int, error) { return 0, nil }); err != nil {
			panic(err)
		}
	}
	fmt.Printf("%.0f of %g are left\n", math.Floor(account.Level()), account.Limit().Capacity())
	// Output: 8 of 10 are left
}
