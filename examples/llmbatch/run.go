package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"time"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/examples/llmbatch/internal/batchfile"
	"github.com/toller-go/toller/examples/llmbatch/internal/chat"
	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/policy/api"
)

const (
	connectTimeout = 10 * time.Second
	drainTime      = 30 * time.Second // what the first signal leaves to the requests under way
	readAhead      = 4096             // prompts handed to the dispatcher and not recorded
)

// run is the command run: it answers every prompt of a file.
func run(args []string, signals <-chan os.Signal, con console) int {
	s, err := parseFlags(args)
	if errors.Is(err, flag.ErrHelp) {
		_, _ = io.WriteString(con.out, help)
		return exitDone
	}
	if err != nil {
		con.say("llmbatch: %v", err)
		return exitUsage
	}
	items, err := batchfile.Read(s.in, batchfile.Options{PromptField: s.promptField, Model: s.model, Stdin: con.in})
	if err != nil {
		con.say("llmbatch: %v", err)
		return exitUsage
	}
	b, err := open(s, items, con)
	if err != nil {
		con.say("llmbatch: %v", err)
		return exitUsage
	}
	code := b.answerAll(signals)
	return b.conclude(code, nil)
}

// batch is one run: the prompts, where they go and what became of them.
type batch struct {
	settings
	con    console
	items  []batchfile.Item
	client *chat.Client
	d      *dispatcher.Dispatcher
	out    *batchfile.Writer
	tally  tally
	halt   halt
	live   bool // a display owns the terminal: say nothing besides
}

// open makes everything ready to send the first prompt. Nothing has been sent when it fails.
func open(s settings, items []batchfile.Item, con console) (*batch, error) {
	b := &batch{settings: s, con: con, items: items}
	d, err := dispatcher.New(dispatcher.Config{
		Workers: s.maxInFlight,
		Queue:   max(readAhead, s.maxInFlight),
		Timeout: s.timeout,
		Limits:  s.limits(),
		Retry:   policy.Retry{MaxAttempts: s.maxAttempts, Delay: 250 * time.Millisecond, MaxDelay: 20 * time.Second},
		// Ten in a row: at one failure in five, chance alone gets there once in ten million requests.
		Breaker: policy.Breaker{FailureThreshold: 10, RecoveryTimeout: 5 * time.Second, ProbeTimeout: s.timeout},
	})
	if err != nil {
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
		if !errors.Is(err, fs.ErrExist) {
			err = fmt.Errorf("-o cannot be written: %w; allowed: a file that does not exist yet, in a directory that does", err)
		}
		return nil, err
	}
	b.d = d
	b.client = chat.New(s.baseURL, s.key, s.maxInFlight, connectTimeout)
	b.tally.begin(len(items))
	return b, nil
}

// answerAll sends every prompt and records every answer, and returns the exit code.
func (b *batch) answerAll(signals <-chan os.Signal) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	display := newDisplay(b)
	defer display.stop()
	go b.obey(ctx, cancel, signals)

	perModel := func(item batchfile.Item) dispatcher.Spec { return dispatcher.Spec{Key: item.Model} }
	for item := range dispatcher.Map(ctx, b.d, b.source(), b.answer, perModel, dispatcher.WithWindow(readAhead)) {
		if !b.settle(item) {
			break // what cannot be recorded must not be sent
		}
	}
	_ = b.d.Stop(ctx) // nothing is left but what a failed record leaves behind, and ctx bounds that
	b.client.Close()
	if err := b.out.Close(); err != nil {
		b.halt.ask(exitNotRecorded, err.Error())
	}
	return b.tally.exitCode(&b.halt)
}

// source yields the prompts until the run is to halt.
func (b *batch) source() iter.Seq[batchfile.Item] {
	return func(yield func(batchfile.Item) bool) {
		for _, item := range b.items {
			if b.halt.isAsked() || !yield(item) {
				return
			}
		}
	}
}

// answer is the job: one attempt at one prompt.
func (b *batch) answer(ctx context.Context, item batchfile.Item) (chat.Answer, error) {
	answer, err := b.client.Complete(ctx, item.Body)
	b.tally.attempt(ctx, answer, err)
	if b.tally.unreachable() {
		b.stop(exitPaused, fmt.Sprintf("%s has never been reached: %v", b.baseURL, err))
	}
	return answer, err
}

// stop ends the run for everybody's sake: what is under way is finished, the rest stays as it is.
func (b *batch) stop(code int, why string) {
	if b.halt.ask(code, why) {
		go b.drain()
	}
}

// settle records what became of one prompt. It reports false when that failed.
func (b *batch) settle(item dispatcher.Item[batchfile.Item, chat.Answer]) bool {
	if pending(item.Err) {
		return true
	}
	var refused *api.Error
	if errors.As(item.Err, &refused) && (refused.Class == api.OutOfMoney || refused.Class == api.BadKey) {
		b.stop(exitPaused, refused.Error()) // no other prompt would fare better
		return true
	}
	record := recordOf(item)
	if err := b.out.Write(record); err != nil {
		b.halt.ask(exitNotRecorded, err.Error())
		return false
	}
	b.tally.recorded(record, item.Err)
	return true
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
func recordOf(item dispatcher.Item[batchfile.Item, chat.Answer]) batchfile.Record {
	record := batchfile.Record{CustomID: item.In.ID}
	if item.Err == nil {
		record.Response = &batchfile.Response{StatusCode: item.Value.Status, RequestID: item.Value.RequestID, Body: item.Value.Body}
		return record
	}
	var refused *api.Error
	if errors.As(item.Err, &refused) && refused.Status >= 300 && refused.Status < 600 {
		record.Response = &batchfile.Response{StatusCode: refused.Status, RequestID: refused.RequestID, Body: refused.Body}
		return record
	}
	record.Error = &batchfile.Failure{Code: "failed", Message: reasonOf(item.Err)}
	if refused != nil { // no answer, or one whose status is not to be believed
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
