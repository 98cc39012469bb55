package main

import (
	"context"
	"errors"
	"go/parser"
	"go/token"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
)

// A breaker alone and the circuit of a dispatcher go through the same states at the same times.
func goesThroughItsStates(t *testing.T) {
	rule := policy.Breaker{FailureThreshold: 1, RecoveryTimeout: 10 * time.Second}
	alone, err := dispatcher.NewBreaker(rule)
	if err != nil {
		t.Fatal(err)
	}
	d := open(t, dispatcher.Config{Breaker: rule})
	both := func(want policy.State) {
		t.Helper()
		d.Snapshot() // a snapshot may be as old as the turn before it
		same(t, "breaker alone", alone.State(), want)
		same(t, "dispatcher's circuit", circuit(d), want)
	}
	try := func(err error) {
		t.Helper()
		fn := func(context.Context) error { return err }
		same(t, "breaker alone", errors.Is(alone.Do(t.Context(), fn), err), true)
		same(t, "dispatcher", errors.Is(call(d, fn)(t.Context()), err), true)
	}
	both(policy.Closed)
	try(errBackend)
	both(policy.Open)
	time.Sleep(10*time.Second - time.Nanosecond)
	both(policy.Open)
	time.Sleep(time.Nanosecond)
	both(policy.HalfOpen)
	try(errBackend)
	both(policy.Open)
	time.Sleep(10 * time.Second)
	both(policy.HalfOpen)
	try(nil)
	both(policy.Closed)
}

func opensAsConfigured(t *testing.T) {
	for threshold := 1; threshold <= 4; threshold++ {
		wait := time.Duration(threshold) * time.Second
		d := open(t, dispatcher.Config{Breaker: policy.Breaker{FailureThreshold: threshold, RecoveryTimeout: wait}})
		good, bad := call(d, func(context.Context) error { return nil }), call(d, func(context.Context) error { return errBackend })
		for range threshold - 1 {
			_ = bad(t.Context())
		}
		same(t, "a success ends the row", good(t.Context()), nil)
		for range threshold {
			same(t, "let through", errors.Is(bad(t.Context()), errBackend), true)
		}
		opened, _ := errors.AsType[*policy.OpenCircuitError](good(t.Context()))
		if opened == nil {
			t.Fatal("not open")
		}
		same(t, "open for", opened.RetryAfter, wait)
		time.Sleep(wait)
		same(t, "let through again", good(t.Context()), nil)
	}
}

// cb_expected_exception=MaxRetriesExceeded: what is counted is calls that have used up their attempts, not attempts.
func tripsOnExhaustedRetries(t *testing.T) {
	d := open(t, dispatcher.Config{Retry: fixed(3, time.Second), Breaker: policy.Breaker{FailureThreshold: 2, Counts: policy.CountJobs}})
	line := newTimeline()
	bad, mistaken := call(d, line.marking(0, policy.Transient(errBackend))), call(d, line.marking(0, policy.Fatal(errBackend)))
	same(t, "first", errors.Is(bad(t.Context()), job.ErrMaxRetriesExceeded), true)
	same(t, "not counted", errors.Is(mistaken(t.Context()), job.ErrFailed), true)
	same(t, "second", errors.Is(bad(t.Context()), job.ErrMaxRetriesExceeded), true)
	same(t, "third", errors.Is(bad(t.Context()), policy.ErrOpenCircuit), true)
	same(t, "attempts", line.all(), ms(0, 1000, 2000, 2000, 2000, 3000, 4000))
}

// Which errors count is told by the function: what is unmarked or transient does, what is fatal or neutral does not. An error that
// is not to be repeated and is to count, as a custom fatal error in cb_expected_exception, is one without a mark, or in StopOn.
func tripsOnChosenErrors(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		want policy.State
	}{
		{"unmarked", quotaError{}, policy.Open},
		{"transient, in StopOn", policy.Transient(quotaError{}), policy.Open},
		{"fatal", policy.Fatal(quotaError{}), policy.Closed},
		{"neutral", policy.Neutral(quotaError{}), policy.Closed},
		{"throttled", policy.Throttled(quotaError{}, 0), policy.Closed},
	} {
		d := open(t, dispatcher.Config{
			Retry:   policy.Retry{MaxAttempts: 5, StopOn: isQuota},
			Breaker: policy.Breaker{FailureThreshold: 2},
		})
		line := newTimeline()
		bad := call(d, line.failing(9, tt.err))
		_, _ = bad(t.Context()), bad(t.Context())
		same(t, tt.name, circuit(d), tt.want)
		same(t, tt.name+": attempts", len(line.all()), 2)
	}
	d := open(t, dispatcher.Config{Breaker: policy.Breaker{FailureThreshold: 100}})
	_ = call(d, func(context.Context) error { return policy.Unusable(quotaError{}) })(t.Context())
	same(t, "unusable opens at once", circuit(d), policy.Open)
}

// While the circuit is open the backend is left alone; then one call tries it, and if that goes well, all are let through.
func sparesTheBackend(t *testing.T) {
	d := open(t, dispatcher.Config{Breaker: policy.Breaker{FailureThreshold: 3, RecoveryTimeout: 10 * time.Second}})
	line := newTimeline()
	wrapped := call(d, func(context.Context) error {
		line.mark()
		if line.now() < 15*time.Second {
			return errBackend
		}
		return nil
	})
	for range 40 { // one every half second
		_ = wrapped(t.Context())
		time.Sleep(500 * time.Millisecond)
	}
	same(t, "calls before it has recovered", line.all(), ms(0, 500, 1000, 11_000))
	time.Sleep(time.Second) // it is 21 s
	for range 10 {
		same(t, "error", wrapped(t.Context()), nil)
	}
}

// What Toller has classes for can be told apart by errors.Is and errors.As, whatever the call.
func tellsErrorsApart(t *testing.T) {
	d := open(t, dispatcher.Config{Retry: fixed(2, time.Second), Breaker: policy.Breaker{FailureThreshold: 1, Counts: policy.CountJobs}})
	of := func(err error) func(context.Context) error { return func(context.Context) error { return err } }
	fatal := call(d, of(policy.Fatal(quotaError{})))(t.Context())
	exceeded := call(d, of(policy.Transient(errBackend)))(t.Context())
	opened := call(d, of(nil))(t.Context())
	for _, tt := range []struct {
		name                                        string
		err                                         error
		fatal, exceeded, opened, byBackend, ofQuota bool
	}{
		{"FatalError", fatal, true, false, false, false, true},
		{"MaxRetriesExceeded", exceeded, false, true, false, true, false},
		{"OpenCircuitError", opened, false, false, true, true, false}, // and why it is open
	} {
		same(t, tt.name+" is a TollerError", errors.As(tt.err, new(*job.Error)), true)
		same(t, tt.name+" has failed", errors.Is(tt.err, job.ErrFailed), tt.fatal)
		same(t, tt.name+" is MaxRetriesExceeded", errors.As(tt.err, new(*job.MaxRetriesExceededError)), tt.exceeded)
		same(t, tt.name+" is OpenCircuitError", errors.As(tt.err, new(*policy.OpenCircuitError)), tt.opened)
		same(t, tt.name+" comes of the backend", errors.Is(tt.err, errBackend), tt.byBackend)
		same(t, tt.name+" comes of the quota", isQuota(tt.err), tt.ofQuota)
	}
}

// Calls don't stand in each other's way, and what waits for the limit is no goroutine.
func waitsWithoutGoroutines(t *testing.T) {
	const calls = 1000
	d := open(t, dispatcher.Config{Workers: calls})
	line := newTimeline()
	slow := call(d, line.marking(time.Second, nil))
	together(calls, func() { same(t, "error", slow(t.Context()), nil) })
	same(t, "all at once", line.now(), time.Second)

	held := open(t, dispatcher.Config{Limits: []policy.Limit{{Name: "calls", Rate: policy.Blocked, Burst: 1, Initial: policy.Empty}}})
	before := runtime.NumGoroutine()
	futures := make([]*job.Future[int], calls)
	for i := range futures {
		var err error
		if futures[i], err = dispatcher.Submit(t.Context(), held, func(context.Context) (int, error) { return i, nil }); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(time.Second)
	if more := runtime.NumGoroutine() - before; more > 10 {
		t.Errorf("%d goroutines for %d calls that wait", more, calls)
	}
	same(t, "new rate", held.SetRate("calls", policy.Unlimited), nil)
	values, err := job.All(t.Context(), futures...)
	same(t, "error", err, nil)
	same(t, "value", values[calls-1], calls-1)
}

// The library imports the standard library and ants, and nothing else.
func importsLittle(t *testing.T) {
	const module = "github.com/toller-go/toller/"
	seen := map[string]bool{}
	outside := map[string]bool{}
	var visit func(pkg string)
	visit = func(pkg string) {
		if seen[pkg] {
			return
		}
		seen[pkg] = true
		files, err := filepath.Glob(filepath.Join("../..", pkg, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no files in %s: %v", pkg, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			syntax, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
			if err != nil {
				t.Fatal(err)
			}
			for _, spec := range syntax.Imports {
				path, _ := strconv.Unquote(spec.Path.Value)
				domain, _, _ := strings.Cut(path, "/")
				if inside, ours := strings.CutPrefix(path, module); ours {
					visit(inside)
				} else if strings.Contains(domain, ".") {
					outside[path] = true
				}
			}
		}
	}
	visit("dispatcher")
	same(t, "imports", outside, map[string]bool{"github.com/panjf2000/ants/v2": true})
}
