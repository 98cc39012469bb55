package main

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"runtime"
	"slices"
	"time"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
)

// submitter hands in jobs and awaits them, and has a bounded number of them under way.
type submitter struct {
	s      *soak
	random *rand.Rand
	batch  *batch
	used   int // how many were handed in since batch was made
	under  []awaited
}

func newSubmitter(s *soak, random *rand.Rand) *submitter { return &submitter{s: s, random: random} }

// submit goes on until so many jobs have been accepted, by all, and until its own are over.
func (b *submitter) submit(goal int64) {
	b.batch = newBatch()
	for b.s.accepted.Load() < goal && b.s.sound() {
		if b.used++; b.used%1_000 == 0 {
			b.batch.end()
			b.batch = newBatch()
		}
		b.handIn()
		if len(b.under) >= room {
			b.sweep()
			for len(b.under) > room*3/4 && b.s.sound() {
				b.resolve(b.under[0])
				b.under = slices.Delete(b.under, 0, 1)
			}
		}
	}
	for _, one := range b.under {
		if b.s.sound() {
			b.resolve(one)
		}
	}
	clear(b.under)
	b.under = b.under[:0]
	b.batch.end()
}

// handIn hands in one job, or as many as a Map takes, in one of the ways.
func (b *submitter) handIn() {
	p := b.s.elder.now()
	if b.random.IntN(2) == 0 {
		p = b.s.slots[b.random.IntN(len(b.s.slots))].now()
	}
	way := b.random.IntN(400)
	if way == 0 {
		b.mapOver(p)
		return
	}
	e := b.s.errand(p, b.random, b.batch, func(*kind) bool { return true })
	e.choose(b.random)
	b.s.plantWith(e)
	e.hurried = way < 90
	if e.kind.before {
		e.askForEnd()
	}
	switch {
	case way < 30 && !e.kind.exits:
		b.do(e)
	case way < 30: // the goroutine that calls is the one that ends
		over := make(chan struct{})
		go func() {
			defer close(over)
			b.do(e)
		}()
		<-over
	case way < 90:
		f, err := dispatcher.TrySubmit(e.ctx, p.d, e.run, e.options...)
		take(b, e, f, err)
	case way < 150:
		f, err := dispatcher.Go(e.ctx, p.d, e.call, e.options...)
		take(b, e, f, err)
	default:
		f, err := dispatcher.Submit(e.ctx, p.d, e.run, e.options...)
		take(b, e, f, err)
	}
}

// take puts a job under way, unless it was refused.
func take[T any](b *submitter, e *errand, f *job.Future[T], err error) {
	if err != nil {
		if f != nil {
			e.fault("refused with a future: %v", err)
		}
		e.refuse(err, e.hurried)
		return
	}
	e.p.accept(b.s)
	if b.s.plant == "lost" {
		b.s.planted.Do(func() { f = new(job.Future[T]) })
	}
	b.under = append(b.under, &ticket[T]{e: e, f: f})
	switch {
	case e.kind.after:
		b.yield()
		e.askForEnd()
	case e.kind.recall:
		b.yield()
		e.recall(f.Cancel)
	}
}

func (b *submitter) yield() {
	for range b.random.IntN(4) {
		runtime.Gosched()
	}
}

// do is a Do.
func (b *submitter) do(e *errand) {
	if e.kind.after {
		time.AfterFunc(time.Duration(e.number%100)*time.Microsecond, e.askForEnd)
	}
	returned := false
	defer func() {
		if !returned {
			e.p.accept(b.s)
			e.judge(nil, &job.Error{Key: e.key, Dispatcher: e.p.d.Name(), Attempts: int(e.runs.Load()), Reason: job.ErrGoexit})
		}
	}()
	value, err := dispatcher.Do(e.ctx, e.p.d, e.run, e.options...)
	returned = true
	b.returned(e, value, err)
}

// returned takes what a call has returned that tells refusals and failures in the same way.
func (b *submitter) returned(e *errand, value int, err error) {
	if _, ok := errors.AsType[*job.Error](err); err != nil && !ok {
		e.refuse(err, false)
		return
	}
	e.p.accept(b.s)
	e.judge(&value, err)
}

// mapOver is a Map of a few dozen, which may be left early.
func (b *submitter) mapOver(p *place) {
	n, leave := 1+b.random.IntN(40), b.random.IntN(200)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	own := &batch{ctx: ctx, cancel: cancel}
	fits := func(k *kind) bool { return !k.alone && !k.recall && k.prepare == nil }
	read := make(map[*errand]bool)
	source := func(yield func(*errand) bool) {
		for range n {
			e := b.s.errand(p, b.random, own, fits)
			e.batch = own // whatever the context of the errand: it is the Map's that counts
			read[e] = true
			if !yield(e) {
				return
			}
		}
	}
	per := func(e *errand) dispatcher.Spec { return dispatcher.Spec{Key: e.key} }
	run := func(ctx context.Context, e *errand) (int, error) { return e.run(ctx) }
	items := dispatcher.Map(ctx, p.d, iter.Seq[*errand](source), run, per, dispatcher.WithWindow(1+b.random.IntN(20)))
	for item := range items {
		if !read[item.In] {
			item.In.fault("yielded twice by Map")
		}
		delete(read, item.In)
		b.returned(item.In, item.Value, item.Err)
		if leave--; leave == 0 {
			own.asked.Store(true)
			p.unsure.Add(int64(len(read)))
			return
		}
	}
	for e := range read {
		e.fault("not yielded by Map")
	}
}

// sweep resolves those that are over.
func (b *submitter) sweep() {
	b.under = slices.DeleteFunc(b.under, func(one awaited) bool {
		gone := one.gone() // asked first: once it is, everything is settled
		if !one.settled() {
			if gone {
				one.lost("although Close or Stop has returned")
			}
			return false
		}
		one.judge()
		return true
	})
}

// resolve waits for one.
func (b *submitter) resolve(one awaited) {
	ctx, cancel := b.s.bound()
	defer cancel()
	if !one.wait(ctx, b.random.IntN(2) == 0) {
		one.lost("after a long time")
		return
	}
	one.judge()
}

// awaited is a job under way, whatever its result.
type awaited interface {
	gone() bool
	settled() bool
	wait(ctx context.Context, byChannel bool) bool
	judge()
	lost(when string)
}

// ticket is a job under way, with its future.
type ticket[T any] struct {
	e *errand
	f *job.Future[T]
}

func (t *ticket[T]) gone() bool { return t.e.p.gone.Load() }

func (t *ticket[T]) settled() bool { return t.f.State() != job.Pending }

func (t *ticket[T]) wait(ctx context.Context, byChannel bool) bool {
	if byChannel {
		select {
		case <-t.f.Done():
			return true
		case <-ctx.Done():
			return false
		}
	}
	_, err := t.f.Await(ctx)
	return !errors.Is(err, job.ErrNotSettled)
}

func (t *ticket[T]) lost(when string) { t.e.fault("not settled %s: %v", when, t.f.Explain()) }

// judge looks at the result, more than once: it stays as it is.
func (t *ticket[T]) judge() {
	value, err, ok := t.f.Result()
	if !ok {
		t.e.fault("settled without a result")
	}
	again, same := t.f.Await(context.Background())
	if any(again) != any(value) || same != err { //nolint:errorlint // it is to be the very same error
		t.e.fault("first %v (%v), then %v (%v)", value, err, again, same)
	}
	if t.e.number%16 == 0 {
		if found := t.f.Cancel(); found != job.AlreadySettled {
			t.e.fault("Cancel of what is over: %v", found)
		}
	}
	if n, ok := any(value).(int); ok {
		t.e.judge(&n, err)
	} else {
		t.e.judge(nil, err)
	}
}
