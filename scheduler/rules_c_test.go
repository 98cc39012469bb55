package scheduler_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/scheduler"
)

// bounded is a core in which one thing bounds what is in flight to three, and a way to lower it to one.
type bounded struct {
	name  string
	cfg   scheduler.Config
	lower scheduler.Event
}

func bounds() []bounded {
	return []bounded{
		{"workers", scheduler.Config{Workers: 3}, scheduler.Event{Kind: scheduler.SetWorkers, Workers: 1}},
		{"key workers", scheduler.Config{Workers: 9, KeyWorkers: 3}, scheduler.Event{Kind: scheduler.SetKeyWorkers, Workers: 1}},
		{
			"group", scheduler.Config{Workers: 9, Groups: []scheduler.Group{{Name: "g", Workers: 3}}},
			scheduler.Event{Kind: scheduler.SetGroup, Workers: 1},
		},
	}
}

// fill submits five jobs, of which three start.
func (b bounded) fill(t *testing.T) (owner, []*scheduler.Entry) {
	t.Helper()
	o := newOwner(t, b.cfg)
	var jobs []*scheduler.Entry
	var events []scheduler.Event
	for i := range 5 {
		e := job(fmt.Sprint(i))
		if len(b.cfg.Groups) > 0 {
			e.Groups = 1
		}
		jobs, events = append(jobs, e), append(events, submit(e))
	}
	require.Equal(t, "0 1 2", o.turn(0, events...))
	require.Equal(t, 3, o.InFlight())
	return o, jobs
}

// S-C1: no more are in flight than may be, and an attempt that nobody wants any more is in flight until it ends.
func TestInFlightIsBounded(t *testing.T) {
	for _, b := range bounds() {
		t.Run(b.name, func(t *testing.T) {
			o, jobs := b.fill(t)
			require.Equal(t, "(0 canceled)", o.turn(time.Second, cancel(jobs[0])))
			require.Equal(t, 3, o.InFlight())
			require.Equal(t, "3", o.turn(2*time.Second, succeeds(jobs[0])))
			require.Equal(t, "(1 succeeded) 4", o.turn(3*time.Second, succeeds(jobs[1])))
			require.Equal(t, 3, o.InFlight())
		})
	}
}

// S-C3: a bound that is lowered pre-empts nothing and grants nothing until what is in flight has come below it.
func TestLoweredBoundGrantsNothing(t *testing.T) {
	for _, b := range bounds() {
		t.Run(b.name, func(t *testing.T) {
			o, jobs := b.fill(t)
			require.Empty(t, o.turn(0, b.lower))
			require.Equal(t, "(0 succeeded)", o.turn(time.Second, succeeds(jobs[0])))
			require.Equal(t, "(1 succeeded)", o.turn(2*time.Second, succeeds(jobs[1])))
			require.Equal(t, "(2 succeeded) 3", o.turn(3*time.Second, succeeds(jobs[2])))
			require.Equal(t, "(3 succeeded) 4", o.turn(4*time.Second, succeeds(jobs[3])))
		})
	}
}
