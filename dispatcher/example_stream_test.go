package dispatcher_test

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/toller-go/toller/dispatcher"
)

// The answer is printed while it comes. Its attempt takes a worker until it has been closed: so no more than four streams are open at a
// time.
func ExampleStream() {
	ctx := context.Background()
	d, err := dispatcher.New(dispatcher.Config{Workers: 4})
	if err != nil {
		panic(err)
	}
	defer d.Close(ctx)

	answer, err := dispatcher.Stream(ctx, d, func(ctx context.Context) (io.ReadCloser, func() error, error) {
		body := &openBody{Reader: strings.NewReader("Because it is so."), closed: make(chan struct{})} // what an API returns
		return body, func() error {
			select {
			case <-body.closed:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}, nil
	})
	if err != nil {
		panic(err)
	}
	text, err := io.ReadAll(answer)
	fmt.Printf("%s %v, %d running\n", text, err, d.Snapshot().Running)
	answer.Close()
	err = d.WaitIdle(ctx)
	fmt.Printf("%v, %d running\n", err, d.Snapshot().Running)
	// Output:
	// Because it is so. <nil>, 1 running
	// <nil>, 0 running
}

// openBody tells when it has been closed.
type openBody struct {
	io.Reader
	closed chan struct{}
}

func (b *openBody) Close() error { close(b.closed); return nil }
