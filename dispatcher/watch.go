package dispatcher

import (
	"context"
	"sync"

	"github.com/toller-go/toller/scheduler"
)

// watches cancel jobs whose contexts end. Many jobs have the same context, or contexts that end together: there is one watch for
// all whose Done is the same channel, so that a job costs a place in a list, and no function of its own that package context
// would call.
type watches struct {
	mu     sync.Mutex
	by     map[<-chan struct{}]*watch // guarded by mu
	latest *watch                     // guarded by mu; it is kept when nobody has it any more, since the next job may want it
}

// watch is the watch on one context. Its fields are guarded by watches.mu, save for done.
type watch struct {
	done  <-chan struct{} // immutable
	stop  func() bool     // nil until it has begun
	jobs  []*header
	users int  // jobs, and those about to join
	over  bool // the context has ended
}

// startWatch has the job canceled when its context ends. The job may be over by now.
func (h *header) startWatch() {
	if !h.watched {
		return
	}
	s := &h.d.watches
	w, begun, idle := s.of(h, h.ctx.Done())
	if w == nil {
		return
	}
	if idle != nil {
		defer endQuietly(idle)
	}
	if !begun {
		s.begin(h.ctx, w)
	}
	over, unused := s.join(w, h)
	if unused != nil {
		unused()
	}
	if over {
		h.giveUp()
	}
}

// endQuietly ends a watch on the context of other jobs. What that panics with is not for who happens to end it.
func endQuietly(stop func() bool) {
	defer func() { _ = recover() }()
	stop()
}

// of returns the watch on the context of a job that is about to join, whether it has begun, and what ends one that is not kept any
// longer, or nil. If the job is over by now there is nothing to watch, and perhaps nobody any more who would end it.
func (s *watches) of(h *header, done <-chan struct{}) (w *watch, begun bool, idle func() bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h.watchPos == gone {
		return nil, false, nil
	}
	if w = s.latest; w == nil || w.done != done {
		if w = s.by[done]; w == nil {
			w = &watch{done: done}
			s.by[done] = w
		}
		old := s.latest
		s.latest = w
		idle = s.drop(old)
	}
	w.users++
	return w, w.stop != nil, idle
}

// begin begins a watch. It calls the caller's context, so mu is not held.
func (s *watches) begin(ctx context.Context, w *watch) {
	var stop func() bool
	defer func() {
		if stop == nil { // the context has panicked
			s.quit(w)
		}
	}()
	stop = context.AfterFunc(ctx, func() { s.fire(w) })
	s.mu.Lock()
	twice := w.stop != nil
	if !twice {
		w.stop = stop
	}
	s.mu.Unlock()
	if twice { // somebody was faster
		stop()
	}
}

// join adds a job to those of w. It reports whether the context has ended, and returns what ends w if nobody has it any more: the
// job may be over already.
func (s *watches) join(w *watch, h *header) (over bool, unused func() bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case w.over:
		return true, nil
	case h.watchPos == gone:
		w.users--
		return false, s.drop(w)
	default:
		h.watch, h.watchPos = w, int32(len(w.jobs))
		w.jobs = append(w.jobs, h)
		return false, nil
	}
}

// quit undoes of, for a job that is not going to join.
func (s *watches) quit(w *watch) {
	s.mu.Lock()
	w.users--
	unused := s.drop(w)
	s.mu.Unlock()
	if unused != nil {
		unused()
	}
}

// gone is the place of a job that is over: it is not to join any more.
const gone = -1

// leave takes out a job that is over. It returns what is to be called, anywhere but on the loop, to end a watch that nobody has
// any more; or nil.
func (s *watches) leave(h *header) func() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	w, i := h.watch, h.watchPos
	h.watch, h.watchPos = nil, gone
	if w == nil {
		return nil
	}
	last := len(w.jobs) - 1
	w.jobs[i] = w.jobs[last]
	w.jobs[i].watchPos = i
	w.jobs[last] = nil
	w.jobs = w.jobs[:last]
	h.watchPos = gone // it may have been the last
	w.users--
	return s.drop(w)
}

// drop forgets w if nobody has it and it is not the latest, and returns what ends it; or nil. mu is held.
func (s *watches) drop(w *watch) func() bool {
	if w == nil || w.users > 0 || w == s.latest || w.over {
		return nil
	}
	delete(s.by, w.done)
	return w.stop
}

// fire cancels the jobs of w, whose context has ended.
func (s *watches) fire(w *watch) {
	s.mu.Lock()
	jobs := w.jobs
	w.over, w.jobs = true, nil
	for _, h := range jobs {
		h.watch = nil
	}
	delete(s.by, w.done)
	if s.latest == w {
		s.latest = nil
	}
	s.mu.Unlock()
	for _, h := range jobs {
		h.giveUpAnyhow()
	}
}

// giveUpAnyhow is giveUp where nobody else sees to it that a panic of the caller's context does no harm.
func (h *header) giveUpAnyhow() {
	told := false
	defer func() {
		if !told {
			_ = recover()
			h.d.post(&message{kind: scheduler.Cancel, job: h, err: context.Canceled})
		}
	}()
	h.giveUp()
	told = true
}

// end forgets the watch that nobody has, and returns what ends it; or nil.
func (s *watches) end() func() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.latest
	s.latest = nil
	return s.drop(w)
}
