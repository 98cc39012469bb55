package dispatcher

import (
	"context"
	"time"

	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/scheduler"
)

// loop is what belongs to the scheduler goroutine alone. Nobody else touches it, so it has no lock; who wants something
// posts a message.
type loop struct {
	core    *scheduler.Core
	timer   *time.Timer      // the one timer (S-L9)
	now     policy.Time      // of this turn: the clock is read once a turn
	batch   []message        // of this turn
	starts  []runnable       // admitted in this turn
	after   []func()         // to be called at the end of this turn
	chores  []*header        // to be tidied, elsewhere, at the end of this turn
	causes  map[string]error // by key: what opened the circuits that are not closed
	quiet   []chan struct{}  // those who wait for quiet
	vigils  []*vigil         // those who wait, in an attempt, for another job
	closing bool             // Close or Stop has been called
}

// run is the scheduler goroutine. It ends when the dispatcher is closed and everything accepted is over.
func (d *Dispatcher) run() {
	defer d.endLoop()
	for !d.loop.closing || !d.loop.core.Quiet() {
		select {
		case <-d.mail.bell:
		case <-d.loop.timer.C:
		}
		d.turn()
	}
}

// turn takes everything that has come in, lets the core decide, and does what it says.
func (d *Dispatcher) turn() {
	l := &d.loop
	l.batch = d.mail.take(l.batch)
	d.sharing.lock()
	l.now = d.clock()
	l.core.Step(scheduler.Event{Kind: scheduler.Tick, At: l.now}) // who asks is told how things stand now
	for i := range l.batch {
		d.receive(&l.batch[i])
	}
	effects := l.core.Effects()
	d.sharing.unlock()
	d.sharing.wake(d)
	for i := range effects {
		d.carryOut(&effects[i])
	}
	clear(effects) // or an idle dispatcher would hold on to the jobs of its last turn
	clear(l.batch)
	d.crew.tidy(l.chores)
	l.chores = nil
	d.crew.hand(l.starts)
	clear(l.starts)
	l.starts = l.starts[:0]
	d.endTurn()
}

// endTurn answers those who wait for it, and sets the timer.
func (d *Dispatcher) endTurn() {
	l := &d.loop
	for _, do := range l.after {
		do()
	}
	clear(l.after)
	l.after = l.after[:0]
	if l.core.Quiet() {
		for _, waiter := range l.quiet {
			close(waiter)
		}
		l.quiet = nil
	}
	if next := l.core.NextWake(); next == policy.Never {
		l.timer.Stop()
	} else {
		l.timer.Reset(max(0, next.Sub(d.clock())))
	}
}

// receive takes one message.
func (d *Dispatcher) receive(m *message) {
	if m.do != nil {
		m.do()
		return
	}
	h := m.job
	switch m.kind {
	case scheduler.Submit:
		h.accepted = d.loop.now
		d.keys.add(h.entry.Key, h.entry.Rules)
	case scheduler.Cancel:
		if h.entry.State() < scheduler.Detached { // or it is over, and has ended for another reason
			h.ended, h.expired = m.err, m.expired
		}
	case scheduler.Done:
		d.record(h, m)
		d.tellEnd(m)
	default:
	}
	d.loop.core.Step(scheduler.Event{
		Kind: m.kind, At: d.loop.now, Entry: &h.entry, Attempt: m.attempt, Outcome: m.outcome, Limit: m.limit, Amount: m.amount,
	})
}

// record keeps what a failed attempt returned. Once the job is settled its history has been given away, and stays as it is.
func (d *Dispatcher) record(h *header, m *message) {
	if m.err == nil || h.entry.State() != scheduler.Running {
		return
	}
	h.last = m.err
	now := d.loop.now
	h.history.Add(job.Failure{N: m.attempt, At: now.Sub(h.accepted), Took: now.Sub(h.began), Error: m.err})
}

// carryOut does what the core has decided.
func (d *Dispatcher) carryOut(e *scheduler.Effect) {
	if e.Kind != scheduler.Settle { // which is told with the job's error
		d.tellEffect(e, nil)
	}
	switch e.Kind {
	case scheduler.Start:
		t := e.Entry.Owner.(jobTask)
		h := t.head()
		h.began = d.loop.now
		if h.turn != nil {
			h.turn <- struct{}{} // has room: one attempt of a job at a time
		} else {
			d.loop.starts = append(d.loop.starts, t)
		}
	case scheduler.Settle:
		d.settle(e)
	case scheduler.Signal:
		h := e.Entry.Owner.(jobTask).head()
		h.callOff(e.Attempt, h.signalCause(e.Reason))
		d.loop.chores = append(d.loop.chores, h)
	case scheduler.Opened:
		if e.Entry != nil {
			d.loop.causes[e.Key] = e.Entry.Owner.(jobTask).head().last
		}
	case scheduler.Closed:
		delete(d.loop.causes, e.Key)
	case scheduler.Forgotten:
		if !d.loop.core.Has(e.Key) { // it may have come back in the same turn
			d.keys.remove(e.Key)
		}
	case scheduler.Deadlock:
		d.tellHopeless(e.Entry.Owner.(jobTask).head())
	case scheduler.HalfOpened, scheduler.Parked, scheduler.Cooling:
	}
}

// settle gives a job's future its answer, and its room to the next.
func (d *Dispatcher) settle(e *scheduler.Effect) {
	t := e.Entry.Owner.(jobTask)
	h := t.head()
	if h.retire() {
		d.loop.chores = append(d.loop.chores, h)
	}
	var err error
	if e.Reason != scheduler.Succeeded {
		err = d.failure(h, e)
	}
	d.tellEffect(e, err)
	t.settle(e.Reason, err)
	d.room.giveBack()
	if h.outbox != nil {
		h.outbox.add(h.id)
	}
}

// failure is the error in which a job ends.
func (d *Dispatcher) failure(h *header, e *scheduler.Effect) *job.Error {
	err := &job.Error{
		Dispatcher: d.name, ID: h.id, Key: h.entry.Key, Attempts: h.attempts(), Last: h.last, History: h.history,
	}
	switch e.Reason {
	case scheduler.AttemptsUsedUp:
		err.Reason = &job.MaxRetriesExceededError{Attempts: h.entry.Failures(), Last: h.last}
	case scheduler.ElapsedUsedUp:
		err.Reason = job.ErrMaxElapsed
	case scheduler.ThrottledOut:
		err.Reason = job.ErrThrottled
	case scheduler.HintTooLong:
		err.Reason = job.ErrHintTooLong
	case scheduler.CircuitOpen:
		err.Reason = d.openCircuit(e)
	case scheduler.DeadlinePassed:
		err.Reason = job.ErrDeadline
	case scheduler.Canceled:
		err.Reason, err.Cause = job.ErrCanceled, h.ended
		if h.expired {
			err.Reason = job.ErrDeadline
		}
		if h.ended == context.Canceled || h.ended == context.DeadlineExceeded { //nolint:errorlint // an error of the caller's must not be asked here (S-O1)
			err.Cause = nil // the reason says as much
		}
	case scheduler.NotStarted:
		err.Reason = job.ErrNotStarted
	case scheduler.Aborted:
		err.Reason = job.ErrAborted
	case scheduler.BudgetUsedUp:
		err.Reason = job.ErrRetryBudget
	case scheduler.CostTooHigh:
		err.Reason = job.ErrCostTooHigh
	default:
		err.Reason, err.Last = failed(h.last)
	}
	return err
}

// failed is the reason of a job that ended with an error not to be tried again, and that error. A panic and a Goexit speak
// for themselves.
func failed(last error) (reason, err error) {
	panicked, ok := last.(*job.PanicError) //nolint:errorlint // only one that we made counts, and we do not wrap it
	switch {
	case ok:
		return panicked, nil
	case last == job.ErrGoexit: //nolint:errorlint // likewise; and an error of the caller's must not be asked here (S-O1)
		return last, nil
	default:
		return job.ErrFailed, last
	}
}

func (d *Dispatcher) openCircuit(e *scheduler.Effect) error {
	key := e.Entry.Key
	after := time.Duration(-1)
	if e.Until != policy.Never {
		after = max(0, e.Until.Sub(d.loop.now))
	}
	return &policy.OpenCircuitError{Key: key, RetryAfter: after, Cause: d.loop.causes[key]}
}

// attempts is how often the job's function has been called.
func (h *header) attempts() int {
	if h.idle {
		return h.entry.Runs() - 1
	}
	return h.entry.Runs()
}

// signalCause is why the context of a running attempt ends.
func (h *header) signalCause(reason scheduler.Reason) error {
	switch {
	case h.ended != nil:
		return h.ended
	case reason == scheduler.DeadlinePassed:
		return context.DeadlineExceeded
	case reason == scheduler.Aborted:
		return job.ErrAborted
	default:
		return context.Canceled
	}
}

// endLoop leaves nothing behind: late questions are answered, the goroutines of the pool end, the name is free.
func (d *Dispatcher) endLoop() {
	late := d.mail.end()
	d.sharing.lock()
	d.loop.now = d.clock()
	for _, m := range late {
		if m.do != nil {
			m.do()
		}
	}
	d.sharing.unlock()
	d.sharing.wake(d)
	d.endTurn()
	d.loop.timer.Stop()
	d.crew.release()
	d.sharing.leave(d)
	d.feed.end()
	unregister(d)
	close(d.ended)
}
