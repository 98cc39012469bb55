package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/toller-go/toller/dispatcher"
)

// lastWords is how long it may take to write answers that have been decided on when the grace period is over.
const lastWords = time.Second

var errGrace = errors.New("requests were left at the end of the grace period")

// serve answers requests until ctx ends. Then it takes no more and finishes those that it has, for as long as grace; those that
// are left then are told so, and serve returns an error that matches errGrace. It closes the listener and the dispatcher.
func serve(ctx context.Context, l net.Listener, h http.Handler, d *dispatcher.Dispatcher, grace time.Duration) error {
	server := &http.Server{Handler: h, ReadTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		return errors.Join(err, d.Stop(context.WithoutCancel(ctx)))
	case <-ctx.Done():
	}
	left, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), grace, errGrace)
	defer cancel()
	unfinished := server.Shutdown(left)
	err := d.Close(left) // when grace is over it aborts what is left, and so gives every request its answer
	if unfinished != nil {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
		defer cancel()
		if server.Shutdown(last) != nil {
			err = errors.Join(err, server.Close()) // the client does not read, or does not send what it began to
		}
	}
	<-failed //nolint:errcheck // Serve has returned since Shutdown was called, and says just that
	return err
}
