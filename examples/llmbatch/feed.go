package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/examples/llmbatch/internal/batchfile"
	"github.com/toller-go/toller/examples/llmbatch/internal/chat"
	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/policy/api"
)

const (
	// readAhead is how many prompts are read and not bound to a key: those of one model must not hold up those of another.
	readAhead = 1024
	// mostUnder is how many prompts are with the dispatcher, most of them because they are to be tried again.
	mostUnder = 16_384
	// lookEvery is how often it is looked at what no event tells: whether a budget is used up, and whether keys are unevenly loaded.
	lookEvery = 250 * time.Millisecond
)

// event is something that the loop is told. One of the first five is set.
type event struct {
	begun    *flight // an attempt has begun
	answered *flight // an attempt has had answer, and waits until that is recorded
	ended    *flight // its job is settled, with answer or err
	expired  *flight // its deadline has passed
	died     *apiKey // it was set aside

	answer chat.Answer
	err    error
}

// post tells the loop. Once that is over, nobody wants to know.
func (b *batch) post(e event) {
	select {
	case b.events <- e:
	case <-b.over:
	}
}

// loop hands out prompts and takes in what becomes of them, until all is over. It runs on the goroutine that writes the output.
func (b *batch) loop(ctx context.Context, cancel context.CancelFunc) {
	defer close(b.over)
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if !b.halt.isAsked() {
			b.feed(ctx)
		}
		b.barred.Store(int64(b.countBarred()))
		if len(b.flights) == 0 && (b.read == nil && b.unbound() == 0 || b.halt.isAsked()) {
			b.leaveDear()
			return
		}
		select {
		case e := <-b.events:
			b.take(e)
		case <-tick.C:
			b.look()
		}
		if err := b.rec.broken(); err != nil { // perhaps only in forcing to the disk what was written
			b.halt.ask(exitNotRecorded, unwritten(err))
			cancel() // what cannot be recorded must not be sent
		}
	}
}

// unbound is how many prompts have been read, or have come back, and are bound to no key.
func (b *batch) unbound() int {
	n := 0
	for _, queue := range b.queues {
		n += len(queue)
	}
	return n
}

// countBarred is how many of them earlier runs have left nothing of -rpd for.
func (b *batch) countBarred() int {
	n := 0
	for model, queue := range b.queues {
		if !slices.ContainsFunc(b.ring.of(model), (*lane).allowed) {
			n += len(queue)
		}
	}
	return n
}

// feed binds prompts to keys, and reads on, as far as there is room.
func (b *batch) feed(ctx context.Context) {
	waiting := 0
	for model := range b.queues {
		waiting += b.bind(ctx, model)
	}
	for b.read != nil && waiting < readAhead && len(b.flights) < mostUnder && !b.repeats.full() && !b.halt.isAsked() {
		item, ok := b.next()
		if !ok {
			return
		}
		if b.settled(&item) || b.repeated(item) {
			continue
		}
		before := len(b.queues[item.Model])
		b.enqueue(item)
		waiting += b.bind(ctx, item.Model) - before
		if waiting > 0 && len(b.ring.lanes) == 1 {
			return // there is but one model, and it has enough
		}
	}
}

// enqueue puts a prompt into line, not yet bound to a key.
func (b *batch) enqueue(item batchfile.Item) {
	f := &flight{item: item, says: api.ReadRequest(api.Choices, item.Body), ambiguous: b.wasted(&item)}
	f.says.Model = item.Model
	b.queues[item.Model] = append(b.queues[item.Model], f)
}

// bind hands the prompts of a model to keys that have room, and returns how many are left.
func (b *batch) bind(ctx context.Context, model string) int {
	for len(b.queues[model]) > 0 && len(b.flights) < mostUnder && !b.halt.isAsked() {
		f := b.queues[model][0]
		if f.expired {
			b.dequeue(model)
			b.settle(f, chat.Answer{}, errDeadline) // and another that waits for the same answer may join the queue
			continue
		}
		l := b.ring.pick(model)
		if l == nil {
			break
		}
		f.lane = l
		switch err := b.submit(ctx, f); {
		case err == nil:
			b.flights[f] = true
		case errors.Is(err, policy.ErrInvalid): // a cost of which a budget never had so much
			b.tooDear(f)
		case b.halt.isAsked():
			return len(b.queues[model])
		default: // such as too many keys and models
			b.stop(exitPaused, err.Error())
			return len(b.queues[model])
		}
		b.dequeue(model)
	}
	return len(b.queues[model])
}

// dequeue takes out the prompt of a model that is first in line.
func (b *batch) dequeue(model string) {
	queue := b.queues[model]
	queue[0] = nil
	if queue = queue[1:]; len(queue) == 0 {
		delete(b.queues, model)
		return
	}
	b.queues[model] = queue
}

// brokeBy says that a budget is used up, of which so much is left, and that it was one of this run.
func (b *batch) brokeBy(budget string, left float64) string {
	spent := b.tally.now()
	if budget == budgetUSD {
		return fmt.Sprintf("this run's -budget-usd is used up: of $%g, $%.6f is left, and the next prompt may cost more; the same command may spend as much again", b.budgetUSD, left/mills)
	}
	return fmt.Sprintf("this run's -budget-tokens is used up: of %.0f, %.0f are left (%d were billed), and the next prompt may take more; the same command may use as much again",
		b.budgetTokens, left, spent.PromptTokens+spent.CompletionTokens)
}

// next reads a prompt. ok is false at the end of the input.
func (b *batch) next() (item batchfile.Item, ok bool) {
	item, err := b.read.Next()
	if err == nil && b.seen < b.src.sum.Items {
		b.seen++
		item.Hash, item.Prompt = hashOf(&item), "" // the body has it
		return item, true
	}
	if err == nil || !errors.Is(err, io.EOF) || b.seen < b.src.sum.Items {
		b.stop(exitNotRecorded, fmt.Sprint(errors.Join(errChanged, err)))
	}
	_ = b.read.Close()
	b.read = nil
	return item, false
}

// take takes in an event.
func (b *batch) take(e event) {
	switch {
	case e.begun != nil:
		b.onBegun(e.begun)
	case e.answered != nil:
		b.onAnswered(e.answered, e.answer)
	case e.died != nil:
		b.onDeath(e.died)
	case e.expired != nil:
		e.expired.expired = true
		e.expired.future.Cancel() // between two keys, that of the last; and the next is not begun
	default:
		b.onEnd(e.ended, e.answer, e.err)
	}
}

// onBegun counts a prompt out of those that wait, and starts its clock.
func (b *batch) onBegun(f *flight) {
	if !f.begun {
		f.begun = true
		f.lane.waiting--
	}
	if b.deadline > 0 && f.expiry == nil {
		f.expiry = time.AfterFunc(b.deadline, func() { b.post(event{expired: f}) })
	}
}

// onAnswered records an answer while its attempt is still in flight. A flight that was given up meanwhile has been settled.
func (b *batch) onAnswered(f *flight, answer chat.Answer) {
	if b.flights[f] {
		f.settled = true
		b.settle(f, answer, nil)
	}
	close(f.recorded)
}

// onDeath takes back what waits for a key that was set aside.
func (b *batch) onDeath(key *apiKey) {
	for f := range b.flights {
		if f.lane.key == key && f.recall() {
			f.future.Cancel() // and its end brings it back to the queue
		}
	}
	if !b.ring.alive() {
		b.stop(exitPaused, b.ring.obituary())
	} else if !b.live {
		b.tell("%s is set aside, and the prompts go on with the other keys: %s", key.name, key.dead())
	}
}

// look does what no event asks for.
func (b *batch) look() {
	if b.halt.isAsked() {
		return
	}
	s := b.d.Snapshot()
	b.checkBudget(s)
	b.refresh()
	if len(b.ring.keys) > 1 {
		b.rebalance(s)
	}
}

// refresh takes back what waits with an estimate that is not what we would say by now, and so it is bound again with a better one:
// before anything has been answered, estimates can be off by a factor of ten.
func (b *batch) refresh() {
	for f := range b.flights {
		if f.begun {
			continue
		}
		if stale(f.est, b.meter.estimate(f.says)) && f.recall() {
			f.future.Cancel() // and its end brings it back
		}
	}
}

// stale reports whether an estimate is no longer worth waiting with.
func stale(then, now estimate) bool {
	ratio := (now.Input + now.likely) / (then.Input + then.likely)
	return ratio < 0.8 || ratio > 1.25
}

// rebalance notes which keys are held, and at the end of the input takes prompts back from keys in which many wait when others have
// none left: otherwise the last prompts would wait for the slowest key.
func (b *batch) rebalance(s dispatcher.Snapshot) {
	held := make(map[string]bool)
	for _, key := range s.Keys {
		held[key.Key] = key.Cooling > 0 || key.Circuit == policy.Open
	}
	waiting := make(map[*lane][]*flight)
	for f := range b.flights {
		if f.state.Load() == resting {
			waiting[f.lane] = append(waiting[f.lane], f)
		}
	}
	for _, lanes := range b.ring.lanes {
		var most []*flight
		idle := false // a key that could go on has nothing to do
		for _, l := range lanes {
			l.held = held[l.name]
			if len(waiting[l]) > len(most) {
				most = waiting[l]
			}
			idle = idle || l.free() && len(waiting[l]) == 0
		}
		if !idle || b.read != nil || b.unbound() > 0 {
			continue
		}
		for _, f := range most[:(len(most)+1)/2] {
			if (len(most) > 1 || f.lane.held) && f.recall() {
				f.future.Cancel()
			}
		}
	}
}

// checkBudget ends the run when the next prompt does not fit into what is left of a budget, and nothing under way will give any back.
func (b *batch) checkBudget(s dispatcher.Snapshot) {
	if s.Running > 0 || s.Waiting > 0 {
		return
	}
	for _, l := range s.Limits { // that all keys share: the budgets
		if l.Waiting > 0 {
			b.stop(exitPaused, b.brokeBy(l.Name, l.Level))
		}
	}
}

// onEnd takes in what became of a prompt.
func (b *batch) onEnd(f *flight, answer chat.Answer, err error) {
	delete(b.flights, f)
	f.lane.under--
	if !f.begun {
		f.lane.waiting--
	}
	if !f.settled && b.again(f, err) {
		b.queues[f.item.Model] = append([]*flight{f}, b.queues[f.item.Model]...)
		return
	}
	if f.expiry != nil {
		f.expiry.Stop()
	}
	if !f.settled {
		b.settle(f, answer, err)
	}
}

// again reports whether a prompt is to be sent with another key, because the one it was bound to is of no use.
func (b *batch) again(f *flight, err error) bool {
	if err == nil || b.halt.isAsked() || f.expired {
		return false
	}
	taken := f.state.Load() == recalled && errors.Is(err, job.ErrCanceled) // or it had ended already when it was recalled
	return taken || errors.Is(err, errRecalled) || isOfKey(err)
}

// isOfKey reports whether an attempt failed because of its key: no other prompt would fare better with it.
func isOfKey(err error) bool {
	var refused *api.Error
	return errors.As(err, &refused) && (refused.Class == api.OutOfMoney || refused.Class == api.BadKey)
}
