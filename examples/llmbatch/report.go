package main

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/toller-go/toller/scheduler"
)

// report is the run at one moment, for the display, the page and programs.
type report struct {
	Seconds float64 `json:"seconds"`
	counts
	InFlight int `json:"in_flight"`
	Queued   int `json:"queued"`  // waiting for a worker, a limit, or their key
	Waiting  int `json:"waiting"` // waiting to be tried again

	MaxInFlight  int     `json:"max_in_flight"`
	Oldest       float64 `json:"oldest_seconds"`      // how long the longest of those in flight has taken
	ETA          float64 `json:"eta_seconds"`         // -1 while nobody can tell
	RequestRate  float64 `json:"requests_per_second"` // lately
	RequestLimit float64 `json:"requests_per_second_limit"`
	TokenRate    float64 `json:"tokens_per_second"` // lately
	TokenLimit   float64 `json:"tokens_per_second_limit"`

	WaitsFor []waitsFor   `json:"waits_for"`
	Lanes    []laneReport `json:"lanes"`
	Dead     []string     `json:"set_aside"` // keys, and why
	Stopping string       `json:"stopping"`  // why the run ends; empty while it does not
	LastErr  string       `json:"last_error"`
}

// waitsFor is what some prompts that are queued wait for.
type waitsFor struct {
	What    string `json:"what"`
	Prompts int    `json:"prompts"`
}

// laneReport is one key with one model.
type laneReport struct {
	Name    string        `json:"name"`
	Queued  int           `json:"queued"`
	Waiting int           `json:"waiting"`
	Running int           `json:"running"`
	Circuit string        `json:"circuit"`
	Cooling float64       `json:"cooling_seconds"`
	Limits  []limitReport `json:"limits"`
}

// limitReport is how far a limit is used up.
type limitReport struct {
	Name string  `json:"name"`
	Most float64 `json:"most"` // in its minute or day; of a budget, all of it
	Left float64 `json:"left"` // of what may go at once
}

// report looks at the run.
func (b *batch) report() report {
	c, s, barred := b.tally.now(), b.d.Snapshot(), int(b.barred.Load())
	if b.halt.isAsked() {
		barred = 0 // they wait no more
	}
	r := report{
		Seconds: c.elapsed().Seconds(), counts: c, InFlight: s.Running, MaxInFlight: s.Workers, Queued: s.Queued + barred, Waiting: s.Waiting,
		Oldest: b.tally.oldest().Seconds(), ETA: -1, WaitsFor: waits(s.Keys, barred), Dead: b.ring.deadKeys(), LastErr: b.tally.lastError(),
	}
	if left := c.remaining(); left >= 0 {
		r.ETA = left.Seconds()
	}
	_, r.Stopping = b.halt.wish()
	r.RequestRate, r.TokenRate = b.pace.rates(c)
	for _, key := range s.Keys {
		lane := laneReport{
			Name: key.Key, Queued: key.Queued, Waiting: key.Waiting, Running: key.Running, Circuit: key.Circuit.String(), Cooling: key.Cooling.Seconds(),
		}
		for _, l := range key.Limits {
			lane.Limits = append(lane.Limits, limitReport{Name: l.Name, Most: b.most(l), Left: l.Level})
		}
		r.Lanes = append(r.Lanes, lane)
	}
	n := float64(b.ring.count.Load()) * float64(len(b.ring.keys)-len(r.Dead)) / float64(max(1, len(b.ring.keys)))
	r.RequestLimit, r.TokenLimit = n*b.rpm/60, n*b.tpm/60
	return r
}

// most is what a limit allows in its span.
func (b *batch) most(l scheduler.LimitSnapshot) float64 {
	if l.Name == limitRequests {
		return b.rpm
	}
	return l.Burst
}

// waits says what the queued prompts of all keys wait for, and those that are barred, the most first.
func waits(keys []scheduler.KeySnapshot, barred int) []waitsFor {
	by := make(map[string]int)
	if barred > 0 {
		by[limitRequestsDay] = barred
	}
	for _, key := range keys {
		if key.Queued == 0 || len(key.Waits) == 0 {
			continue
		}
		w := key.Waits[len(key.Waits)-1]
		var what string
		switch w.Kind {
		case scheduler.ForWorker:
			what = "room in flight"
		case scheduler.ForLimit:
			what = w.Name
		case scheduler.ForCooldown:
			what = "the end of a cooldown"
		case scheduler.ForCircuit:
			what = "the server to recover"
		case scheduler.ForItsTurn:
			what = "their turn"
		default:
			what = "the run to go on"
		}
		by[what] += key.Queued
	}
	var list []waitsFor
	for what, prompts := range by {
		list = append(list, waitsFor{what, prompts})
	}
	slices.SortFunc(list, func(a, b waitsFor) int {
		return cmp.Or(cmp.Compare(b.Prompts, a.Prompts), cmp.Compare(a.What, b.What))
	})
	return list
}

// pace is how fast a run has been lately. Its methods may be called from any goroutine.
type pace struct {
	mu      sync.Mutex
	samples []sample // guarded by mu; oldest first, a second apart, of the last quarter of a minute
}

// sample is what had been done at one moment.
type sample struct {
	at               time.Time
	requests, tokens float64
}

// rates takes the figures of this moment, and returns requests and tokens a second.
func (p *pace) rates(c counts) (requests, tokens float64) {
	const lately, apart = 15 * time.Second, time.Second
	now := sample{at: time.Now(), requests: float64(c.Requests), tokens: float64(c.PromptTokens + c.CompletionTokens)}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.samples) == 0 {
		p.samples = append(p.samples, sample{at: c.started})
	}
	for len(p.samples) > 1 && now.at.Sub(p.samples[1].at) > lately {
		p.samples = p.samples[1:]
	}
	first := p.samples[0]
	if now.at.Sub(p.samples[len(p.samples)-1].at) >= apart {
		p.samples = append(p.samples, now)
	}
	span := max(now.at.Sub(first.at).Seconds(), 0.001)
	return (now.requests - first.requests) / span, (now.tokens - first.tokens) / span
}

// ideal is how long the run would have taken had nothing but its own bounds held it up, and which of them.
func (b *batch) ideal() (time.Duration, string) {
	c := b.tally.now()
	lanes := max(1, float64(b.ring.count.Load()))
	best, by := seconds(c.Busy/float64(b.maxInFlight)), "requests in flight"
	for _, l := range []struct {
		name               string
		used, burst, speed float64
	}{
		{"-rpm", float64(c.Answered - c.Shared - c.answeredBefore), b.burst, (b.rpm - b.burst) / minute.Seconds()},
		{"-tpm", float64(c.PromptTokens + c.CompletionTokens), b.tpm, b.tpm / minute.Seconds()},
		{"-itpm", float64(c.PromptTokens), b.itpm, b.itpm / minute.Seconds()},
		{"-otpm", float64(c.CompletionTokens), b.otpm, b.otpm / minute.Seconds()},
	} {
		if l.speed <= 0 {
			continue
		}
		if took := seconds(max(0, l.used/lanes-l.burst) / l.speed); took > best {
			best, by = took, l.name
		}
	}
	return best, by
}

// shell quotes the words of a command so that they can be pasted.
func shell(words ...string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:,=@%+"
	quoted := make([]string, len(words))
	for i, word := range words {
		if word == "" || strings.Trim(word, plain) != "" {
			word = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
		quoted[i] = word
	}
	return strings.Join(quoted, " ")
}
