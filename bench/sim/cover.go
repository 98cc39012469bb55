package main

import (
	"fmt"
	"io"

	"github.com/toller-go/toller/bench/sim/oracle"
)

// coverage counts what happened, in which state, under which kind of rule: the cells of a table. It has one owner.
type coverage struct {
	cells [rows][columns][kinds]uint64
}

// The rows are events, then effects.
const (
	rowDone      = 20 // the first of the ends of attempts
	rowStale     = 28 // the first of those that are about no attempt in flight
	rowEffect    = 31
	rows         = 41
	columns      = 1 + columnsOfJob + 7
	columnsOfJob = 6
)

var rowNames = [rows]string{
	"tick", "submit", "-", "unstarted", "cancel", "pause", "resume", "stop", "abort", "override", "correct", "setrate", "setburst",
	"observe", "revise", "setworkers", "setkeyworkers", "setgroup", "await", "unawait",
	"done: success", "done: failure, retry", "done: failure", "done: neutral", "done: throttled", "done: throttled, hint", "done: unbilled",
	"done: unusable",
	"stale done", "stale unstarted", "stale correct",
	"start", "settle", "signal", "parked", "opened", "half-opened", "closed", "cooling", "forgotten", "deadlock",
}

var columnNames = [columns]string{
	"any", "unknown", "queued", "waiting", "running", "detached", "settled",
	"key: none", "key: closed", "key: ramp", "key: open", "key: open for good", "key: half-open", "key: by hand",
}

const (
	columnKey   = 1 + columnsOfJob
	unknown     = 1 + int(oracle.Unknown)
	queued      = 1 + int(oracle.Queued)
	waiting     = 1 + int(oracle.Waiting)
	running     = 1 + int(oracle.Running)
	detached    = 1 + int(oracle.Detached)
	settled     = 1 + int(oracle.Settled)
	keyNone     = columnKey + int(oracle.Nothing)
	keyOpen     = columnKey + int(oracle.Open)
	keyForGood  = columnKey + int(oracle.OpenTill)
	keyRamp     = columnKey + int(oracle.Ramping)
	keyHalfOpen = columnKey + int(oracle.HalfWay)
)

const kinds = 15

var kindNames = [kinds]string{
	"no limit", "limit", "limit per key", "sliding", "strict", "settled", "shared",
	"no breaker", "in a row", "ratio by number", "ratio by time", "slow calls", "whole jobs", "retry", "budget",
}

// kindsOf returns which kinds of rule a core has.
func kindsOf(w *world, c *coreSpec) (of []int) {
	var has [kinds]bool
	limits := append(append([]limitSpec(nil), c.limits...), w.pools...)
	has[0], has[6], has[7] = len(limits) == 0, len(w.pools) > 0, c.breaker == nil
	for _, l := range limits {
		has[1], has[2] = has[1] || !l.perKey, has[2] || l.perKey
		has[3], has[4], has[5] = has[3] || l.sliding, has[4] || l.strict, has[5] || l.settled
	}
	if b := c.breaker; b != nil {
		has[8], has[9], has[10] = b.failures > 0, b.ratio > 0 && b.window == 0, b.ratio > 0 && b.window > 0
		has[11], has[12] = b.slowRatio > 0, b.jobs
	}
	has[13], has[14] = c.retry != nil, c.budget != nil
	for i, yes := range has {
		if yes {
			of = append(of, i)
		}
	}
	return of
}

// watch returns what a judge of the core tells what it sees.
func (c *coverage) watch(w *world, spec *coreSpec) func(oracle.Sight) {
	of := kindsOf(w, spec)
	return func(s oracle.Sight) {
		row := rowOf(&s)
		count := func(column int) {
			for _, k := range of {
				c.cells[row][column][k]++
			}
		}
		switch {
		case s.Of:
			count(1 + int(s.Job))
			count(columnKey + int(s.Key))
		case s.Came || s.Event == oracle.Override || s.Event == oracle.Observe:
			count(columnKey + int(s.Key))
		default:
			count(0)
		}
	}
}

func rowOf(s *oracle.Sight) int {
	switch {
	case s.Came:
		return rowEffect + int(s.Effect)
	case s.Stale:
		switch s.Event {
		case oracle.Done:
			return rowStale
		case oracle.Unstarted:
			return rowStale + 1
		default:
			return rowStale + 2
		}
	case s.Event != oracle.Done:
		return int(s.Event)
	}
	switch e := s.Ending; {
	case e.Throttled && e.Hinted:
		return rowDone + 5
	case e.Throttled:
		return rowDone + 4
	case e.Unbilled:
		return rowDone + 6
	case e.Verdict == oracle.Unusable:
		return rowDone + 7
	case e.Verdict == oracle.Neutral:
		return rowDone + 3
	case e.Verdict == oracle.Failure && e.Retry:
		return rowDone + 1
	case e.Verdict == oracle.Failure:
		return rowDone + 2
	default:
		return rowDone
	}
}

// never says which cells cannot be hit, and the rule that forbids each; they are asserted. The rest of the table is what the flag
// -table asks for.
func never(row, column, kind int) string {
	ofJob := column >= unknown && column <= settled
	lands := row == 3 || row == 10 || row >= rowDone && row < rowStale // of an attempt in flight
	switch {
	case row == 1 && ofJob && column != unknown:
		return "S-F1: a job is submitted once"
	case row != 1 && row < rowEffect && column == unknown:
		return "S-F5: nothing happens to a job before it is accepted"
	case lands && ofJob && column != running && column != detached:
		return "S-F1: only what is in flight ends, or is corrected"
	case lands && column == keyNone:
		return "S-A9: a key with an attempt in flight is kept"
	case row == rowEffect && column == waiting:
		return "S-A3: what waits for an instant does not start"
	case row == rowEffect && column == running:
		return "S-C1: one attempt of a job at a time"
	case row == rowEffect && (column == detached || column == settled || column == unknown):
		return "S-F1: what is over, or not there, does not start"
	case row == rowEffect && (column == keyOpen || column == keyForGood):
		return "S-B1: an open circuit lets nothing pass"
	case row == rowEffect && column == keyNone:
		return "S-A9: a key with a job is kept"
	case row == rowEffect+int(oracle.Settle) && column == running:
		return "S-F1: a job that is over while it runs is detached"
	case row == rowEffect+int(oracle.Signal) && (column == queued || column == waiting || column == running || column == unknown):
		return "S-F1: only what runs is signalled, and then it is over"
	case row == rowEffect+int(oracle.Parked) && (column == running || column == detached || column == unknown):
		return "S-A3: what waits does not run"
	case row == rowEffect+int(oracle.Parked) && column == queued:
		return "S-A3: what waits for an instant is not ready before it, and a turn is one instant"
	case row == rowEffect+int(oracle.Settle) && column == unknown:
		return "S-F5: a job that was not accepted has no end"
	case row >= rowEffect && column == keyNone:
		return "S-A9: a key is kept as long as there is something to tell of it"
	case row == rowEffect+int(oracle.Opened) && column == keyRamp:
		return "S-B5: a circuit closes by probes, and those start after the turn's events"
	case row == rowEffect+int(oracle.HalfOpened) && (column == keyRamp || column == keyOpen || column == keyForGood):
		return "S-B5: a half-open circuit moves by its probes, and those start after the turn's events"
	case row == rowEffect+int(oracle.Closed) && (column == keyOpen || column == keyForGood || column == keyHalfOpen):
		return "S-B4: a circuit that has closed opens by attempts of that generation, and those start after the turn's events"
	case row == rowEffect+int(oracle.Forgotten) && (column == keyRamp || column == keyOpen || column == keyForGood || column == keyHalfOpen):
		return "S-A9: a key with something to remember is kept"
	case kind == 0 && (row == 10 || row == 11 || row == 12 || row == 13 || row == 14 || row == rowStale+2):
		return "S-L5, S-L6: there is no limit to change"
	case row == rowEffect+int(oracle.Deadlock) && ofJob && column != running:
		return "S-F8: only an attempt in flight that is still wanted waits for a job"
	default:
		return ""
	}
}

// meaningful reports whether a row and a column go together at all.
func meaningful(row, column int) bool {
	if rowNames[row] == "-" {
		return false
	}
	job := row == 1 || row == 3 || row == 4 || row == 10 || row == 18 || row == 19 || row >= rowDone && row < rowEffect+4 || row == rows-1
	key := row == 9 || row == 13 || row >= rowEffect
	switch {
	case column == 0:
		return !job && !key
	case column < columnKey:
		return job
	default:
		return job || key
	}
}

func (c *coverage) add(d *coverage) {
	for r := range c.cells {
		for col := range c.cells[r] {
			for k := range c.cells[r][col] {
				c.cells[r][col][k] += d.cells[r][col][k]
			}
		}
	}
}

// breach returns a cell that must not have been hit, and was.
func (c *coverage) breach() error {
	for r := range c.cells {
		for col := range c.cells[r] {
			for k, n := range c.cells[r][col] {
				rule := never(r, col, k)
				if rule != "" && n > 0 {
					return fmt.Errorf("%s, %s, %s: hit %d times, and %s", rowNames[r], columnNames[col], kindNames[k], n, rule)
				}
			}
		}
	}
	return nil
}

// write prints the table: of each event and state the least over all kinds of rule, then what was never hit, then what cannot be.
func (c *coverage) write(w io.Writer, enough uint64) {
	var possible, hit, full int
	var missed, few []string
	say(w, "%-22s", "least of all kinds")
	for _, name := range columnNames {
		say(w, " %18s", name)
	}
	say(w, "\n")
	for r := range c.cells {
		if rowNames[r] == "-" {
			continue
		}
		say(w, "%-22s", rowNames[r])
		for col := range c.cells[r] {
			switch {
			case !meaningful(r, col):
				say(w, " %18s", "")
				continue
			case never(r, col, 1) != "":
				say(w, " %18s", "never")
				continue
			}
			least := ^uint64(0)
			for k, n := range c.cells[r][col] {
				if never(r, col, k) != "" {
					continue
				}
				possible++
				cell := fmt.Sprintf("%s, %s, %s", rowNames[r], columnNames[col], kindNames[k])
				switch {
				case n == 0:
					missed = append(missed, cell)
				case n < enough:
					few = append(few, fmt.Sprintf("%s: %d", cell, n))
					hit++
				default:
					hit++
					full++
				}
				least = min(least, n)
			}
			say(w, " %18d", least)
		}
		say(w, "\n")
	}
	say(w, "\n%d cells: %d hit, %d of them at least %d times; never hit, and not held impossible: %d\n", possible, hit, full, enough, len(missed))
	for _, cell := range missed {
		say(w, "  never: %s\n", cell)
	}
	say(w, "hit less than %d times: %d\n", enough, len(few))
	for _, cell := range few {
		say(w, "  few: %s\n", cell)
	}
	say(w, "held impossible (changes of limits, too, where there are none):\n")
	for r := range c.cells {
		for col := range c.cells[r] {
			if rule := never(r, col, 1); rule != "" && meaningful(r, col) {
				say(w, "  %s, %s: %s\n", rowNames[r], columnNames[col], rule)
			}
		}
	}
}
