package dispatcher_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/toller-go/toller/dispatcher"
)

// Hand in jobs, do something else, and look at the answers when they are needed.
func ExampleSubmit() {
	ctx := context.Background()
	d, err := dispatcher.New(dispatcher.Config{Workers: 4})
	if err != nil {
		panic(err)
	}
	defer d.Close(ctx)

	double := func(n int) func(context.Context) (int, error) {
		return func(context.Context) (int, error) { return 2 * n, nil }
	}
	first, err := dispatcher.Submit(ctx, d, double(1))
	if err != nil {
		panic(err) // it was refused: there is no future
	}
	second, err := dispatcher.Submit(ctx, d, double(2))
	if err != nil {
		panic(err)
	}
	fmt.Println(first.Await(ctx))
	fmt.Println(second.Await(ctx))
	// Output:
	// 2 <nil>
	// 4 <nil>
}

// Who cannot wait for room in the queue is told at once that there is none.
func ExampleTrySubmit() {
	ctx := context.Background()
	d, err := dispatcher.New(dispatcher.Config{Queue: 1})
	if err != nil {
		panic(err)
	}
	defer d.Close(ctx)

	release := make(chan struct{})
	waiting := func(context.Context) (string, error) { <-release; return "done", nil }
	accepted, err := dispatcher.TrySubmit(ctx, d, waiting)
	if err != nil {
		panic(err)
	}
	_, err = dispatcher.TrySubmit(ctx, d, waiting)
	fmt.Println(errors.Is(err, dispatcher.ErrQueueFull))
	close(release)
	fmt.Println(accepted.Await(ctx))
	// Output:
	// true
	// done <nil>
}

// A function that has nothing to say but whether it went well.
func ExampleGo() {
	ctx := context.Background()
	d, err := dispatcher.New(dispatcher.Config{})
	if err != nil {
		panic(err)
	}
	defer d.Close(ctx)

	sent, err := dispatcher.Go(ctx, d, func(context.Context) error { return errors.New("no such address") })
	if err != nil {
		panic(err)
	}
	_, err = sent.Await(ctx)
	fmt.Println(sent.State(), err != nil)
	// Output: failed true
}
