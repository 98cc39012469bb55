package main

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/toller-go/toller/dispatcher"
)

var errBackend = errors.New("backend says no")

// same fails the test unless got is want.
func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got\n%v\nwant\n%v", what, got, want)
	}
}

// open returns a dispatcher that is closed when the test ends, while its bubble still exists.
func open(t *testing.T, cfg dispatcher.Config) *dispatcher.Dispatcher {
	t.Helper()
	d, err := dispatcher.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		if err := d.Close(ctx); err != nil {
			t.Errorf("jobs were left at the end of the test: %v", err)
		}
	})
	return d
}

// timeline notes instants of a bubble, counted from when it was made.
type timeline struct {
	start time.Time // immutable

	mu    sync.Mutex
	marks []time.Duration // guarded by mu
}

func newTimeline() *timeline { return &timeline{start: time.Now()} }

func (l *timeline) now() time.Duration { return time.Since(l.start) }

func (l *timeline) mark() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.marks = append(l.marks, l.now())
}

// all returns the marks, in order of time.
func (l *timeline) all() []time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Sorted(slices.Values(l.marks))
}

// marking returns a function that marks its start, takes as long as given, and ends in err. It heeds its context.
func (l *timeline) marking(takes time.Duration, err error) func(context.Context) error {
	return func(ctx context.Context) error {
		l.mark()
		if stopped := pause(ctx, takes); stopped != nil {
			return stopped
		}
		return err
	}
}

func ms(all ...int) []time.Duration {
	list := make([]time.Duration, len(all))
	for i, n := range all {
		list[i] = time.Duration(n) * time.Millisecond
	}
	return list
}

// together makes n calls at once, and waits for them.
func together(n int, call func()) {
	var calls sync.WaitGroup
	for range n {
		calls.Go(call)
	}
	calls.Wait()
}
