package dispatcher

import (
	"context"
	"time"

	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/scheduler"
)

// loop is what belongs to the server alone, see exchange: the scheduler goroutine, or who has borrowed the scheduler for a turn.
// Nobody else touches it, so it has no lock; who wants something posts a message. What is said to be for the loop only is.
type loop struct {
	core    *scheduler.Core
	timer   *time.Timer      // the one timer (S-L9)
	armed   policy.Time      // when it goes off; Never when it doesn't
	now     policy.Time      // of this turn: the clock is read once a turn
	batch   []post           // of this turn
	starts  []jobTask        // admitted in this turn
	after   []func()         // to be called at the end of this turn
	chores  []func()         // to be called, elsewhere, at the end of this turn: they may call what is the caller's (S-O1)
	causes  map[string]error // by key: what opened the circuits that are not closed
	quiet   []chan struct{}  // those who wait for quiet
	vigils  []*vigil         // those who wait, in an attempt, for another job
	closing bool             // Close or Stop has been called
	recall  bool             // there may be attempts in flight that would not be admitted any more
}

// run is the scheduler goroutine. It ends when the dispatcher is closed and everything accepted is over.
func (d *Dispatcher) run() {
	defer d.endLoop()
	x := &d.exchange
	for {
		select {
		case <-x.bell:
			x.mu.Lock()
			x.called = false
		case <-d.loop.timer.C:
			x.mu.Lock()
			x.ticked = true
		}
		for !x.served && x.work() {
			d.serve()
			up := x.crew.chain()
			x.mu.Unlock()
			d.wake(up)
			x.mu.Lock()
		}
		ended := x.ended
		x.mu.Unlock()
		if ended {
			return
		}
	}
}

// turn attends to all that has come in: it lets the core decide, and does what it says, but for handing over what was admitted.
func (d *Dispatcher) turn() {
	l := &d.loop
	d.sharing.lock()
	l.now = d.clock()
	l.core.Advance(l.now) // who asks is told how things stand now
	for i := range l.batch {
		d.receive(&l.batch[i])
	}
	effects := l.core.Effects()
	d.sharing.unlock()
	d.sharing.wake(d)
	for i := range effects {
		d.carryOut(&effects[i])
	}
	if l.recall {
		l.recall = false
		d.recallUnwelcome()
	}
	clear(effects) // or an idle dispatcher would hold on to the jobs of its last turn
	clear(l.batch)
	l.batch = l.batch[:0]
	d.doElsewhere(l.chores)
	l.chores = nil
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
	if len(l.quiet) > 0 && l.core.Quiet() {
		for _, waiter := range l.quiet {
			close(waiter)
		}
		l.quiet = nil
	}
	d.setTimer()
}

// setTimer sets the timer to the next wake-up, if that is another than before or has come.
func (d *Dispatcher) setTimer() {
	l := &d.loop
	next := l.core.NextWake()
	switch {
	case next == l.armed && l.now < next:
	case next == policy.Never:
		l.timer.Stop()
	default:
		l.timer.Reset(max(0, next.Sub(d.clock())))
	}
	l.armed = next
}

// receive takes one post.
func (d *Dispatcher) receive(p *post) {
	switch {
	case p.msg != nil:
		d.receiveMessage(p.msg)
	case p.job.entry.State() == scheduler.Unknown:
		if h := p.job; h.entry.Key != "" || d.cfg.Keys != nil {
			d.keys.add(h.entry.Key, h.rules())
		}
		d.receiveNew(&p.job.entry)
	default:
		d.receiveEnd(p.job)
	}
}

// receiveNew takes a new job. One that comes alone may start at once.
func (d *Dispatcher) receiveNew(e *scheduler.Entry) {
	l := &d.loop
	if len(l.batch) == 1 && l.core.Express(l.now, e) {
		d.carryOut(&scheduler.Effect{Kind: scheduler.Start, Entry: e})
		return
	}
	l.core.Submit(l.now, e)
}

func (d *Dispatcher) receiveMessage(m *message) {
	if m.do != nil {
		m.do()
		return
	}
	h := m.job
	if m.kind == scheduler.Cancel && h.entry.State() < scheduler.Detached { // or it is over, and has ended for another reason
		s := h.tell()
		s.ended, s.expired = m.err, m.expired
	}
	d.loop.core.Step(scheduler.Event{Kind: m.kind, At: d.loop.now, Entry: &h.entry, Attempt: m.attempt, Limit: m.limit, Amount: m.amount})
}

// receiveEnd takes the end of an attempt. What a failed one returned is kept; once the job is settled its history has been given
// away, and stays as it is.
func (d *Dispatcher) receiveEnd(h *header) {
	n, outcome := h.entry.Runs(), policy.Outcome{}
	switch h.ending {
	case endedWell:
	case neverBegan:
		h.returned()
		d.loop.core.Step(scheduler.Event{Kind: scheduler.Unstarted, At: d.loop.now, Entry: &h.entry, Attempt: n})
		return
	case endedBadly:
		s := h.tell()
		outcome = s.outcome
		if h.entry.State() == scheduler.Running {
			s.last = s.err
			now := d.loop.now
			s.history.Add(job.Failure{N: n, At: now.Sub(h.entry.Submitted()), Took: now.Sub(h.entry.Started()), Error: s.err})
		}
	}
	if d.feed.listener != nil {
		d.tellEnd(h, n)
	}
	d.loop.core.Done(d.loop.now, &h.entry, n, outcome)
}

// carryOut does what the core has decided.
func (d *Dispatcher) carryOut(e *scheduler.Effect) {
	if d.feed.listener != nil && e.Kind != scheduler.Settle { // which is told with the job's error
		d.tellEffect(e, nil)
	}
	switch e.Kind {
	case scheduler.Start:
		t := e.Entry.Owner.(jobTask)
		if h := t.head(); h.byCaller {
			d.callBack(h)
		} else {
			d.loop.starts = append(d.loop.starts, t)
		}
	case scheduler.Settle:
		d.settle(e)
	case scheduler.Signal:
		h := e.Entry.Owner.(jobTask).head()
		h.callOff(e.Attempt, h.signalCause(e.Reason))
		d.loop.chores = append(d.loop.chores, h.tidy)
	case scheduler.Opened:
		d.loop.recall = true
		if e.Entry != nil {
			d.loop.causes[e.Key] = e.Entry.Owner.(jobTask).head().tell().last
		}
	case scheduler.Closed:
		delete(d.loop.causes, e.Key)
	case scheduler.Forgotten:
		if (e.Key != "" || d.cfg.Keys != nil) && !d.loop.core.Has(e.Key) { // it may have come back in the same turn
			d.keys.remove(e.Key)
		}
	case scheduler.Deadlock:
		d.tellHopeless(e.Entry.Owner.(jobTask).head())
	case scheduler.Cooling:
		d.loop.recall = true
	case scheduler.HalfOpened, scheduler.Parked:
	}
}

// settle gives a job's future its answer, and its room to the next: that first, or who has the answer could find none.
func (d *Dispatcher) settle(e *scheduler.Effect) {
	t := e.Entry.Owner.(jobTask)
	h := t.head()
	if h.watched {
		if stop := d.watches.leave(h); stop != nil {
			d.loop.chores = append(d.loop.chores, func() { endQuietly(stop) })
		}
	}
	var err error
	if e.Reason != scheduler.Succeeded {
		err = d.failure(h, e)
	}
	if d.feed.listener != nil {
		d.tellEffect(e, err)
	}
	d.room.giveBack()
	t.settle(err)
	if h.byCaller {
		d.callers.tell(h)
	}
	if h.asked != nil && h.asked.outbox != nil {
		h.asked.outbox.add(h.id)
	}
}

// failure is the error in which a job ends.
func (d *Dispatcher) failure(h *header, e *scheduler.Effect) *job.Error {
	s := h.tell()
	err := &job.Error{
		Dispatcher: d.name, ID: h.id, Key: h.entry.Key, Attempts: h.attempts(), Last: s.last, History: s.history,
	}
	switch e.Reason {
	case scheduler.AttemptsUsedUp:
		err.Reason = &job.MaxRetriesExceededError{Attempts: e.Attempt, Last: s.last}
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
		err.Reason, err.Cause = job.ErrCanceled, s.ended
		switch {
		case s.expired:
			err.Reason = job.ErrDeadline
		case s.ended == job.ErrDeadlock: //nolint:errorlint // ours, as it is: its context goes on
		case s.ended != nil:
			err.Reason = job.ErrContextEnded
		}
		if s.ended == context.Canceled || s.ended == context.DeadlineExceeded { //nolint:errorlint // an error of the caller's must not be asked here (S-O1)
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
		err.Reason, err.Last = h.failed(s.last)
	}
	return err
}

// failed is the reason of a job that ended with an error not to be tried again, and that error. A panic and a Goexit speak
// for themselves.
func (h *header) failed(last error) (reason, err error) {
	panicked, ok := last.(*job.PanicError) //nolint:errorlint // only one that we made counts, and we do not wrap it
	switch {
	case ok:
		return panicked, nil
	case last == job.ErrGoexit: //nolint:errorlint // likewise; and an error of the caller's must not be asked here (S-O1)
		return last, nil
	case h.retry().Off():
		return job.ErrRetriesOff, last
	default:
		return job.ErrNotRetried, last
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

// signalCause is why the context of a running attempt ends.
func (h *header) signalCause(reason scheduler.Reason) error {
	switch ended := h.tell().ended; {
	case ended != nil:
		return ended
	case reason == scheduler.DeadlinePassed:
		return context.DeadlineExceeded
	case reason == scheduler.Aborted:
		return job.ErrAborted
	default:
		return context.Canceled
	}
}

// endLoop leaves nothing behind: the goroutines of the pool end, the name is free.
func (d *Dispatcher) endLoop() {
	d.loop.timer.Stop()
	if stop := d.watches.end(); stop != nil {
		d.elsewhere(func() { endQuietly(stop) })
	}
	d.release()
	d.sharing.leave(d)
	d.feed.end()
	unregister(d)
	close(d.ended)
}
