package transport

import (
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/toller-go/toller/policy/api"
)

// stream is the body of an answer that is passed on while it comes. It may be read by one goroutine and closed by another.
type stream struct {
	from  io.ReadCloser
	idle  *idle
	over  chan struct{}   // closed when there is nothing more to come, or nobody wants it
	told  <-chan struct{} // closed when the dispatcher knows that
	ahead []byte          // read before; the reader's
	seen  int             // of ahead, what watch has seen; the reader's

	mu     sync.Mutex
	watch  *api.Stream // guarded by mu; nil if nobody looks
	closed bool        // guarded by mu; nobody wants more
	ended  bool        // guarded by mu; over is closed
	err    error       // guarded by mu; why the stream broke off; nil if it came to its end or was closed
}

// body is the stream as the body of an answer: one to be written to as well, if protocols were switched.
func (s *stream) body() io.ReadCloser {
	if w, ok := s.from.(io.Writer); ok {
		return struct {
			io.ReadCloser
			io.Writer
		}{s, w}
	}
	return s
}

// Read passes on what there is, and waits for more no longer than IdleTimeout.
func (s *stream) Read(p []byte) (int, error) {
	if len(s.ahead) > 0 {
		n := copy(p, s.ahead)
		s.look(s.ahead[min(s.seen, n):n])
		s.seen = max(0, s.seen-n)
		s.ahead = s.ahead[n:]
		return n, nil
	}
	s.idle.start()
	n, err := s.from.Read(p)
	err = s.idle.stop(err)
	s.look(p[:n])
	if err != nil {
		s.finish(err)
	}
	return n, err
}

// Close ends it. What goes wrong with a reading because of that is no failure.
func (s *stream) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	err := s.from.Close()
	s.finish(nil)
	return err
}

func (s *stream) look(p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watch != nil && len(p) > 0 {
		_, _ = s.watch.Write(p)
	}
}

// finish notes that the stream is over, and why if it broke off. It returns when the dispatcher has been told: the caller may cancel
// the request next, and that is not to look as if he had not had enough.
func (s *stream) finish(err error) {
	s.end(err)
	<-s.told
}

func (s *stream) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	s.ended = true
	if err != io.EOF && !s.closed { //nolint:errorlint // as readers compare it
		s.err = err
	}
	close(s.over)
}

// outcome returns how the stream has ended, as far as it has: what it was billed, what failed in it, whether it is over, and why it
// broke off.
func (s *stream) outcome() (usage api.Usage, m api.Meaning, failed, over bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watch != nil {
		usage = s.watch.Usage()
		m, _, failed = s.watch.Failure()
	}
	return usage, m, failed, s.ended, s.err
}

// idle closes a body of which nothing comes for too long while somebody waits for it. A nil idle never does.
type idle struct {
	timer   *time.Timer
	after   time.Duration
	expired atomic.Bool
}

// idle returns one that is not running; nil without a bound.
func (x *exchange) idle(body io.ReadCloser) *idle {
	after := x.c.t.cfg.IdleTimeout
	if after <= 0 {
		return nil
	}
	i := &idle{after: after}
	i.timer = time.AfterFunc(after, func() {
		i.expired.Store(true)
		body.Close() // which may be called while somebody reads
	})
	i.timer.Stop()
	return i
}

func (i *idle) start() {
	if i != nil {
		i.timer.Reset(i.after)
	}
}

// stop returns the error of the reading that was waited for: it was too late, if that is what made it fail.
func (i *idle) stop(err error) error {
	if i == nil {
		return err
	}
	i.timer.Stop()
	if err != nil && i.expired.Load() {
		return ErrIdleTimeout
	}
	return err
}
