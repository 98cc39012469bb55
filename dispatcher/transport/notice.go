package transport

import (
	"fmt"
	"log/slog"
	"sync/atomic"
)

// NoticeKind is what a [Notice] is about.
type NoticeKind uint8

// The kinds of notices.
const (
	// StackedRetries: a request comes from an SDK that has tried before. Its retries and the dispatcher's multiply; turn the SDK's
	// off, with option.WithMaxRetries(0) for instance. Detail is the host.
	StackedRetries NoticeKind = iota + 1
	// SingleAttempt: the body of a request has no GetBody and is longer than Config.MaxRequest, so that it can't be sent again.
	// Detail is the host.
	SingleAttempt
	// NotSettled: what Config.Actual says is about a limit that is not Settled, or makes no sense. Detail is the error.
	NotSettled
)

// Notice is something that somebody should know.
type Notice struct {
	Kind   NoticeKind
	Detail string
}

// String says it in a sentence.
func (n Notice) String() string {
	switch n.Kind {
	case StackedRetries:
		return "requests are retried by an SDK as well, which multiplies them; turn its own retries off (" + n.Detail + ")"
	case SingleAttempt:
		return "a request is too long to be kept for another attempt, and gets one only (" + n.Detail + ")"
	case NotSettled:
		return "what a request has cost could not be settled: " + n.Detail
	default:
		return fmt.Sprintf("NoticeKind(%d): %s", uint8(n.Kind), n.Detail)
	}
}

// notices has, for each kind, whether somebody has been told.
type notices [NotSettled + 1]atomic.Bool

// notice tells it, if it is the first of its kind. Others don't wait for that: whoever is told may send requests of his own.
func (t *Transport) notice(n Notice) {
	if !t.notices[n.Kind].Swap(true) {
		t.cfg.OnNotice(n)
	}
}

// warn is the default of Config.OnNotice.
func warn(n Notice) { slog.Default().Warn("transport: " + n.String()) }
