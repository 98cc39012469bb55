package fakellm

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"
)

// The exit codes of Main, those of llmbatch.
const (
	exitOK       = 0
	exitNoRecord = 1 // the bill could not be written
	exitUsage    = 4 // a flag, a value, or an address that cannot be listened on
)

// grace is how long the command waits, after its context has ended, for answers to reach their clients.
const grace = 5 * time.Second

// help fits a terminal of 24 lines and 80 columns, with a line left for the shell.
const help = `usage: llmbatch fakellm [flags]    a hostile LLM API, to try any client against
It serves until interrupted, then prints its bill, which is at GET /_ledger too.
  -listen ADDR      where to listen (127.0.0.1:0, a free port)
  -rps N  -burst N  requests admitted per second, and at once; 0 is no limit (0)
  -limit SPEC +     a further limit: 600/1m 60/1m,burst=5 30000tokens/1m,sliding
                    600/1m,fixed,each (key) 9/1s,sliding,hidden (from headers)
  -concurrent N     requests answered at once; 0 is no bound (0)
  -latency D|D-D    how long an answer takes, or a range: 50ms-300ms (0s)
  -slow F  -slow-latency D  fraction that takes longer (0), and how much (2s)
  -stall D  -word-delay D  how long one trickles (30s); time between words (0s)
  -fail F           fraction that fails: 500, 503 or a reset (0)
  -throttle F  -retry-after D  429 although there is room (0), to wait D (1s)
  -faults F  -kinds K[,K…]  fraction with one of these faults: 500, 429-date,
                    reset-mid… (0, all transient), two of a prompt at most
  -rule K[@MODEL][:TEXT] +  fault of all that fits: 401@gpt-4o
  -phase D[,down][,speed=F][,K] +  from D on: 1m,speed=0.5
  -outage-at D  -outage-for D  start and length of an outage (0s, none)
  -dialect NAME     of headers and errors: openai, anthropic, azure, mistral,
                    openrouter, silent (auto, by the path)
  -key K[,K…] +     keys to accept (any, or none)
  -account K=N +    answers that key K pays for until its money is out (no end)
  -seed N           selects who fails, and when (0)
+: may be repeated. F is 0 to below 1. Exit: 0 served, 1 no bill, 4 bad flags.
`

// Main is the subcommand `llmbatch fakellm`: it serves until ctx ends, then prints the Ledger as indented JSON on stdout
// and returns the exit code. The base URL is the first line on stdout, written once connections are accepted; complaints
// go to stderr. args are those after the subcommand's name.
func Main(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	cfg, listen, err := parseFlags(args)
	if errors.Is(err, flag.ErrHelp) {
		_, _ = io.WriteString(stdout, help)
		return exitOK
	}
	if err == nil {
		err = serve(ctx, cfg, listen, stdout)
	}
	var unwritten *writeError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &unwritten):
		complain(stderr, err)
		return exitNoRecord
	}
	complain(stderr, err)
	return exitUsage
}

func complain(stderr io.Writer, err error) {
	_, _ = fmt.Fprintf(stderr, "llmbatch fakellm: %v\n", err) // nowhere is left to say that this failed
}

// writeError is a failure to write to stdout, told apart since it has its own exit code.
type writeError struct{ cause error }

func (e *writeError) Error() string { return "could not write: " + e.cause.Error() }
func (e *writeError) Unwrap() error { return e.cause }

// serve runs the API until ctx ends and prints the bill.
func serve(ctx context.Context, cfg Config, listen string, stdout io.Writer) error {
	api, err := New(cfg)
	if err != nil {
		return err
	}
	if err := api.Start(listen); err != nil {
		return fmt.Errorf("-listen %s: %w (allowed: host:port that is free on this machine, port 0 picks one)", listen, err)
	}
	_, said := fmt.Fprintf(stdout, "listening on %s (bill at %s)\n", api.BaseURL(), api.LedgerURL())
	if said == nil { // with nobody told where it is, there is nothing to wait for
		<-ctx.Done()
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	_ = api.Shutdown(closing) // clients that would not be answered in time are in the bill

	bill, err := json.MarshalIndent(api.Ledger(), "", "  ")
	if err == nil && said == nil {
		_, said = fmt.Fprintf(stdout, "%s\n", bill)
	}
	if said != nil {
		return &writeError{said}
	}
	return err
}
