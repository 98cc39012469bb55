package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"math/bits"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/toller-go/toller/examples/llmbatch/internal/batchfile"
	"github.com/toller-go/toller/policy/api"
)

// forecast is what the flags of estimate come to: those of run that matter, and what is assumed of the server.
type forecast struct {
	settings
	latency      span
	failRate     float64
	outputTokens float64 // of an answer, on average; 0: as many as it may have
}

// span is a range of durations, both ends included.
type span struct{ min, max time.Duration }

// parseSpan reads one duration, or two joined by a hyphen.
func parseSpan(text string) (span, error) {
	low, high, ranged := strings.Cut(text, "-")
	if !ranged {
		high = low
	}
	from, err1 := time.ParseDuration(low)
	to, err2 := time.ParseDuration(high)
	if err1 != nil || err2 != nil || from < 0 || to < from {
		return span{}, errors.New("allowed: a duration, or a range with the smaller first, such as 2s or 500ms-3s")
	}
	return span{from, to}, nil
}

// parseForecast reads the command line of estimate.
func parseForecast(args []string) (forecast, error) {
	f := forecast{settings: defaults(), latency: span{2 * time.Second, 2 * time.Second}}
	keyEnv := "OPENAI_API_KEY"
	fs := newFlagSet("estimate")
	f.input(fs)
	fs.StringVar(&keyEnv, "api-key-env", keyEnv, "")
	fs.Func("latency", "", func(text string) (err error) { f.latency, err = parseSpan(text); return err })
	fs.number("fail-rate", &f.failRate)
	fs.number("output-tokens", &f.outputTokens)
	if err := fs.parse(args); err != nil {
		return f, err
	}
	var wrong faults
	wrong.note(!(f.failRate >= 0 && f.failRate <= 0.9), "fail-rate", f.failRate, "the share of requests that fail, from 0 to 0.9")
	wrong.note(fs.given["output-tokens"] && !(f.outputTokens >= 1 && f.outputTokens <= 1e9), "output-tokens", f.outputTokens, "tokens of an answer on average, from 1 to 1e9")
	for name := range strings.SplitSeq(keyEnv, ",") { // the keys themselves are not needed
		f.keys = append(f.keys, credential{name: strings.TrimSpace(name)})
	}
	return f, errors.Join(f.checkInput(fs.given), errors.Join(wrong...))
}

// runEstimate is the command estimate: it says what a run will come to, and sends nothing.
func runEstimate(args []string, con console) int {
	f, err := parseForecast(args)
	if errors.Is(err, flag.ErrHelp) {
		_, _ = io.WriteString(con.out, estimateHelp)
		return exitDone
	}
	if err != nil {
		con.say("llmbatch: %v", err)
		return exitUsage
	}
	src, err := openSource(&f.settings, con.in)
	if err != nil {
		con.say("llmbatch: %v", err)
		return exitUsage
	}
	defer src.close()
	s := survey{f: &f, prompts: src.sum.Items}
	if err := src.each(s.add); err != nil {
		con.say("llmbatch: %v", err)
		return exitUsage
	}
	sim, err := simulate(&f, src)
	if err != nil {
		con.say("llmbatch: %v", err)
		return exitUsage
	}
	s.print(con.out, sim)
	return exitDone
}

// each calls do for every prompt.
func (src *source) each(do func(batchfile.Item)) error {
	r, err := src.open(true)
	if err != nil {
		return err
	}
	for {
		item, err := r.Next()
		if errors.Is(err, io.EOF) {
			return r.Close()
		}
		if err != nil {
			return errors.Join(errChanged, err, r.Close())
		}
		do(item)
	}
}

// survey is what an input holds.
type survey struct {
	f             *forecast
	prompts       int
	input, output float64 // tokens; output at most, as far as that is said
	open          int     // prompts that don't say how long their answer may be
	sizes         [64]int // prompts by the power of two of their tokens
	never         []string
	neverCount    int
}

func (s *survey) add(item batchfile.Item) {
	var e api.Estimator
	says := api.ReadRequest(api.Choices, item.Body)
	est := e.Estimate(says)
	s.input += est.Input
	s.output += est.Output
	if says.MaxOutput == 0 {
		s.open++
	}
	s.sizes[bits.Len64(uint64(math.Ceil(est.Input)))]++
	for _, l := range []struct {
		flag string
		most float64
	}{{"-tpm", s.f.tpm}, {"-itpm", s.f.itpm}} {
		if l.most > 0 && est.Input > l.most {
			if s.neverCount++; len(s.never) < 5 {
				s.never = append(s.never, fmt.Sprintf("line %d, %q: about %.0f tokens, and %s is %g", item.Line, item.ID, est.Input, l.flag, l.most))
			}
			return
		}
	}
}

// print says it all, on a screen.
func (s *survey) print(out io.Writer, sim outcome) {
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(out, format+"\n", args...) }
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(label, format string, args ...any) {
		_, _ = fmt.Fprintf(w, "%s\t%s\n", label, fmt.Sprintf(format, args...))
	}
	row("prompts", "%d", s.prompts)
	row("input", "about %.0f tokens", s.input)
	row("output", "at most about %.0f tokens", s.output)
	if s.open > 0 {
		row("", "%d prompts set no max_tokens; 1,024 are assumed for each", s.open)
	}
	if p := s.f.price; p.known {
		row("cost", "from $%.4f (input alone) to $%.4f", s.input*min(p.in, p.cached)/million, p.estimated(api.Estimate{Input: s.input, Output: s.output}))
	} else {
		row("cost", "unknown; say -price")
	}
	row("time", "%v, with answers that take %v and %g %% of the requests failing", sim.took.Round(100*time.Millisecond), s.f.latency, 100*s.f.failRate)
	row("requests", "%d, at most %d in flight", sim.requests, sim.peak)
	if sim.failed > 0 {
		row("failed", "%d prompts, after %d attempts each", sim.failed, s.f.maxAttempts)
	}
	_ = w.Flush()
	say("tokens of the prompts:")
	most := 0
	for _, n := range s.sizes {
		most = max(most, n)
	}
	for i, n := range s.sizes {
		if n > 0 {
			say("  up to %9.0f  %9d  %s", math.Ldexp(1, i)-1, n, strings.Repeat("#", max(1, 40*n/most)))
		}
	}
	if s.neverCount > 0 {
		say("%d prompts can never fit into the limits:", s.neverCount)
		for _, line := range s.never {
			say("  %s", line)
		}
	}
}

// String is as parseSpan reads it.
func (s span) String() string {
	if s.min == s.max {
		return s.min.String()
	}
	return s.min.String() + "-" + s.max.String()
}
