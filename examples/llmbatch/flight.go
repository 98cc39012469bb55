package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/examples/llmbatch/internal/batchfile"
	"github.com/toller-go/toller/examples/llmbatch/internal/chat"
	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/job/journal"
	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/policy/api"
)

var (
	// errRecalled ends a job whose key was set aside: its prompt goes to another key, and nothing has been sent for it.
	errRecalled = errors.New("the API key was set aside")
	// errOver is what an attempt ends in that comes too late to be sent; nobody awaits its job any more.
	errOver = errors.New("the run is over")
	// errDeadline is why a prompt is given up that took longer than -deadline.
	errDeadline = errors.New("the prompt's deadline has passed")
)

// flight is one prompt on its way to its answer, on one key after another if need be.
type flight struct {
	item   batchfile.Item
	says   api.Request // what the body says of its cost
	est    estimate    // what the present job was charged; set before it is submitted
	lane   *lane       // likewise
	future *job.Future[chat.Answer]

	// Loop only.
	begun   bool        // an attempt of the present job has begun
	settled bool        // its answer is recorded
	expiry  *time.Timer // of -deadline; nil until the first attempt
	expired bool        // it has passed

	// Of the attempt that runs; attempts don't overlap, and a job does not overlap the next.
	ambiguous int // attempts so far, those of earlier runs included, that may have been billed for nothing: see mayBeWasted
	failed    int // attempts so far that count against -max-attempts
	tries     int // attempts so far; guarded by tally.mu

	state    atomic.Int32  // resting, running or recalled
	recorded chan struct{} // made by the attempt that has an answer; closed by the loop

	mu   sync.Mutex // held while the end of an attempt, or of the flight, is recorded
	over bool       // guarded by mu; the flight is settled: how its last attempt ends is not recorded any more
}

// The states of a flight.
const (
	resting  int32 = iota // no attempt runs
	running               // one does
	recalled              // and none will: the key is dead
)

// begin reports whether an attempt may be sent.
func (f *flight) begin() bool {
	if f.lane.key.dead() != "" || !f.state.CompareAndSwap(resting, running) {
		return false
	}
	if !f.lane.allowance.take() {
		f.state.Store(resting)
		return false // and it goes back into line, until earlier requests are a day old
	}
	return true
}

// recall takes a flight back that is not being answered right now. It reports whether it did.
func (f *flight) recall() bool { return f.state.CompareAndSwap(resting, recalled) }

// job is the function of the flight's job: one attempt at the prompt.
func (b *batch) job(f *flight) job.Func[chat.Answer] {
	return func(ctx context.Context) (chat.Answer, error) {
		if !b.sending.begin() {
			return chat.Answer{}, policy.Unbilled(policy.Neutral(errOver))
		}
		defer b.sending.end()
		if !f.begin() {
			return chat.Answer{}, policy.Unbilled(policy.Neutral(errRecalled))
		}
		if err := b.rec.begin(f); err != nil {
			return chat.Answer{}, b.unrecorded(err)
		}
		answer, err := b.attempt(ctx, f)
		if err == nil {
			b.awaitRecord(f, answer)
			return answer, nil // and goes on running for all who could recall it: what is answered is not taken back
		}
		defer f.state.Store(resting)
		if err := b.recordFailure(ctx, f, err); err != nil {
			return chat.Answer{}, b.unrecorded(err)
		}
		return answer, b.judge(f, err)
	}
}

// recordFailure records that an attempt has had no answer. One that was given up, because the run ends or the prompt's time is up, stays
// on record as under way if it may have been billed: that is what is known of it, and -in-flight decides what a resume does.
func (b *batch) recordFailure(ctx context.Context, f *flight, err error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, ambiguous := f.ambiguous, mayBeWasted(err)
	if f.over || ambiguous && errors.Is(ctx.Err(), context.Canceled) {
		return nil
	}
	if ambiguous {
		n++ // as judge will count it
	}
	return b.rec.failed(&f.item, ambiguous, n)
}

// awaitRecord has an answer recorded, and returns when it is, or when the run is over. Until then the attempt is in flight: a crash can
// lose no more answers than may be in flight, however far the loop is behind.
func (b *batch) awaitRecord(f *flight, answer chat.Answer) {
	f.recorded = make(chan struct{})
	b.post(event{answered: f, answer: answer})
	select {
	case <-f.recorded:
	case <-b.over:
	}
}

// attempt sends the prompt, once.
func (b *batch) attempt(ctx context.Context, f *flight) (chat.Answer, error) {
	b.post(event{begun: f})
	b.tally.begin(f)
	sent := b.learner.send(f.lane.name, b.meter.costs(f.est))
	answer, err := b.client.Complete(ctx, f.lane.key.secret, f.item.Body)
	b.tally.end(f, answer, err)
	b.meter.settle(ctx, f.est, answer.Usage) // that of a useless answer as well: it was billed
	if err == nil {
		b.meter.learn(f.item.Model, f.est, answer.Usage)
	}
	b.learner.hear(sent, answer.Header) // after the refund, or that would raise what the server says is left
	return answer, err
}

// unrecorded ends the run because something could not be recorded: nothing more may be sent. It returns what ends the attempt.
func (b *batch) unrecorded(err error) error {
	if !errors.Is(err, journal.ErrClosed) { // or the run has ended already
		b.halt.ask(exitNotRecorded, unwritten(err))
	}
	return policy.Fatal(policy.Unbilled(policy.Neutral(fmt.Errorf("%w: %w", errNotRecorded, err))))
}

// maybeBilled reports whether nobody knows if an attempt that failed has cost something.
func maybeBilled(err error) bool {
	var refused *api.Error
	return !errors.As(err, &refused) || refused.Billed == api.BilledMaybe
}

// mayBeWasted reports whether an attempt that failed may have been billed, or has been, like one whose connection broke or one that was
// answered with nothing of use: -retry-ambiguous bounds how many others follow. An error of the server may have been billed as well, but is
// not as a rule, and in an outage there are many.
func mayBeWasted(err error) bool {
	var refused *api.Error
	return !errors.As(err, &refused) || refused.Class == api.Ambiguous || refused.Class == api.BadAnswer
}

// judge says what the error of an attempt means to the prompt and its key.
func (b *batch) judge(f *flight, err error) error {
	var refused *api.Error
	if !errors.As(err, &refused) {
		return err
	}
	switch refused.Class {
	case api.OutOfMoney, api.BadKey:
		if f.lane.key.kill(refused.Error()) {
			b.post(event{died: f.lane.key})
		}
		return err
	case api.Throttled:
	default:
		f.failed++
	}
	if mayBeWasted(err) {
		if f.ambiguous++; f.ambiguous > b.retryAmbiguous && refused.Retry {
			m := refused.Meaning
			m.Retry = false
			return m.Mark(refused)
		}
	}
	if b.tally.unreachable() {
		b.stop(exitPaused, b.baseURL+" has never been reached: "+err.Error())
	}
	if refused.Retry && f.lane.key.dead() != "" && f.failed < b.maxAttempts {
		return policy.Neutral(errors.Join(errRecalled, err)) // it would wait behind the dead key; another key tries again
	}
	return err
}

// submit hands a flight to the dispatcher, on the lane it was bound to.
func (b *batch) submit(ctx context.Context, f *flight) error {
	f.state.Store(resting)
	f.begun = false
	f.est = b.meter.estimate(f.says)
	options := []dispatcher.Option{dispatcher.WithKey(f.lane.name)}
	for _, cost := range b.meter.costs(f.est) {
		options = append(options, dispatcher.WithCost(cost.Limit, cost.Tokens))
	}
	if f.failed > 0 {
		retry := b.retry()
		// Probes of an open circuit are among the failures, which the dispatcher lets go uncounted (S-B7): there may be more of them
		// than attempts, and one that it would have made all the same is left.
		retry.MaxAttempts = max(1, retry.MaxAttempts-f.failed)
		options = append(options, dispatcher.WithRetry(retry))
	}
	future, err := dispatcher.Submit(ctx, b.d, b.job(f), options...)
	if err != nil {
		return err
	}
	f.future = future
	f.lane.waiting++
	f.lane.under++
	go func() {
		answer, err := future.Await(context.Background()) // every accepted job is settled (S-F1)
		b.post(event{ended: f, answer: answer, err: err})
	}()
	return nil
}
