package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync/atomic"
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

// run is the command run: it answers every prompt of a file. The signals are the system's if there are none, and are heeded once there
// is something to drain. Until then they end the program at once, be it that it waits for its input or for room in a pipe: nothing has
// been sent, and the files of a run survive that at any time.
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
		return s.notBegun(con, err)
	}
	b, err := open(s, src, con)
	if err != nil {
		src.close()
		return s.notBegun(con, err)
	}
	looked, err := newLookout(s.listen, b)
	if err != nil {
		b.discard()
		con.say("llmbatch: %v", err)
		return exitUsage
	}
	signals, stop := heed(signals)
	defer stop()
	code := b.answerAll(signals)
	looked.close()
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
	rec     *recorder // nil: nothing is recorded but the output
	tally   tally
	pace    pace
	halt    halt
	live    bool // a display owns the terminal: say nothing besides
	sending attempts
	barred  atomic.Int64  // prompts that are bound to no key because earlier runs have left nothing of -rpd; set by the loop
	events  chan event    // what the loop is told
	over    chan struct{} // closed when the loop is

	// Of the loop.
	ring    *keyring
	read    *batchfile.Reader    // nil when all is read
	seen    int                  // prompts read
	queues  map[string][]*flight // by model: prompts that are bound to no key
	flights map[*flight]bool     // those that are with the dispatcher
	dear    dear                 // what no budget would pay for
	repeats *repeats             // nil: every prompt is sent
	seq     *sequence            // nil: lines are written as they come
	built   []byte               // the line being built
}

// open makes everything ready to send the first prompt. Nothing has been sent when it fails.
func open(s settings, src *source, con console) (*batch, error) {
	b := &batch{
		settings: s, con: con, src: src, meter: newMeter(&s), events: make(chan event, 256), over: make(chan struct{}),
		ring: newKeyring(s.keys, s.window()), queues: make(map[string][]*flight), flights: make(map[*flight]bool),
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
		Breaker: s.breaker(),
		Seed:    s.seed,
	})
	if err != nil {
		_ = read.Close()
		return nil, err
	}
	b.d, b.read = d, read
	b.learner = newLearner(d, b.meter.limits)
	b.client = chat.New(chat.Config{
		BaseURL: s.baseURL, Connections: s.maxInFlight, ConnectTimeout: s.connectTimeout, Dial: s.dial, IdleTimeout: s.idleTimeout, MaxResponse: s.maxResponse,
	})
	b.repeats = newRepeats(s.dedupe)
	b.tally.price = s.price
	b.tally.start(src.sum.Items)
	if err := b.openRecords(); err != nil {
		_ = d.Close(context.Background()) // it has no jobs
		_ = read.Close()
		b.repeats.close()
		return nil, err
	}
	if text := b.before(); text != "" {
		b.tell("%s", text)
	}
	return b, nil
}

// openRecords opens the journal and the output, and brings the output to where the journal is.
func (b *batch) openRecords() (err error) {
	if err := b.checkFiles(); err != nil {
		return err
	}
	if b.rec, err = openRecorder(&b.settings); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			if b.out != nil {
				_ = b.out.Close()
			}
			b.rec.abandon()
		}
	}()
	if err := b.compareInput(); err != nil {
		return err
	}
	if err := b.openOutput(); err != nil {
		return err
	}
	if b.order == "input" {
		b.seq = newSequence(b.out.WriteLine)
	}
	if err := b.restore(); err != nil {
		return err
	}
	return b.carryOver()
}

// openOutput opens the output: a new one, or one that takes the place of an earlier run's.
func (b *batch) openOutput() (err error) {
	create := batchfile.Create
	switch {
	case b.settings.out == "-":
		b.out = batchfile.NewWriter(b.con.out, "stdout")
		return nil
	case b.overwrite:
		create = batchfile.Overwrite
	case b.rec != nil && b.rec.resumes:
		create = batchfile.Replace
	}
	b.out, err = create(b.settings.out)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		err = fmt.Errorf("-o cannot be written: %w; allowed: a file in a directory that exists", err)
	}
	return err
}

// discard undoes open, before anything has been sent.
func (b *batch) discard() {
	_ = b.d.Close(context.Background()) // it has no jobs
	_ = b.read.Close()
	b.src.close()
	b.repeats.close()
	b.client.Close()
	if b.out.Close() == nil && b.settings.out != "-" && (b.rec == nil || !b.rec.resumes) {
		_ = os.Remove(b.settings.out) // it holds nothing
	}
	b.rec.abandon()
}

// retry is how an attempt that failed is followed by others.
func (s *settings) retry() policy.Retry {
	return policy.Retry{MaxAttempts: s.maxAttempts, Delay: 250 * time.Millisecond, MaxDelay: 20 * time.Second, MaxThrottleWait: s.throttleWait}
}

// breaker opens the circuit of a key after ten failures in a row: at one failure in five, chance alone gets there once in ten million
// requests.
func (s *settings) breaker() policy.Breaker {
	return policy.Breaker{FailureThreshold: 10, RecoveryTimeout: 5 * time.Second, ProbeTimeout: s.timeout}
}

// window is how many prompts wait in a lane: enough that none is idle until the loop has brought more.
func (s *settings) window() int { return max(16, 2*s.maxInFlight) }

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
	b.awaitAttempts()
	b.src.close()
	b.repeats.close()
	if b.seq != nil {
		if err := b.seq.close(); err != nil {
			b.halt.ask(exitNotRecorded, unwritten(err))
		}
	}
	if err := errors.Join(b.out.Close(), b.rec.close()); err != nil {
		b.halt.ask(exitNotRecorded, unwritten(err))
	}
	return b.tally.exitCode(&b.halt)
}

// awaitAttempts waits for attempts that were given up, so that it is recorded that they may have been billed: they end soon. Those that
// don't stay on record as under way, which comes to the same.
func (b *batch) awaitAttempts() {
	select {
	case <-b.sending.lastEnded():
	case <-time.After(givenUpEnds):
	}
}

// givenUpEnds is how long a request that was given up may take to end.
const givenUpEnds = 500 * time.Millisecond

// stop ends the run for everybody's sake: what is under way is finished, the rest stays as it is.
func (b *batch) stop(code int, why string) {
	if b.halt.ask(code, why) {
		go b.drain()
	}
}

// settle records what became of one prompt. This is the end of its way.
func (b *batch) settle(f *flight, answer chat.Answer, err error) {
	f.mu.Lock()
	f.over = true
	f.mu.Unlock()
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
	record, err := fitting(recordOf(item, answer, err), err)
	flaw := b.flaw(answer, err)
	shared := &record
	if flaw != "" {
		shared = nil // it counts as failed, and a failure is not shared
	}
	if b.finish(item, record, flaw, err) {
		b.led(item, shared)
	}
}

// finish writes the line of a prompt and counts it. It reports whether it is on record.
func (b *batch) finish(item batchfile.Item, record batchfile.Record, flaw string, err error) bool {
	answered := flaw == "" && record.Succeeded()
	if !b.write(&item, record, answered) {
		return false
	}
	b.tally.recorded(record, answered, flaw, err)
	return true
}

// write writes a line, first to the journal, and reports whether it is on record. If it is in the journal and not in the output, the
// run ends as well, but what is under way is worth awaiting: the journal has it, and the output is made anew from that.
func (b *batch) write(item *batchfile.Item, record batchfile.Record, answered bool) (recorded bool) {
	line, err := batchfile.AppendRecord(b.built[:0], record)
	if err == nil {
		err = b.rec.end(item, line, answered)
	}
	if recorded = err == nil; recorded {
		err = b.put(item.Index, line)
		recorded = err == nil || b.rec != nil
	}
	if b.built = line; cap(line) > keptLine {
		b.built = nil
	}
	if err != nil {
		b.stop(exitNotRecorded, unwritten(err))
	}
	return recorded
}

// keptLine is the largest buffer that is kept for the next line.
const keptLine = 1 << 20

// put writes a line to the output, in its place if there is an order.
func (b *batch) put(place int, line []byte) error {
	if b.seq != nil {
		return b.seq.put(place, line)
	}
	return b.out.WriteLine(line)
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
	for _, reason := range []error{job.ErrNotStarted, job.ErrAborted, job.ErrCanceled, dispatcher.ErrClosed, errNotRecorded} {
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
	case ended.Attempts == 1:
		return fmt.Sprintf("%v; %v, after 1 attempt", ended.Last, ended.Reason)
	default:
		return fmt.Sprintf("%v; %v, after %d attempts", ended.Last, ended.Reason, ended.Attempts)
	}
}
