package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/policy"
)

// A batch in which something fails loses nothing: what failed is an item like the others, with the element that it was about.
func ExampleMap_failures() {
	ctx := context.Background()
	d, err := dispatcher.New(dispatcher.Config{})
	if err != nil {
		panic(err)
	}
	defer d.Close(ctx)

	prompts := slices.Values([]string{"Why?", "", "How?"})
	ask := func(_ context.Context, prompt string) (int, error) {
		if prompt == "" {
			return 0, policy.Fatal(errors.New("empty prompt"))
		}
		return len(prompt), nil
	}
	answered, failed := 0, 0
	for item := range dispatcher.Map(ctx, d, prompts, ask, nil) {
		if item.Err != nil {
			fmt.Printf("element %d, %q, failed\n", item.Index, item.In) // and item.Err says why
			failed++
			continue
		}
		answered++
	}
	fmt.Println(answered, failed)
	// Output:
	// element 1, "", failed
	// 2 1
}

// The source may be without end: no more is read than is asked for, and a window. To leave the loop cancels the rest.
func ExampleMap_leave() {
	ctx := context.Background()
	d, err := dispatcher.New(dispatcher.Config{})
	if err != nil {
		panic(err)
	}
	defer d.Close(ctx)

	numbers := func(yield func(int) bool) {
		n := 0
		for yield(n) {
			n++
		}
	}
	square := func(_ context.Context, n int) (int, error) { return n * n, nil }
	for item := range dispatcher.Map(ctx, d, numbers, square, nil, dispatcher.InOrder(), dispatcher.WithWindow(10)) {
		if item.Value > 50 {
			fmt.Println(item.In)
			break
		}
	}
	// Output: 8
}

// Each element may have a key, costs, groups, a priority and a deadline of its own.
func ExampleSpec() {
	ctx := context.Background()
	d, err := dispatcher.New(dispatcher.Config{Limits: []policy.Limit{
		{Name: "tokens", Rate: policy.PerDay(1000), Burst: 1000, PerKey: true},
	}})
	if err != nil {
		panic(err)
	}
	defer d.Close(ctx)

	type prompt struct{ model, text string }
	prompts := slices.Values([]prompt{{"small", "Why?"}, {"large", "Why not?"}, {"small", "How?"}})
	ask := func(_ context.Context, p prompt) (string, error) { return strings.ToUpper(p.text), nil }
	per := func(p prompt) dispatcher.Spec {
		return dispatcher.Spec{Key: p.model, Costs: []dispatcher.Cost{{Limit: "tokens", Tokens: float64(100 * len(p.text))}}}
	}
	for item := range dispatcher.Map(ctx, d, prompts, ask, per) {
		if item.Err != nil {
			panic(item.Err)
		}
	}
	for _, key := range d.Snapshot().Keys {
		fmt.Printf("%s: %.0f tokens left\n", key.Key, key.Limits[0].Level)
	}
	// Output:
	// small: 200 tokens left
	// large: 200 tokens left
}

// A small window keeps the source close: here no more than two elements are read and not yielded.
func ExampleWithWindow() {
	ctx := context.Background()
	d, err := dispatcher.New(dispatcher.Config{})
	if err != nil {
		panic(err)
	}
	defer d.Close(ctx)

	read := 0
	source := func(yield func(int) bool) {
		for read < 100 {
			read++
			if !yield(read) {
				return
			}
		}
	}
	same := func(_ context.Context, n int) (int, error) { return n, nil }
	yielded, ahead := 0, 0
	for range dispatcher.Map(ctx, d, source, same, nil, dispatcher.WithWindow(2)) {
		ahead = max(ahead, read-yielded)
		yielded++
	}
	fmt.Println(yielded, ahead <= 2)
	// Output: 100 true
}

// The results in the order of the source, whichever is ready first.
func ExampleInOrder() {
	ctx := context.Background()
	d, err := dispatcher.New(dispatcher.Config{})
	if err != nil {
		panic(err)
	}
	defer d.Close(ctx)

	first := make(chan struct{})
	fn := func(_ context.Context, n int) (string, error) {
		switch n {
		case 1:
			<-first // the last to be ready
		case 3:
			close(first)
		}
		return strings.Repeat("*", n), nil
	}
	for item := range dispatcher.Map(ctx, d, slices.Values([]int{1, 2, 3}), fn, nil, dispatcher.InOrder()) {
		fmt.Println(item.Value)
	}
	// Output:
	// *
	// **
	// ***
}
