package transport

import (
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/policy/api"
)

// maxLearnt is for how many keys it is remembered what their servers say.
const maxLearnt = 10_000

// learner lowers the dispatcher's limits by what the headers of answers say of the server's. A limit is the server's if it has
// the name that package api gives it: "requests", "tokens", "input-tokens", "output-tokens", "project-requests",
// "project-tokens".
//
// What is left at the server bounds the level of the bucket. How fast the server replenishes becomes the rate, if the limit is
// one for all keys and the rate is below the one that was configured; of a limit that each key has of its own, the rate is that
// of all of them, and stays.
type learner struct {
	d     *dispatcher.Dispatcher
	start time.Time

	rates map[string]configured // by limit, those that are not per key; not changed after newLearner

	mu     sync.Mutex
	gauges map[string][]*gauge    // guarded by mu; by key, or "" for the limits that are not per key
	absent map[string]bool        // guarded by mu; limits that the dispatcher does not have
	learnt map[string]policy.Rate // guarded by mu; by limit: the rate that was set
}

// configured is what a limit was when the transport was made.
type configured struct {
	rate  policy.Rate
	burst float64
}

// gauge is what is known of one limit of one key.
type gauge struct {
	limit string
	api.Gauge
}

// sending is a request as the gauges know it.
type sending struct {
	gauge *gauge
	sent  api.Sent
}

func newLearner(d *dispatcher.Dispatcher, start time.Time) *learner {
	l := &learner{
		d: d, start: start, rates: map[string]configured{}, gauges: map[string][]*gauge{}, absent: map[string]bool{}, learnt: map[string]policy.Rate{},
	}
	for _, limit := range d.Snapshot().Limits {
		l.rates[limit.Name] = configured{rate: limit.Rate, burst: limit.Burst}
	}
	return l
}

func (l *learner) now() policy.Time { return policy.Time(time.Since(l.start)) }

// heard is what the answer to a request will be held against.
type heard struct {
	key  string
	sent []sending
}

// send notes that an attempt of c goes out.
func (l *learner) send(c *Call) heard {
	if l == nil {
		return heard{}
	}
	h := heard{key: c.key}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	for _, key := range []string{"", c.key} {
		for _, g := range l.gauges[key] {
			h.sent = append(h.sent, sending{gauge: g, sent: g.Send(now, costOf(c, g.limit))})
		}
		if c.key == "" {
			break
		}
	}
	return h
}

// costOf is what an attempt costs of a limit: what was named, or one.
func costOf(c *Call, limit string) float64 {
	for _, cost := range c.costs {
		if cost.Limit == limit {
			return cost.Tokens
		}
	}
	return 1
}

// hear takes what an answer says of the limits.
func (l *learner) hear(h heard, header http.Header) {
	if l == nil {
		return
	}
	for _, o := range api.Limits(header, time.Now()) {
		l.hearOne(h, o)
	}
}

func (l *learner) hearOne(h heard, o api.Observation) {
	key := h.key
	known, shared := l.rates[o.Limit]
	if shared {
		key = ""
	}
	level, ok := l.gaugeOf(h, key, o)
	if !ok {
		return
	}
	if shared && !level.Rate.IsZero() {
		l.setRate(o.Limit, known.rate, level.Rate)
	}
	if level.Known && (!shared || level.Left < known.burst) { // the bucket holds no more anyway
		if err := l.d.Observe(o.Limit, h.key, level.Left); errors.Is(err, policy.ErrInvalid) {
			l.mu.Lock()
			l.absent[o.Limit] = true
			l.mu.Unlock()
		}
	}
}

// gaugeOf holds an observation against the request that it answers. The first of a limit has nothing to be held against, and only
// makes the gauge.
func (l *learner) gaugeOf(h heard, key string, o api.Observation) (api.Level, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.absent[o.Limit] {
		return api.Level{}, false
	}
	for _, s := range h.sent {
		if s.gauge.limit == o.Limit {
			return s.gauge.Hear(l.now(), s.sent, o)
		}
	}
	if slices.ContainsFunc(l.gauges[key], func(g *gauge) bool { return g.limit == o.Limit }) {
		return api.Level{}, false // it was sent before there was one
	}
	if len(l.gauges) >= maxLearnt {
		clear(l.gauges) // to be learnt anew
	}
	g := &gauge{limit: o.Limit}
	l.gauges[key] = append(l.gauges[key], g)
	return g.Hear(l.now(), g.Send(l.now(), 0), o)
}

// setRate makes the server's rate that of the limit, where it is slower than what was configured.
func (l *learner) setRate(limit string, configured, server policy.Rate) {
	rate := server
	if !rate.Slower(configured) {
		rate = configured
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	last, ok := l.learnt[limit]
	if ok && last == rate || !ok && rate == configured {
		return
	}
	if l.d.SetRate(limit, rate) == nil {
		l.learnt[limit] = rate
	}
}
