package main

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
)

// Each way in which a job can end wrongly is noticed, and for its reason.
func TestJudge(t *testing.T) {
	ends := func(reason error, attempts int) error {
		return &job.Error{Key: "k", Dispatcher: "d", Attempts: attempts, Reason: reason}
	}
	right, other := 7, 8
	for name, c := range map[string]struct {
		kind  string
		do    func(e *errand) // before the end
		value *int
		err   error
		wrong string // empty: nothing
	}{
		"success":                       {kind: "succeeds", do: once, value: &right},
		"without a value":               {kind: "succeeds", do: once},
		"of another":                    {kind: "succeeds", do: once, value: &other, wrong: "its value is 8"},
		"never called":                  {kind: "succeeds", value: &right, wrong: "its function has not succeeded"},
		"of one that fails":             {kind: "fatal", do: func(e *errand) { e.good.Store(true) }, value: &right, wrong: "does not succeed"},
		"although it was canceled":      {kind: "recalled", do: func(e *errand) { once(e); e.found = job.Signaled }, value: &right, wrong: "Cancel: signaled"},
		"failed":                        {kind: "fatal", do: once, err: ends(job.ErrNotRetried, 1)},
		"with a value":                  {kind: "fatal", do: once, value: &right, err: ends(job.ErrNotRetried, 1), wrong: "its value is 7"},
		"with more attempts than calls": {kind: "fatal", do: once, err: ends(job.ErrNotRetried, 2), wrong: "2 attempts, but its function was called 1 times"},
		"with fewer":                    {kind: "deadline", do: once, err: ends(job.ErrDeadline, 0), wrong: "0 attempts, but its function was called 1 times"},
		"for another reason":            {kind: "fatal", do: once, err: ends(job.ErrGoexit, 1), wrong: "ended in vain"},
		"for an unknown reason":         {kind: "fatal", do: once, err: ends(errBackend, 1), wrong: "ended in vain"},
		"panicked":                      {kind: "panics", do: once, err: ends(&job.PanicError{}, 1)},
		"aborted by nobody":             {kind: "succeeds", err: ends(job.ErrAborted, 0), wrong: "ended in vain"},
		"aborted":                       {kind: "succeeds", do: func(e *errand) { e.p.aborting.Store(true) }, err: ends(job.ErrAborted, 0)},
		"stopped by nobody":             {kind: "succeeds", err: ends(job.ErrNotStarted, 0), wrong: "ended in vain"},
		"canceled by nobody":            {kind: "succeeds", err: ends(job.ErrCanceled, 0), wrong: "ended in vain"},
		"never ran, it said":            {kind: "recalled", do: func(e *errand) { e.asked.Store(true); e.found = job.NeverRan }, err: ends(job.ErrCanceled, 1), wrong: "Cancel: never ran, but after 1 attempts"},
		"a circuit that was to wait":    {kind: "succeeds", err: ends(errors.New("x"), 0), wrong: "ended in vain"},
		"of another key":                {kind: "fatal", do: once, err: &job.Error{Key: "l", Dispatcher: "d", Attempts: 1, Reason: job.ErrNotRetried}, wrong: `the error of key "l"`},
		"no error of a job":             {kind: "fatal", do: once, err: errBackend, wrong: "its error is *errors.errorString"},
	} {
		t.Run(name, func(t *testing.T) {
			s, e := judged(t, c.kind)
			if c.do != nil {
				c.do(e)
			}
			e.judge(c.value, c.err)
			assert.EqualValues(t, 1, s.resolved.Load())
			if c.wrong == "" {
				assert.NoError(t, s.faults.err())
			} else {
				assert.ErrorContains(t, s.faults.err(), c.wrong)
			}
			before := s.faults.count.Load()
			e.judge(c.value, c.err)
			assert.Equal(t, before+1, s.faults.count.Load(), "it is resolved twice")
			assert.EqualValues(t, 1, s.resolved.Load())
		})
	}
}

// judged is an errand of a kind, of a dispatcher "d", that has not run.
func judged(t *testing.T, name string) (*soak, *errand) {
	s := newSoak(options{})
	d, err := dispatcher.New(dispatcher.Config{Name: "d"})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, d.Close(context.Background())) })
	for _, k := range kinds {
		if k.name == name {
			s.numbers.Store(6)
			e := s.newErrand(context.Background(), &place{d: d, most: 2}, k)
			e.key = "k"
			return s, e
		}
	}
	t.Fatalf("no kind %q", name)
	return nil, nil
}

// once is one run.
func once(e *errand) {
	e.runs.Add(1)
	e.good.Store(e.kind.succeeds)
}

// A function that runs when it must not is noticed.
func TestRun(t *testing.T) {
	for name, c := range map[string]struct {
		before func(e *errand)
		wrong  string
	}{
		"in order":         {func(*errand) {}, ""},
		"once it is over":  {func(e *errand) { e.judge(nil, &job.Error{Key: "k", Dispatcher: "d", Reason: job.ErrNotStarted}) }, "called for the 1. time, but it was over after 0"},
		"beside itself":    {func(e *errand) { e.running.Add(1) }, "runs 2 times at once"},
		"one too many":     {func(e *errand) { e.p.running.Add(2) }, "3 attempts in flight, of 2"},
		"after its recall": {func(e *errand) { e.recall(func() job.Canceled { return job.NeverRan }) }, "it was over after 0"},
	} {
		t.Run(name, func(t *testing.T) {
			s, e := judged(t, "succeeds")
			e.p.stopping.Store(true)
			c.before(e)
			value, err := e.run(t.Context())
			assert.NoError(t, err)
			assert.Equal(t, e.number, value)
			if c.wrong == "" {
				assert.NoError(t, s.faults.err())
			} else {
				assert.ErrorContains(t, s.faults.err(), c.wrong)
			}
		})
	}
}

// The listener's account is to have each number once, and as many as were accepted.
func TestRoll(t *testing.T) {
	for name, c := range map[string]struct {
		ids         []job.ID
		least, most int64
		wrong       string
	}{
		"in order":          {[]job.ID{1, 2, 3}, 3, 3, ""},
		"in another":        {[]job.ID{3, 1, 2}, 3, 3, ""},
		"one perhaps":       {[]job.ID{1, 2, 3}, 2, 3, ""},
		"one is missing":    {[]job.ID{1, 2}, 3, 3, "3 jobs accepted, but 2 settled"},
		"in between":        {[]job.ID{1, 3, 4}, 3, 3, "with 2 beyond a gap"},
		"too many":          {[]job.ID{1, 2, 3, 4}, 3, 3, "3 jobs accepted, but 4 settled"},
		"twice":             {[]job.ID{1, 2, 2}, 3, 3, "jobs settled twice: [2]"},
		"twice, before one": {[]job.ID{1, 3, 3}, 3, 3, "jobs settled twice: [3]"},
	} {
		t.Run(name, func(t *testing.T) {
			r := &roll{ahead: make(map[job.ID]bool)}
			for _, id := range c.ids {
				r.tell(dispatcher.Event{Kind: dispatcher.JobSettled, Job: id})
			}
			err := r.check(c.least, c.most, time.Millisecond)
			if c.wrong == "" {
				assert.NoError(t, err)
			} else {
				assert.ErrorContains(t, err, c.wrong)
			}
		})
	}
}
