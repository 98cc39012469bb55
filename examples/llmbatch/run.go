package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/examples/llmbatch/internal/batchfile"
	"github.com/toller-go/toller/examples/llmbatch/internal/chat"
	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/policy/api"
)

// drainTime is what the first signal leaves to the requests under way.
const drainTime = 30 * time.Second

// run is the command run: it answers every prompt of a file.
func run(args []string, signals <-chan os.Signal, con console) int {
	s, err := parseFlags(args)
	if errors.Is(err, flag.ErrHelp) {
		_, _ = io.WriteString(con.out, runHelp)
		return exitDone
	}
	if err != nil {
		con.say("llmbatch: %v", err)
		return exitUsage
	}
	src, err := openSource(&s, con.in)
	if err != nil {
		con.say("llmbatch: %v", err)
		return exitUsage
	}
	b, err := open(s, src, con)
	if err != nil {
		src.close()
		con.say("llmbatch: %v", err)
		return exitUsage
	}
	code := b.answerAll(signals)
	return b.conclude(code, nil)
}

// batch is one run: the prompts, where they go and what became of them.
type batch struct {
	settings
	con     console
	src     *source
	client  *chat.Client
	d       *dispatcher.Dispatcher
	meter   *meter
	learner *learner
	out     *batchfile.Writer
	tally   tally
	halt    halt
	live    bool          // a display owns the terminal: say nothing besides
	events  chan event    // what the loop is told
	over    chan struct{} // closed when the loop is

	// Of the loop.
	ring    *keyring
	read    *batchfile.Reader    // nil when all is read
	seen    int                  // prompts read
	queues  map[string][]*flight // by model: prompts that are bound to no key
	flights map[*flight]bool     // those that are with the dispatcher
	repeats *repeats             // nil: every prompt is sent
	seq     *sequence            // nil: lines are written as they come
	built   []byte               // the line being built
}

// open makes everything ready to send the first prompt. Nothing has been sent when it fails.
func open(s settings, src *source, con console) (*batch, error) {
	b := &batch{
		settings: s, con: con, src: src, meter: newMeter(&s), events: make(chan event, 256), over: make(chan struct{}),
		ring: newKeyring(s.keys, max(16, 2*s.maxInFlight)), queues: make(map[string][]*flight), flights: make(map[*flight]bool),
	}
	read, err := src.open(true)
	if err != nil {
		return nil, err
	}
	d, err := dispatcher.New(dispatcher.Config{
		Workers: s.maxInFlight,
		Queue:   mostUnder,
		Timeout: s.timeout,
		Limits:  b.meter.limits,
		Retry:   s.retry(),
		// Ten in a row: at one failure in five, chance alone gets there once in ten million requests.
		Breaker: policy.Breaker{FailureThreshold: 10, RecoveryTimeout: 5 * time.Second, ProbeTimeout: s.timeout},
		Seed:    s.seed,
	})
	if err != nil {
		_ = read.Close()
		return nil, err
	}
	create := batchfile.Create
	if s.overwrite {
		create = batchfile.Overwrite
	}
	if s.out == "-" {
		b.out = batchfile.NewWriter(con.out, "stdout")
	} else if b.out, err = create(s.out); err != nil {
		_ = d.Close(context.Background()) // it has no jobs
		_ = read.Close()
		if !errors.Is(err, fs.ErrExist) {
			err = fmt.Errorf("-o cannot be written: %w; allowed: a file that does not exist yet, in a directory that does", err)
		}
		return nil, err
	}
	b.d, b.read = d, read
	b.learner = newLearner(d, b.meter.limits)
	b.client = chat.New(chat.Config{
		BaseURL: s.baseURL, Connections: s.maxInFlight, ConnectTimeout: s.connectTimeout, IdleTimeout: s.idleTimeout, MaxResponse: s.maxResponse,
	})
	b.repeats = newRepeats(s.dedupe)
	if s.order == "input" {
		b.seq = newSequence(b.out.WriteLine)
	}
	b.tally.price = s.price
	b.tally.start(src.sum.Items)
	return b, nil
}

// retry is how an attempt that failed is followed by others.
func (s *settings) retry() policy.Retry {
	return policy.Retry{MaxAttempts: s.maxAttempts, Delay: 250 * time.Millisecond, MaxDelay: 20 * time.Second, MaxThrottleWait: s.throttleWait}
}

// answerAll sends every prompt and records every answer, and returns the exit code.
func (b *batch) answerAll(signals <-chan os.Signal) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	display := newDisplay(b)
	defer display.stop()
	go b.obey(ctx, cancel, signals)
	if b.runDeadline > 0 {
		timer := time.AfterFunc(b.runDeadline, func() { b.stop(exitPaused, fmt.Sprintf("-run-deadline of %v has passed", b.runDeadline)) })
		defer timer.Stop()
	}
	b.loop(ctx, cancel)
	if b.read != nil {
		_ = b.read.Close() // it was only read
	}
	_ = b.d.Stop(ctx) // nothing is left but what a failed record leaves behind, and ctx bounds that
	b.client.Close()
	b.src.close()
	b.repeats.close()
	if b.seq != nil {
		if err := b.seq.close(); err != nil {
			b.halt.ask(exitNotRecorded, err.Error())
		}
	}
	if err := b.out.Close(); err != nil {
		b.halt.ask(exitNotRecorded, err.Error())
	}
	return b.tally.exitCode(&b.halt)
}

// stop ends the run for everybody's sake: what is under way is finished, the rest stays as it is.
func (b *batch) stop(code int, why string) {
	if b.halt.ask(code, why) {
		go b.drain()
	}
}

// settle records what became of one prompt. This is the end of its way.
func (b *batch) settle(f *flight, answer chat.Answer, err error) {
	if f.expired && errors.Is(err, job.ErrCanceled) {
		err = errDeadline
	}
	if pending(err) || isOfKey(err) || errors.Is(err, errRecalled) {
		b.led(f.item, nil)
		return
	}
	b.record(f.item, answer, err)
}

// record writes the line of a prompt, and those of others that wait for the same answer.
func (b *batch) record(item batchfile.Item, answer chat.Answer, err error) {
	record := recordOf(item, answer, err)
	if b.write(item.Index, record) {
		b.tally.recorded(record, b.flaw(answer, err), err)
		b.led(item, &record)
	}
}

// write writes a line, and reports whether that went well.
func (b *batch) write(place int, record batchfile.Record) bool {
	var err error
	if b.seq == nil {
		err = b.out.Write(record)
	} else if b.built, err = batchfile.AppendRecord(b.built[:0], record); err == nil {
		err = b.seq.put(place, b.built)
	}
	if err != nil {
		b.halt.ask(exitNotRecorded, err.Error())
	}
	return err == nil
}

// flaw is what -strict has against an answer; empty for nothing.
func (b *batch) flaw(answer chat.Answer, err error) string {
	switch {
	case !b.strict || err != nil:
		return ""
	case answer.Truncated:
		return "truncated"
	case answer.Filtered:
		return "filtered"
	default:
		return ""
	}
}

// pending reports whether a prompt was given up because the run ends, and not for its own sake.
func pending(err error) bool {
	for _, reason := range []error{job.ErrNotStarted, job.ErrAborted, job.ErrCanceled, dispatcher.ErrClosed} {
		if errors.Is(err, reason) {
			return true
		}
	}
	// Or it was read just when the run ended, and never became a job.
	var failed *job.Error
	return !errors.As(err, &failed) && errors.Is(err, context.Canceled)
}

// recordOf is the line of the output for one prompt: what the server answered, be it a refusal, or why there is no answer.
func recordOf(item batchfile.Item, answer chat.Answer, err error) batchfile.Record {
	record := batchfile.Record{CustomID: item.ID}
	if err == nil {
		record.Response = &batchfile.Response{StatusCode: answer.Status, RequestID: answer.RequestID, Body: answer.Body}
		return record
	}
	var refused *api.Error
	if errors.As(err, &refused) && refused.Status >= 300 && refused.Status < 600 {
		record.Response = &batchfile.Response{StatusCode: refused.Status, RequestID: refused.RequestID, Body: refused.Body}
		return record
	}
	record.Error = &batchfile.Failure{Code: "failed", Message: reasonOf(err)}
	switch {
	case errors.Is(err, errDeadline):
		record.Error.Code = "deadline"
	case refused != nil: // no answer, or one whose status is not to be believed
		record.Error.Code = refused.Class.String()
	}
	return record
}

// reasonOf is why a prompt has no answer, in words that are the same in every run.
func reasonOf(err error) string {
	var ended *job.Error
	switch {
	case !errors.As(err, &ended):
		return err.Error()
	case ended.Last == nil:
		return ended.Reason.Error()
	default:
		return fmt.Sprintf("%v (%v, after %d attempts)", ended.Last, ended.Reason, ended.Attempts)
	}
}
