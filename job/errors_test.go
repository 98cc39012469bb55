package job_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/job"
)

// S-R9: why it stopped, what failed and which context ended, in one line.
func TestErrorText(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  job.Error
		want string
	}{
		{
			"never ran", job.Error{Dispatcher: "llm", ID: 7, Reason: job.ErrNotStarted},
			`job 7 of dispatcher "llm": the dispatcher was stopped before the job could start`,
		},
		{
			"failed", job.Error{Dispatcher: "llm", ID: 7, Key: "gpt", Attempts: 1, Reason: job.ErrFailed, Last: errPlain},
			`job 7 (key "gpt") of dispatcher "llm": failed, after 1 attempt: plain`,
		},
		{
			"retries", job.Error{
				Dispatcher: "llm", ID: 7, Attempts: 4, Reason: &job.MaxRetriesExceededError{Attempts: 3, Last: errPlain}, Last: errPlain,
			},
			`job 7 of dispatcher "llm": retries exceeded, after 4 attempts: plain`,
		},
		{
			"deadline", job.Error{
				Dispatcher: "llm", ID: 7, Attempts: 2, Reason: job.ErrDeadline, Last: errPlain, Cause: context.DeadlineExceeded,
			},
			`job 7 of dispatcher "llm": deadline exceeded: context deadline exceeded, after 2 attempts: plain`,
		},
		{
			"canceled while waiting", job.Error{Dispatcher: "llm", ID: 7, Reason: job.ErrCanceled, Cause: errors.New("user went away")},
			`job 7 of dispatcher "llm": canceled: user went away`,
		},
		{
			"cause says the same", job.Error{Dispatcher: "llm", ID: 7, Reason: job.ErrCanceled, Cause: errors.New("canceled")},
			`job 7 of dispatcher "llm": canceled`,
		},
		{
			"no reason", job.Error{Dispatcher: "llm", ID: 7, Cause: context.Canceled},
			`job 7 of dispatcher "llm": <nil>: context canceled`,
		},
		{
			"panic", job.Error{Dispatcher: "llm", ID: 7, Attempts: 1, Reason: &job.PanicError{Value: "boom"}},
			`job 7 of dispatcher "llm": the function panicked: boom, after 1 attempt`,
		},
		{
			"key to be quoted", job.Error{Dispatcher: "a b", ID: 7, Key: "x\n\"y\"", Reason: job.ErrAborted},
			`job 7 (key "x\n\"y\"") of dispatcher "a b": aborted`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) { assert.EqualError(t, &tt.err, tt.want) })
	}
}

// S-R9: reason, last error and cause are all reachable, through wraps of whoever passes the error on.
func TestErrorReaches(t *testing.T) {
	last := fmt.Errorf("opening: %w", &fs.PathError{Op: "open", Path: "x", Err: io.ErrUnexpectedEOF})
	err := fmt.Errorf("batch: %w", &job.Error{
		Dispatcher: "llm", ID: 7, Attempts: 3,
		Reason: &job.MaxRetriesExceededError{Attempts: 3, Last: last}, Last: last, Cause: context.DeadlineExceeded,
	})
	for _, target := range []error{job.ErrMaxRetriesExceeded, io.ErrUnexpectedEOF, context.DeadlineExceeded} {
		require.ErrorIs(t, err, target)
	}
	for _, target := range []error{job.ErrFailed, job.ErrDeadline, context.Canceled, job.ErrNotSettled} {
		require.NotErrorIs(t, err, target)
	}
	var whole *job.Error
	require.ErrorAs(t, err, &whole)
	assert.Equal(t, job.ID(7), whole.ID)
	var exceeded *job.MaxRetriesExceededError
	require.ErrorAs(t, err, &exceeded)
	assert.Equal(t, 3, exceeded.Attempts)
	var path *fs.PathError
	require.ErrorAs(t, err, &path)
	assert.Equal(t, "x", path.Path)

	assert.Empty(t, (&job.Error{}).Unwrap(), "no nil among them")
	assert.Equal(t, []error{job.ErrFailed, errPlain}, (&job.Error{Reason: job.ErrFailed, Last: errPlain}).Unwrap())
	assert.Equal(t, []error{job.ErrCanceled, context.Canceled}, (&job.Error{Reason: job.ErrCanceled, Cause: context.Canceled}).Unwrap())
}

// The reasons are told apart.
func TestReasonsAreDistinct(t *testing.T) {
	reasons := []error{
		job.ErrFailed, job.ErrMaxElapsed, job.ErrThrottled, job.ErrHintTooLong, job.ErrDeadline, job.ErrCanceled, job.ErrNotStarted,
		job.ErrAborted, job.ErrGoexit, job.ErrMaxRetriesExceeded, job.ErrNotSettled, job.ErrAttemptTimeout,
	}
	texts := map[string]bool{}
	for i, a := range reasons {
		assert.NotEmpty(t, a.Error())
		assert.False(t, texts[a.Error()], "%v", a)
		texts[a.Error()] = true
		for j, b := range reasons {
			assert.Equal(t, i == j, errors.Is(&job.Error{Reason: a}, b), "%v is %v", a, b)
		}
	}
}

func TestMaxRetriesExceededError(t *testing.T) {
	err := &job.MaxRetriesExceededError{Attempts: 3, Last: errPlain}
	require.ErrorIs(t, err, job.ErrMaxRetriesExceeded)
	require.ErrorIs(t, err, errPlain)
	require.NotErrorIs(t, err, job.ErrFailed)
	require.EqualError(t, err, "retries exceeded")
	require.NoError(t, (&job.MaxRetriesExceededError{}).Unwrap())
}

// S-F7: a panic is an error with value and stack, and if the value is an error, it is found.
func TestPanicError(t *testing.T) {
	for _, tt := range []struct {
		value any
		want  string
		is    error
	}{
		{"boom", "the function panicked: boom", nil},
		{42, "the function panicked: 42", nil},
		{nil, "the function panicked: <nil>", nil},
		{io.EOF, "the function panicked: EOF", io.EOF},
		{fmt.Errorf("deep: %w", io.EOF), "the function panicked: deep: EOF", io.EOF},
	} {
		err := &job.PanicError{Value: tt.value, Stack: []byte("goroutine 1")}
		require.EqualError(t, err, tt.want, "the stack is not part of the text")
		if tt.is == nil {
			require.NoError(t, err.Unwrap())
			continue
		}
		require.ErrorIs(t, &job.Error{Reason: err}, tt.is)
		var found *job.PanicError
		require.ErrorAs(t, &job.Error{Reason: err}, &found)
		assert.Same(t, err, found)
	}
}

// S-R8: the end of an attempt's own time is a timeout like every other, and not the end of the job.
func TestErrAttemptTimeout(t *testing.T) {
	err := fmt.Errorf("calling: %w", job.ErrAttemptTimeout)
	require.ErrorIs(t, err, job.ErrAttemptTimeout)
	require.NotErrorIs(t, err, context.DeadlineExceeded)
	require.NotErrorIs(t, err, context.Canceled)
	var timeout net.Error
	require.ErrorAs(t, err, &timeout)
	require.True(t, timeout.Timeout())
	require.EqualError(t, job.ErrAttemptTimeout, "attempt timed out")
	var temporary interface{ Temporary() bool }
	require.ErrorAs(t, err, &temporary)
	require.True(t, temporary.Temporary())
}

// S-R9: the first four failures and the last four, however many there were.
func TestHistory(t *testing.T) {
	for _, tt := range []struct {
		failures    int
		first, last []int
	}{
		{0, nil, nil},
		{1, []int{1}, nil},
		{4, []int{1, 2, 3, 4}, nil},
		{5, []int{1, 2, 3, 4}, []int{5}},
		{8, []int{1, 2, 3, 4}, []int{5, 6, 7, 8}},
		{9, []int{1, 2, 3, 4}, []int{6, 7, 8, 9}},
		{1000, []int{1, 2, 3, 4}, []int{997, 998, 999, 1000}},
	} {
		var h job.History
		for n := 1; n <= tt.failures; n++ {
			h.Add(job.Failure{N: n, At: time.Duration(n) * time.Second, Took: time.Duration(n), Error: errPlain})
		}
		numbers := func(list []job.Failure) (out []int) {
			for _, f := range list {
				assert.Equal(t, job.Failure{N: f.N, At: time.Duration(f.N) * time.Second, Took: time.Duration(f.N), Error: errPlain}, f)
				out = append(out, f.N)
			}
			return out
		}
		assert.Equal(t, tt.first, numbers(h.First), "%d failures", tt.failures)
		assert.Equal(t, tt.last, numbers(h.Last), "%d failures", tt.failures)
		assert.LessOrEqual(t, cap(h.First)+cap(h.Last), 8)
	}
}

// A history of any length stays of one size.
func TestHistoryIsBounded(t *testing.T) {
	var h job.History
	for n := range 8 {
		h.Add(job.Failure{N: n})
	}
	require.Zero(t, testing.AllocsPerRun(1000, func() { h.Add(job.Failure{N: 9}) }))
}
