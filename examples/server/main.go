// Command server shows how to protect a service with a dispatcher: an HTTP server that sends its backends no more than they
// can bear, turns away at once what it cannot serve in time, and shuts down without losing a request. See server -h.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/policy"
)

// The exit codes.
const (
	exitDone   = 0 // shut down, with every request answered
	exitFailed = 1 // it could not listen, or requests were left when its time was up
	exitUsage  = 2 // bad flags: nothing was done
)

const help = `usage: server [flags]

Serves made-up backends behind a dispatcher: /quick answers, /slow takes ten seconds, /broken answers 500, and /busy
answers 429 with Retry-After. The server answers

    429, Retry-After    when as many requests wait as may (-queue), until these are served
    503, Retry-After    when the circuit of the backend is open, until it is tested
    503, Retry-After    when a request has waited for all of its time (-patience)
    504                 when there was no answer in time
    503                 when it shuts down and its time is up (-grace)

and whatever the backend answered otherwise. Interrupt it (Ctrl-C) to see it shut down: it takes no more requests, and
finishes those that it has. To see it at work:

    curl -i localhost:8080/quick
    for i in $(seq 50); do curl -s -o /dev/null -w '%{http_code} ' localhost:8080/quick & done; wait
    for i in $(seq 8); do curl -s -o /dev/null -w '%{http_code} ' localhost:8080/broken; done; curl -i localhost:8080/broken

`

// settings is what a server depends on.
type settings struct {
	listen          string
	rate            float64 // requests a second, to all backends together
	workers, queue  int
	patience, grace time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := start(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// start is main with its surroundings as arguments; it returns the exit code.
func start(ctx context.Context, args []string, out, errs io.Writer) int {
	s := settings{listen: "127.0.0.1:8080", rate: 10, workers: 8, queue: 30, patience: 5 * time.Second, grace: 10 * time.Second}
	flags := flag.NewFlagSet("server", flag.ContinueOnError)
	flags.SetOutput(errs)
	flags.Usage = func() {} // an error says enough; help is for those who ask
	flags.StringVar(&s.listen, "listen", s.listen, "the address to listen at; with port 0 a free one is chosen")
	flags.Float64Var(&s.rate, "rate", s.rate, "how many requests a second the backends are sent, all together")
	flags.IntVar(&s.workers, "workers", s.workers, "how many requests the backends are sent at once")
	flags.IntVar(&s.queue, "queue", s.queue, "how many requests may wait or be served")
	flags.DurationVar(&s.patience, "patience", s.patience, "how long a request may take in all")
	flags.DurationVar(&s.grace, "grace", s.grace, "how long requests may take that are under way when the server shuts down")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		_, _ = io.WriteString(out, help)
		flags.SetOutput(out)
		flags.PrintDefaults()
		return exitDone
	case err != nil:
		_, _ = fmt.Fprintln(errs, "see server -h")
		return exitUsage
	case flags.NArg() > 0 || s.patience <= 0 || s.grace < 0:
		_, _ = fmt.Fprintln(errs, "server: -patience must be positive and -grace not negative, and there is nothing but flags; see server -h")
		return exitUsage
	}
	d, err := dispatcher.New(config(s))
	if err != nil {
		_, _ = fmt.Fprintln(errs, "server:", err)
		return exitUsage
	}
	if err := listen(ctx, s, d, out); err != nil {
		_, _ = fmt.Fprintln(errs, "server:", err)
		return exitFailed
	}
	_, _ = fmt.Fprintln(out, "every request has been answered")
	return exitDone
}

// config protects the backends: a bound on what is sent, a bound on what waits, and a breaker for each.
func config(s settings) dispatcher.Config {
	return dispatcher.Config{
		Workers: s.workers,
		Queue:   s.queue,
		Timeout: s.patience,
		Limits:  []policy.Limit{{Name: "requests", Rate: policy.PerSecond(s.rate)}},
		Retry:   policy.Retry{MaxAttempts: 2, Delay: 100 * time.Millisecond},
		Breaker: policy.Breaker{FailureThreshold: 5, RecoveryTimeout: 10 * time.Second},
	}
}

func listen(ctx context.Context, s settings, d *dispatcher.Dispatcher, out io.Writer) error {
	l, err := net.Listen("tcp", s.listen)
	if err != nil {
		return errors.Join(err, d.Stop(context.WithoutCancel(ctx)))
	}
	_, _ = fmt.Fprintf(out, "listening at http://%s\n", l.Addr())
	return serve(ctx, l, routes(s, d), d, s.grace)
}

// routes is the server: each backend with a guard before it.
func routes(s settings, d *dispatcher.Dispatcher) http.Handler {
	mux := http.NewServeMux()
	for name, backend := range backends() {
		mux.Handle("/"+name, &guard{d: d, key: name, backend: backend, patience: s.patience, rate: s.rate})
	}
	return mux
}
