package dispatcher_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
)

// What happens in a virtual world is noted by those to whom it happens, and judged here. Of what happens at the same instant the
// order is not known: then either will do.

// begin notes the start of an attempt, and returns its number, from 0.
func (w *virtualWorld) begin(j *virtualJob) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	now, p := w.now(), j.place
	if n := len(j.runs); n > 0 && !j.runs[n-1].over {
		w.wrong("job %d: attempt %d begins at %v, before the one before it is over", j.number, n+1, now)
	}
	j.runs = append(j.runs, run{from: now})
	p.running[whole]++
	p.running[j.key]++
	if n, most := p.running[whole], p.workers.most(now, now); float64(n) > most {
		w.wrong("job %d: at %v, %d attempts are in flight, of %v (S-C1)", j.number, now, n, most)
	}
	if n, most := p.running[j.key], p.keyWorkers.most(now, now); float64(n) > most {
		w.wrong("job %d: at %v, %d attempts of key %q are in flight, of %v (S-C1)", j.number, now, n, j.key, most)
	}
	return len(j.runs) - 1
}

// end notes the end of one.
func (w *virtualWorld) end(j *virtualJob, n int, kind endingKind, hint time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := &j.runs[n]
	r.to, r.kind, r.hint, r.over = w.now(), kind, hint, true
	j.place.running[whole]--
	j.place.running[j.key]--
}

func (w *virtualWorld) accept(j *virtualJob) {
	w.mu.Lock()
	defer w.mu.Unlock()
	j.accepted, j.from = true, w.now()
}

// ask notes that the end of a job is asked for.
func (w *virtualWorld) ask(j *virtualJob) {
	w.mu.Lock()
	defer w.mu.Unlock()
	j.canceled = w.now()
}

func (w *virtualWorld) resolve(j *virtualJob, value int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if j.resolved {
		w.wrong("job %d is resolved twice", j.number)
	}
	j.resolved, j.to, j.value, j.err = true, w.now(), value, err
}

// refuse looks at why a job was refused.
func (w *virtualWorld) refuse(j *virtualJob, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	j.refused = now
	switch {
	case errors.Is(err, dispatcher.ErrClosed) && j.place.closing > 0:
	case errors.Is(err, dispatcher.ErrQueueFull) && (j.inside || j.way == 1):
	case errors.Is(err, context.Canceled) && (j.canceled > 0 || j.inside), errors.Is(err, errBackend) && j.canceled > 0:
	case errors.Is(err, job.ErrAttemptTimeout) && j.inside, errors.Is(err, context.DeadlineExceeded) && j.inside:
	case errors.Is(err, context.DeadlineExceeded) && j.within > 0 && now >= j.at+j.within:
	case j.inside && (errors.Is(err, errBackend) || errors.Is(err, job.ErrCanceled) || errors.Is(err, job.ErrAborted) || errors.Is(err, job.ErrDeadline)):
	default:
		w.wrong("job %d is refused at %v: %v", j.number, now, err)
	}
}

// all are the jobs, those included that others have handed in.
func (w *virtualWorld) all() []*virtualJob { return slices.Concat(w.jobs, w.nested) }

// judge looks at everything, now that all is over.
func (w *virtualWorld) judge() {
	for _, j := range w.all() {
		switch {
		case !j.accepted && len(j.runs) > 0:
			w.wrong("job %d was refused, but has run", j.number)
		case j.accepted && !j.resolved:
			w.wrong("job %d was accepted, but not resolved (S-F1)", j.number)
		case j.accepted:
			w.judgeJob(j)
		}
	}
	for _, p := range w.places {
		w.judgeStarts(p)
		w.judgeQueue(p)
		for i, l := range p.limits {
			if l.shared == nil {
				w.judgeLimit(l, func(j *virtualJob) (cost float64, ok bool) { return costOf(j, i), j.place == p })
			}
		}
	}
	if limits := w.places[0].limits; len(limits) > 0 && limits[len(limits)-1].shared != nil { // the last of each
		w.judgeLimit(limits[len(limits)-1], func(j *virtualJob) (float64, bool) { return j.costs[len(j.costs)-1], true })
	}
}

// ended is the first instant at which somebody other than its function ended the job, if that comes.
func (j *virtualJob) ended() time.Duration {
	end := time.Duration(math.MaxInt64)
	if j.canceled > 0 {
		end = j.canceled
	}
	if j.within > 0 {
		end = min(end, j.at+j.within)
	}
	if j.place.closing > 0 {
		end = min(end, j.place.aborts)
	}
	return end
}

// heard reports whether how an attempt has ended means what the function says, and not that of a context.
func (j *virtualJob) heard(r run) bool {
	return !j.inside && r.to < j.ended() && (j.timeout == 0 || r.to-r.from < j.timeout) && r.kind != endsByContext
}

// judgeJob looks at one job: when and how it ended, and when its attempts began.
func (w *virtualWorld) judgeJob(j *virtualJob) {
	retry, counted := j.place.retry, 0
	for i, r := range j.runs {
		last := i == len(j.runs)-1
		if !r.over {
			w.wrong("job %d: attempt %d is not over", j.number, i+1)
		}
		if r.from > j.to || r.from > j.ended() || r.from < j.at+j.delay {
			w.wrong("job %d: attempt %d begins at %v; the job is from %v, delayed by %v, to %v, and was ended at %v",
				j.number, i+1, r.from, j.at, j.delay, j.to, j.ended())
		}
		if r.kind != endsThrottled { // also if its time was up: what the function says counts
			counted++
		}
		if !j.heard(r) {
			continue
		}
		again := r.kind == endsTransient || r.kind == endsHinted || r.kind == endsThrottled
		switch wait := j.wait(r, counted); {
		case !last && !again:
			w.wrong("job %d: attempt %d has ended for good, but there is another", j.number, i+1)
		case !last && j.runs[i+1].from < r.to+wait:
			w.wrong("job %d: attempt %d ends at %v, and the next begins at %v, not %v later (S-R2, S-R4)", j.number, i+1, r.to, j.runs[i+1].from, wait)
		case last && !again:
			w.judgeEnd(j, r)
		}
	}
	if most := max(1, retry.MaxAttempts); !j.place.breaker && counted > most || retry.MaxAttempts == 0 && len(j.runs) > 1 {
		w.wrong("job %d: %d attempts, %d of them throttled; %d are allowed (S-R1)", j.number, len(j.runs), len(j.runs)-counted, most)
	}
	// Submit waits for room as long as its context lets it, beyond a deadline of the job if need be; a Do comes back when its
	// function does.
	if j.to > max(j.from, j.ended()) && j.way != 0 {
		w.wrong("job %d is over at %v, but was ended at %v (S-F1)", j.number, j.to, j.ended())
	}
	w.judgeReason(j)
}

// wait is how long it is at least before an attempt follows r, the nth that was not throttled.
func (j *virtualJob) wait(r run, n int) time.Duration {
	switch retry := j.place.retry; {
	case r.kind == endsHinted, r.kind == endsThrottled:
		return r.hint
	case r.kind == endsTransient && j.place.exact && !j.place.breaker: // or it may have been a probe, which does not count
		backoff := float64(retry.Delay) * math.Pow(retry.Backoff, float64(n-1))
		return time.Duration(min(float64(retry.MaxDelay), backoff)) - time.Microsecond // what is calculated here is not exact
	default:
		return 0
	}
}

// judgeEnd looks at a job whose function had the last word, in r.
func (w *virtualWorld) judgeEnd(j *virtualJob, r run) {
	want := map[endingKind]error{endsFatal: job.ErrFailed, endsUnmarked: job.ErrFailed, endsUnusable: job.ErrFailed, endsExiting: job.ErrGoexit}[r.kind]
	_, panicked := errors.AsType[*job.PanicError](j.err)
	switch {
	case j.to != r.to:
		w.wrong("job %d: its function has ended at %v, but it is over at %v", j.number, r.to, j.to)
	case r.kind == endsPanicking && !panicked, want != nil && !errors.Is(j.err, want), (r.kind == endsWell || r.kind == endsNested) && j.err != nil:
		w.wrong("job %d: its function has ended in way %d, but it with %v", j.number, r.kind, j.err)
	}
}

// judgeReason looks at whether a job can have ended as it did.
func (w *virtualWorld) judgeReason(j *virtualJob) {
	if j.inside {
		return // it may have been given up with the attempt of the other
	}
	p := j.place
	var possible bool
	switch err := j.err; {
	case err == nil:
		n := len(j.runs)
		possible = n > 0 && j.value == j.number && (j.runs[n-1].kind == endsWell || j.runs[n-1].kind == endsNested)
	case errors.Is(err, job.ErrCanceled):
		possible = j.canceled > 0 && j.to >= j.canceled
	case errors.Is(err, job.ErrDeadline):
		possible = j.within > 0
	case errors.Is(err, job.ErrAborted):
		possible = p.closing > 0 && j.to >= p.aborts
	case errors.Is(err, job.ErrNotStarted):
		possible = p.stopped && j.to >= p.closing
	case errors.Is(err, policy.ErrOpenCircuit):
		possible = j.way < 2
	case errors.Is(err, job.ErrMaxRetriesExceeded):
		possible = len(j.runs) >= p.retry.MaxAttempts
	default: // what its function has said, or a rule about retries
		possible = len(j.runs) > 0
	}
	if !possible {
		w.wrong("job %d cannot end so, at %v: %v", j.number, j.to, j.err)
	}
	if p.stopped {
		for _, r := range j.runs {
			if r.from > p.closing {
				w.wrong("job %d: an attempt begins at %v, but Stop was called at %v (S-F6)", j.number, r.from, p.closing)
			}
		}
	}
}

// judgeStarts looks for attempts that began while nothing may: paused, forced open, unusable, or cooling down (S-B11, S-B2, S-L10).
func (w *virtualWorld) judgeStarts(p *virtualPlace) {
	barred := slices.Clone(p.barred)
	for i := range barred {
		b := &barred[i]
		if b.key == whole && p.closing > 0 {
			b.to = min(b.to, max(b.from, p.closing)) // which lifts a pause
		}
		for _, free := range p.freed {
			if free.key == b.key && free.from >= b.from {
				b.to = min(b.to, free.from)
			}
		}
	}
	for _, j := range w.all() {
		for _, r := range j.runs {
			if j.place != p || !j.heard(r) || r.kind != endsThrottled {
				continue
			}
			wait := r.hint
			if wait < 0 && !w.knew(p, j.key, r) {
				wait = 100 * time.Millisecond
			}
			barred = append(barred, interval{j.key, r.to, r.to + wait})
		}
	}
	for _, j := range w.all() {
		for _, r := range j.runs {
			for _, b := range barred {
				if j.place == p && (b.key == whole || b.key == j.key) && b.from < r.from && r.from < b.to {
					w.wrong("job %d: an attempt of key %q begins at %v, though nothing of %q may from %v to %v", j.number, j.key, r.from, b.key, b.from, b.to)
				}
			}
		}
	}
}

// knew reports whether another attempt of the key was throttled while r ran: then r says nothing new.
func (w *virtualWorld) knew(p *virtualPlace, key string, r run) bool {
	for _, j := range w.all() {
		for _, other := range j.runs {
			if j.place == p && j.key == key && other != r && other.kind == endsThrottled && other.to >= r.from && other.to <= r.to {
				return true
			}
		}
	}
	return false
}

// judgeQueue looks at how many jobs were accepted and not settled at once, and that nobody was kept waiting while there was room
// (S-F8).
func (w *virtualWorld) judgeQueue(p *virtualPlace) {
	var known []*virtualJob
	for _, j := range w.all() {
		if j.place == p && j.accepted && (j.way != 0 || j.inside) { // when a Do was accepted is not known
			known = append(known, j)
		}
	}
	for _, j := range known {
		n := 0
		for _, other := range known {
			if other.from < j.from && j.from < other.to {
				n++
			}
		}
		if n >= p.queue {
			w.wrong("job %d is accepted at %v, when %d are unsettled already, of at most %d", j.number, j.from, n, p.queue)
		}
	}
	for _, j := range w.jobs {
		if j.place == p && !j.accepted && j.at < p.closing && j.refused == p.closing {
			if n := w.unsettled(p, p.closing); n < p.queue {
				w.wrong("job %d waits from %v on until %v, when Close or Stop is called, though %d at most are unsettled, of %d", j.number, j.at, j.refused, n, p.queue)
			}
		}
	}
}

// unsettled is how many jobs may have been accepted and unsettled at an instant.
func (w *virtualWorld) unsettled(p *virtualPlace, at time.Duration) (n int) {
	for _, j := range w.all() {
		from := j.from
		if j.way == 0 && !j.inside {
			from = j.at
		}
		if j.place == p && j.accepted && from <= at && at <= j.to {
			n++
		}
	}
	return n
}
