package policy

import "time"

// NoHint is the wait to give to [Throttled] or [TransientAfter] when the server named none.
const NoHint time.Duration = -1

// mark is what a job says of its own error.
type mark uint8

const (
	markTransient mark = iota + 1
	markFatal
	markThrottled
	markUnusable
	markNeutral
	markFailed
)

// markedError carries a mark beside the error it is put on. The outermost mark of a chain counts.
type markedError struct {
	err   error
	mark  mark
	after time.Duration // the server's hint; negative when there is none
}

// Error is the text of the error that is marked: a mark is advice to the dispatcher, not a message to people.
func (e *markedError) Error() string { return e.err.Error() }

func (e *markedError) Unwrap() error { return e.err }

func marked(err error, m mark, after time.Duration) error {
	if err == nil {
		return nil
	}
	return &markedError{err: err, mark: m, after: after}
}

// Transient marks err as one that may pass: the job is tried again, and the breaker counts a failure. A nil err stays nil.
func Transient(err error) error { return marked(err, markTransient, NoHint) }

// TransientAfter is [Transient] with the server's word on when to come back: the job, and only this job, is not tried
// again before after has passed. A negative after is no hint. A nil err stays nil.
func TransientAfter(err error, after time.Duration) error { return marked(err, markTransient, after) }

// Fatal marks err as the caller's own mistake, which no further attempt can mend: the job fails at once, and the breaker
// takes no notice. A nil err stays nil.
func Fatal(err error) error { return marked(err, markFatal, NoHint) }

// Throttled marks err as a refusal for sending too much. The whole key cools down for after, the job is tried again
// without using up an attempt, and the breaker takes no notice. A negative after ([NoHint]) means that the server did
// not say; the key then backs off by itself, and a zero after means that it said "at once". Where retries are off, the job
// that met it fails, and the key cools down all the same. A nil err stays nil.
func Throttled(err error, after time.Duration) error { return marked(err, markThrottled, after) }

// Unusable marks err as one that holds for the key and not for the job, such as a refused credential or an account out
// of money: the key's circuit opens until it is reset (see [Breaker]), even where no breaker is configured. The job that
// met it fails; others of the key that would wait for the circuit then wait for the reset. A nil err stays nil.
func Unusable(err error) error { return marked(err, markUnusable, NoHint) }

// Failed marks err as a failure of the backend that is not to be followed by another attempt, whatever it wraps: a connection
// that broke when half of the answer had been passed on, say. The job fails, and the breaker counts a failure. A nil err stays
// nil.
func Failed(err error) error { return marked(err, markFailed, NoHint) }

// unbilledError says that the server has not charged for the attempt. It goes together with any mark.
type unbilledError struct{ error }

func (e unbilledError) Unwrap() error { return e.error }

// Unbilled says of err, marked or not, that the server has certainly not charged for the attempt: what it cost of settled
// limits is refunded (see [Limit].Settled). Without it, the charge stands. A nil err stays nil.
func Unbilled(err error) error {
	if err == nil {
		return nil
	}
	return unbilledError{err}
}

// Neutral marks err as saying nothing about the backend: the job fails, and the breaker takes no notice. It does what [Fatal] does, for
// errors that are nobody's mistake. A nil err stays nil.
func Neutral(err error) error { return marked(err, markNeutral, NoHint) }
