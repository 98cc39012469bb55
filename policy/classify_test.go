package policy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/policy"
)

// netError is a net.Error that may be a timeout.
type netError struct{ timeout bool }

func (netError) Error() string   { return "network" }
func (e netError) Timeout() bool { return e.timeout }
func (netError) Temporary() bool { return false }

var errPlain = errors.New("plain")

var (
	succeeded = policy.Outcome{Verdict: policy.VerdictSuccess}
	failed    = policy.Outcome{Verdict: policy.VerdictFailure}
	transient = policy.Outcome{Verdict: policy.VerdictFailure, Retry: true}
	neutral   = policy.Outcome{Verdict: policy.VerdictNeutral}
	unusable  = policy.Outcome{Verdict: policy.VerdictUnusable}
	throttled = policy.Outcome{Verdict: policy.VerdictNeutral, Retry: true, Throttled: true}
)

func hinted(o policy.Outcome, hint time.Duration) policy.Outcome {
	o.Hinted, o.Hint = true, hint
	return o
}

func tried(o policy.Outcome, again bool) policy.Outcome {
	o.Retry = again
	return o
}

// wraps are the ways in which an error reaches us: bare, and inside others.
var wraps = map[string]func(error) error{
	"bare":    func(err error) error { return err },
	"wrapped": func(err error) error { return fmt.Errorf("calling: %w", err) },
	"twice":   func(err error) error { return fmt.Errorf("again: %w", fmt.Errorf("calling: %w", err)) },
	"joined":  func(err error) error { return errors.Join(errPlain, err) },
}

// S-R10, S-B2: what each kind of error means, alone and under predicates that say yes to everything.
func TestClassify(t *testing.T) {
	const s = time.Second
	always := func(error) bool { return true }
	for _, tt := range []struct {
		name      string
		err       error
		want      policy.Outcome
		onSaysYes bool // whether it is tried again when On accepts everything
	}{
		{name: "unmarked", err: errPlain, want: failed, onSaysYes: true},
		{name: "transient", err: policy.Transient(errPlain), want: transient, onSaysYes: true},
		{name: "transient with a hint", err: policy.TransientAfter(errPlain, 3*s), want: hinted(transient, 3*s), onSaysYes: true},
		{name: "transient at once", err: policy.TransientAfter(errPlain, 0), want: hinted(transient, 0), onSaysYes: true},
		{name: "transient without a hint", err: policy.TransientAfter(errPlain, policy.NoHint), want: transient, onSaysYes: true},
		{name: "negative hint", err: policy.TransientAfter(errPlain, -5*s), want: transient, onSaysYes: true},
		{name: "fatal", err: policy.Fatal(errPlain), want: neutral},
		{name: "failed", err: policy.Failed(errPlain), want: failed},
		{name: "neutral", err: policy.Neutral(errPlain), want: neutral},
		{name: "unusable", err: policy.Unusable(errPlain), want: unusable},
		{name: "throttled", err: policy.Throttled(errPlain, 2*s), want: hinted(throttled, 2*s), onSaysYes: true},
		{name: "throttled, at once", err: policy.Throttled(errPlain, 0), want: hinted(throttled, 0), onSaysYes: true},
		{name: "throttled, no word", err: policy.Throttled(errPlain, policy.NoHint), want: throttled, onSaysYes: true},
		{name: "throttled, negative", err: policy.Throttled(errPlain, -7*s), want: throttled, onSaysYes: true},
		{name: "canceled", err: context.Canceled, want: neutral, onSaysYes: true},
		{name: "canceled by a timeout", err: errors.Join(netError{timeout: true}, context.Canceled), want: transient, onSaysYes: true},
		{name: "deadline", err: context.DeadlineExceeded, want: transient, onSaysYes: true},
		{name: "refused", err: syscall.ECONNREFUSED, want: transient, onSaysYes: true},
		{name: "reset", err: syscall.ECONNRESET, want: transient, onSaysYes: true},
		{name: "broken pipe", err: syscall.EPIPE, want: transient, onSaysYes: true},
		{name: "timed out", err: syscall.ETIMEDOUT, want: transient, onSaysYes: true},
		{name: "other errno", err: syscall.EACCES, want: failed, onSaysYes: true},
		{name: "unexpected EOF", err: io.ErrUnexpectedEOF, want: transient, onSaysYes: true},
		{name: "EOF", err: io.EOF, want: failed, onSaysYes: true},
		{name: "network timeout", err: netError{timeout: true}, want: transient, onSaysYes: true},
		{name: "network, no timeout", err: netError{}, want: failed, onSaysYes: true},
		{name: "os deadline", err: os.ErrDeadlineExceeded, want: transient, onSaysYes: true},
		{
			name: "dial refused", err: &url.Error{Op: "Get", URL: "http://a", Err: &net.OpError{
				Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED),
			}},
			want: transient, onSaysYes: true,
		},
		{name: "HTTP timeout", err: &url.Error{Op: "Get", URL: "http://a", Err: context.DeadlineExceeded}, want: transient, onSaysYes: true},
		{name: "HTTP canceled", err: &url.Error{Op: "Get", URL: "http://a", Err: context.Canceled}, want: neutral, onSaysYes: true},
		{name: "name not found", err: &net.DNSError{Err: "no such host", IsNotFound: true}, want: failed, onSaysYes: true},
		{name: "name server timed out", err: &net.DNSError{Err: "timeout", IsTimeout: true}, want: transient, onSaysYes: true},

		// The outermost mark counts.
		{name: "fatal over transient", err: policy.Fatal(policy.Transient(errPlain)), want: neutral},
		{name: "transient over fatal", err: policy.Transient(policy.Fatal(errPlain)), want: transient, onSaysYes: true},
		{name: "neutral over throttled", err: policy.Neutral(policy.Throttled(errPlain, s)), want: neutral},
		{name: "throttled over unusable", err: policy.Throttled(fmt.Errorf("a: %w", policy.Unusable(errPlain)), s), want: hinted(throttled, s), onSaysYes: true},
		{name: "unusable over transient with hint", err: policy.Unusable(policy.TransientAfter(errPlain, s)), want: unusable},
		{name: "throttled over transient with hint", err: policy.Throttled(policy.TransientAfter(errPlain, s), policy.NoHint), want: throttled, onSaysYes: true},

		// A mark beats the kind of the error below it.
		{name: "fatal reset", err: policy.Fatal(syscall.ECONNRESET), want: neutral},
		{name: "neutral timeout", err: policy.Neutral(context.DeadlineExceeded), want: neutral},
		{name: "failed reset", err: policy.Failed(syscall.ECONNRESET), want: failed},
		{name: "failed timeout", err: policy.Failed(context.DeadlineExceeded), want: failed},
		{name: "failed over throttled", err: policy.Failed(policy.Throttled(errPlain, s)), want: failed},
		{name: "failed beside a timeout", err: errors.Join(context.DeadlineExceeded, policy.Failed(errPlain)), want: failed},
		{name: "transient canceled", err: policy.Transient(context.Canceled), want: transient, onSaysYes: true},
		{name: "unusable refused", err: policy.Unusable(syscall.ECONNREFUSED), want: unusable},
	} {
		for how, wrap := range wraps {
			t.Run(tt.name+"/"+how, func(t *testing.T) {
				err := wrap(tt.err)
				assert.Equal(t, tt.want, (&policy.Retry{}).Classify(err), "no predicates")

				on := policy.Retry{On: always}
				assert.Equal(t, tried(tt.want, tt.onSaysYes), on.Classify(err), "On says yes")

				stop := policy.Retry{StopOn: always}
				assert.Equal(t, tried(tt.want, false), stop.Classify(err), "StopOn says yes")

				both := policy.Retry{On: always, StopOn: always}
				assert.Equal(t, tried(tt.want, false), both.Classify(err), "StopOn beats On")

				never := policy.Retry{On: func(error) bool { return false }, StopOn: func(error) bool { return false }}
				assert.Equal(t, tt.want, never.Classify(err), "predicates say no")
			})
		}
	}
}

func TestClassifyNil(t *testing.T) {
	no := func(error) bool { t.Error("a predicate was asked about a success"); return true }
	assert.Equal(t, succeeded, (&policy.Retry{}).Classify(nil))
	assert.Equal(t, succeeded, (&policy.Retry{On: no, StopOn: no}).Classify(nil))
}

// The predicates see the error that the function returned, with its wrapping and marks.
func TestClassifyGivesPredicatesTheError(t *testing.T) {
	given := fmt.Errorf("calling: %w", errPlain)
	var on, stop error
	r := policy.Retry{
		On:     func(err error) bool { on = err; return true },
		StopOn: func(err error) bool { stop = err; return false },
	}
	assert.True(t, r.Classify(given).Retry)
	assert.Same(t, given, on)
	assert.Same(t, given, stop)

	only := policy.Retry{On: func(err error) bool { return errors.Is(err, errPlain) }}
	assert.True(t, only.Classify(given).Retry)
	assert.False(t, only.Classify(io.EOF).Retry)

	except := policy.Retry{StopOn: func(err error) bool { return errors.Is(err, errPlain) }}
	assert.False(t, except.Classify(policy.Transient(given)).Retry)
	assert.True(t, except.Classify(policy.Transient(io.EOF)).Retry)
}

// S-R10: a predicate over results sees each result as it is, and says which of them are no good; without one all are.
func TestUnwanted(t *testing.T) {
	var asked []any
	r := policy.Retry{MaxAttempts: 3, OnResult: func(result any) bool {
		asked = append(asked, result)
		n, ok := result.(int)
		return ok && n < 0
	}}
	require.NoError(t, r.Validate())
	assert.True(t, r.Unwanted(-1))
	assert.False(t, r.Unwanted(1))
	assert.False(t, r.Unwanted("-1"))
	assert.False(t, r.Unwanted(nil))
	assert.Equal(t, []any{-1, 1, "-1", nil}, asked)

	for _, without := range []policy.Retry{{}, {MaxAttempts: 3}} {
		assert.False(t, without.Unwanted(-1))
		assert.False(t, without.Unwanted(nil))
	}
}

// S-R10: what an unwanted result becomes is a failure of the backend, is tried again whatever On says of it, and StopOn
// beats that. The result predicate has no say over errors.
func TestUnwantedIsTransient(t *testing.T) {
	unwanted := policy.Transient(errPlain)
	yes, no := func(error) bool { return true }, func(error) bool { return false }
	never := func(any) bool { t.Error("asked about an error"); return true }
	assert.Equal(t, transient, (&policy.Retry{OnResult: never}).Classify(unwanted))
	assert.Equal(t, transient, (&policy.Retry{OnResult: never, On: no, StopOn: no}).Classify(unwanted))
	assert.Equal(t, tried(transient, false), (&policy.Retry{OnResult: never, On: yes, StopOn: yes}).Classify(unwanted))
	assert.Equal(t, succeeded, (&policy.Retry{OnResult: never}).Classify(nil), "that is for the dispatcher to ask, before")
}

func TestMarks(t *testing.T) {
	marks := map[string]func(error) error{
		"Transient":      policy.Transient,
		"TransientAfter": func(err error) error { return policy.TransientAfter(err, time.Second) },
		"Fatal":          policy.Fatal,
		"Throttled":      func(err error) error { return policy.Throttled(err, time.Second) },
		"Unusable":       policy.Unusable,
		"Neutral":        policy.Neutral,
	}
	for name, mark := range marks {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, mark(nil), "a nil err stays nil")
			err := mark(&url.Error{Op: "Get", URL: "http://a", Err: errPlain})
			require.ErrorIs(t, err, errPlain)
			var inner *url.Error
			require.ErrorAs(t, err, &inner)
			assert.Equal(t, inner.Error(), err.Error(), "a mark does not change the text")
		})
	}
}

func TestIsTransient(t *testing.T) {
	assert.False(t, policy.IsTransient(nil))
	assert.False(t, policy.IsTransient(errPlain))
	assert.True(t, policy.IsTransient(fmt.Errorf("reading: %w", io.ErrUnexpectedEOF)))
	assert.True(t, policy.IsTransient(errors.Join(errPlain, syscall.ECONNRESET)))
	assert.True(t, policy.IsTransient(errors.Join(context.Canceled, syscall.ECONNRESET)))
	assert.False(t, policy.IsTransient(context.Canceled))
}

// slowError calls itself a timeout, and is no net.Error.
type slowError struct{}

func (slowError) Error() string { return "slow" }
func (slowError) Timeout() bool { return true }

// A timeout is found wherever it is in the tree, also behind errors that could be one and are none.
func TestIsTransientFindsTimeouts(t *testing.T) {
	require.True(t, policy.IsTransient(slowError{}), "anything that calls itself a timeout")
	for _, inner := range []error{slowError{}, context.DeadlineExceeded, syscall.ETIMEDOUT, netError{timeout: true}} {
		for _, err := range []error{
			&url.Error{Op: "Post", URL: "http://a", Err: fmt.Errorf("transport: %w", inner)},
			errors.Join(&url.Error{Op: "Post", URL: "http://a", Err: errPlain}, inner),
			errors.Join(netError{}, errors.Join(errPlain, fmt.Errorf("b: %w, %w", netError{}, inner))),
			&net.OpError{Op: "read", Err: fmt.Errorf("a: %w", inner)},
		} {
			assert.True(t, policy.IsTransient(err), "%v", err)
		}
	}
	assert.False(t, policy.IsTransient(errors.Join(netError{}, errPlain, fmt.Errorf("no more of it: %w", netError{}))))
}

func TestVerdictText(t *testing.T) {
	for want, v := range map[string]policy.Verdict{
		"success": policy.VerdictSuccess, "failure": policy.VerdictFailure, "neutral": policy.VerdictNeutral, "unusable": policy.VerdictUnusable,
	} {
		assert.Equal(t, want, v.String())
	}
	assert.Equal(t, "Verdict(7)", policy.Verdict(7).String())
	assert.Equal(t, "Verdict(255)", policy.Verdict(255).String())
}
