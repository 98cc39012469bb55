package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/toller-go/toller/bench/sim/oracle"
	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/scheduler"
)

// drain removes whatever may hold jobs back, ends every attempt well, and waits until nothing is left to wait for. Then every job
// must be over, every count zero, and every lane dropped.
func (p *player) drain() *oracle.Fault {
	at := 10 * time.Second
	for _, a := range p.cores {
		at = max(at, time.Duration(a.now)+a.spec.ahead)
	}
	for i := range p.pools {
		if fault := p.play(turn{at: at, pool: i, acts: []act{{kind: scheduler.SetRate, rate: rateSpec{1000, "s"}}}}); fault != nil {
			return fault
		}
	}
	for i, a := range p.cores {
		t := turn{at: at, core: i, pool: -1, acts: []act{{kind: scheduler.Resume}}}
		for k := range a.spec.limits {
			t.acts = append(t.acts, act{kind: scheduler.SetRate, limit: k, rate: rateSpec{1000, "s"}})
		}
		if fault := p.play(t); fault != nil {
			return fault
		}
	}
	quiet := func() bool {
		return !slices.ContainsFunc(p.cores, func(a *actor) bool { return !a.core.Quiet() || a.core.NextWake() != policy.Never })
	}
	if fault := p.goOn(&at, quiet); fault != nil {
		return fault
	}
	if fault := p.resetAll(at); fault != nil {
		return fault
	}
	if fault := p.goOn(&at, quiet); fault != nil {
		return fault
	}
	return p.empty()
}

// goOn takes turn after turn, as fast as the cores want them.
func (p *player) goOn(at *time.Duration, done func() bool) *oracle.Fault {
	for left := 5000; !done(); left-- {
		if left == 0 {
			return &oracle.Fault{Rule: "S-T2", Text: "the story has no end: " + p.state()}
		}
		moved := false
		for i, a := range p.cores {
			t := turn{core: i, pool: -1}
			for n := range p.jobs {
				j := &p.jobs[n]
				if !j.submitted || j.core != i {
					continue
				}
				switch state := j.entry.State(); {
				case state == scheduler.Running || state == scheduler.Detached:
					t.acts = append(t.acts, act{kind: scheduler.Done, job: n, outcome: "ok", hint: -1})
				case state != scheduler.Settled && j.entry.Announced && j.entry.Deadline <= a.now:
					t.acts = append(t.acts, act{kind: scheduler.Cancel, job: n})
				}
			}
			if next := a.core.NextWake(); len(t.acts) == 0 && next != policy.Never {
				*at = max(*at, time.Duration(next)+a.spec.ahead)
				t.acts = []act{{kind: scheduler.Tick}}
			}
			if t.at = *at; len(t.acts) == 0 {
				continue
			}
			moved = true
			if fault := p.play(t); fault != nil {
				return fault
			}
		}
		if moved {
			continue
		}
		if fault := p.resetAll(*at); fault != nil { // circuits that no time opens
			return fault
		}
	}
	return nil
}

// resetAll makes every circuit like a new one.
func (p *player) resetAll(at time.Duration) *oracle.Fault {
	for i := range p.cores {
		t := turn{at: at, core: i, pool: -1}
		for k := range keyNames {
			t.acts = append(t.acts, act{kind: scheduler.Override, key: k, mode: policy.Automatic})
		}
		if fault := p.play(t); fault != nil {
			return fault
		}
	}
	return nil
}

func (p *player) empty() *oracle.Fault {
	for n := range p.jobs {
		if j := &p.jobs[n]; j.submitted && j.entry.State() != scheduler.Settled {
			return &oracle.Fault{Rule: "S-F1", Text: fmt.Sprintf("in the end j%d is %v", n, j.entry.State())}
		}
	}
	for _, a := range p.cores {
		for _, key := range keyNames {
			if a.core.Has(key) {
				return &oracle.Fault{Rule: "S-A9", Text: fmt.Sprintf("in the end key %s is kept", key)}
			}
		}
		if a.core.Unsettled() != 0 || a.core.InFlight() != 0 || a.judge.Unsettled() != 0 {
			return &oracle.Fault{Rule: "S-F1", Text: "in the end " + p.state()}
		}
	}
	return nil
}

func (p *player) state() string {
	var b strings.Builder
	for i, a := range p.cores {
		fmt.Fprintf(&b, "core %d: %d unsettled, %d in flight, next wake-up at %v; ", i, a.core.Unsettled(), a.core.InFlight(), a.core.NextWake())
	}
	return b.String()
}
