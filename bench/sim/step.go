package main

import (
	"github.com/toller-go/toller/bench/sim/oracle"
	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/scheduler"
)

// step steps one act, unless nobody could do it: what an earlier act was about may have been left out of the story.
func (p *player) step(a *actor, core int, at policy.Time, c *act, alone bool) {
	ev := scheduler.Event{Kind: c.kind, At: at, Mode: c.mode, Limit: c.limit, Workers: c.workers, Group: c.group}
	judged := oracle.Event{
		Kind: oracle.EventKind(c.kind), At: oracle.Time(at), Key: c.key, Mode: oracle.Mode(c.mode), Limit: c.limit, Workers: c.workers, Group: c.group,
	}
	if ok := p.fill(a, core, c, &ev, &judged); !ok {
		return
	}
	if c.kind != scheduler.Submit || !alone || !p.world.express || !a.core.Express(at, ev.Entry) {
		a.core.Step(ev)
	} else {
		a.express = ev.Entry
	}
	if ev.Entry != nil {
		judged.After = oracle.State(ev.Entry.State())
	}
	if c.kind == scheduler.Stop || c.kind == scheduler.Abort {
		a.stopped = true
	}
	a.events = append(a.events, judged)
}

// fill completes an event for the core and for its judge.
func (p *player) fill(a *actor, core int, c *act, ev *scheduler.Event, judged *oracle.Event) bool {
	if c.kind == scheduler.Submit {
		return p.fillSubmit(a, core, c, ev, judged)
	}
	switch c.kind {
	case scheduler.Done, scheduler.Unstarted, scheduler.Cancel, scheduler.Correct, scheduler.Await, scheduler.Unawait:
		if !p.fillJob(core, c, ev, judged) {
			return false
		}
	case scheduler.Override, scheduler.Observe:
		ev.Key = keyNames[c.key]
		judged.New = !a.core.Has(ev.Key)
	default:
	}
	switch c.kind {
	case scheduler.SetRate:
		ev.Rate, judged.Rate = c.rate.rate(), c.rate.judged()
	case scheduler.SetBurst:
		ev.Burst, judged.Amount = c.amount, micro(c.amount)
	case scheduler.Observe, scheduler.Correct:
		ev.Amount, judged.Amount = amount(c.amount), micro(c.amount)
	default:
	}
	return true
}

// fillJob completes an event that is about a job.
func (p *player) fillJob(core int, c *act, ev *scheduler.Event, judged *oracle.Event) bool {
	if c.job >= len(p.jobs) || !p.jobs[c.job].submitted || p.jobs[c.job].core != core {
		return false
	}
	j := &p.jobs[c.job]
	ev.Entry, ev.Attempt = j.entry, c.attempt
	if ev.Attempt == 0 {
		ev.Attempt = j.entry.Runs()
	}
	judged.Job, judged.Key, judged.Before = j.local, int(j.entry.Key[0]-'a'), oracle.State(j.entry.State())
	switch c.kind {
	case scheduler.Done:
		ev.Outcome = c.result()
		judged.Outcome = oracle.Outcome{
			Verdict: oracle.Verdict(ev.Outcome.Verdict), Retry: ev.Outcome.Retry, Throttled: ev.Outcome.Throttled, Hinted: ev.Outcome.Hinted,
			Hint: ev.Outcome.Hint, Unbilled: ev.Outcome.Unbilled,
		}
	case scheduler.Unstarted:
		if j.corrected == ev.Attempt {
			return false // it has run
		}
	case scheduler.Correct:
		if ev.Attempt == j.entry.Runs() {
			j.corrected = ev.Attempt
		}
	case scheduler.Await, scheduler.Unawait:
		by := &p.jobs[c.by]
		if !by.submitted || by.core != core {
			return false
		}
		ev.By, ev.Attempt, judged.By = by.entry, by.entry.Runs(), by.local
	default:
	}
	judged.Attempt = ev.Attempt
	return true
}

func (p *player) fillSubmit(a *actor, core int, c *act, ev *scheduler.Event, judged *oracle.Event) bool {
	if a.stopped {
		return false // an owner that has stopped takes in nothing
	}
	s := c.spec
	for len(p.jobs) <= c.job {
		p.jobs = append(p.jobs, played{})
	}
	e := &scheduler.Entry{Owner: c.job, Key: keyNames[s.key], FailFast: s.failFast, Priority: int8(s.priority)}
	terms := scheduler.Terms{
		Deadline: policy.Time(s.deadline), Announced: s.announced, NotBefore: policy.Time(s.notBefore), Groups: s.groups, Rules: a.keys[s.key],
	}
	job := &oracle.Job{
		Key: s.key, FailFast: s.failFast, Priority: s.priority, Deadline: oracle.Time(s.deadline), Announced: s.announced, NotBefore: oracle.Time(s.notBefore), Groups: s.groups,
	}
	for _, cost := range s.costs {
		terms.Costs, job.Costs = append(terms.Costs, amount(cost)), append(job.Costs, micro(cost))
	}
	if s.retry != nil {
		retry, known := s.retry.retry(), s.retry.judged()
		terms.Retry, job.Retry = &retry, &known
	}
	if s.deadline > 0 || s.notBefore > 0 || s.groups != 0 || s.costs != nil || s.retry != nil || terms.Rules != nil {
		e.Terms = &terms // or it asks for nothing
	}
	if a.judge.Refuses(job, a.known[s.key]) {
		return false // as Submit does, before the core hears of it
	}
	p.jobs[c.job] = played{entry: e, core: core, local: len(a.numbers), submitted: true}
	a.numbers = append(a.numbers, c.job)
	ev.Entry = e
	judged.Job, judged.Submit, judged.Key = p.jobs[c.job].local, job, s.key
	judged.Rules, judged.New = a.known[s.key], !a.core.Has(e.Key)
	return true
}
