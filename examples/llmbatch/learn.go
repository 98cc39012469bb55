package main

import (
	"net/http"
	"sync"
	"time"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/policy/api"
)

// learner holds the limits against what the headers of answers say is left at the server. That can only lower them. Its methods
// may be called from any goroutine.
type learner struct {
	d     *dispatcher.Dispatcher
	start time.Time
	names []string // of the limits that a server may tell of

	mu     sync.Mutex
	gauges map[gaugeKey]*api.Gauge // guarded by mu
}

// gaugeKey is one limit of one lane.
type gaugeKey struct{ lane, limit string }

// sending is a request as the gauges know it.
type sending struct {
	lane string
	by   map[string]api.Sent // by limit
}

func newLearner(d *dispatcher.Dispatcher, limits []policy.Limit) *learner {
	l := &learner{d: d, start: time.Now(), gauges: make(map[gaugeKey]*api.Gauge)}
	for _, limit := range limits {
		if limit.PerKey && limit.Name != limitRequestsDay {
			l.names = append(l.names, limit.Name)
		}
	}
	return l
}

func (l *learner) now() policy.Time { return policy.Time(time.Since(l.start)) }

// send notes that a request goes out on a lane, with what it costs.
func (l *learner) send(lane string, costs []dispatcher.Cost) sending {
	s := sending{lane: lane, by: make(map[string]api.Sent, len(l.names))}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, name := range l.names {
		g := l.gauges[gaugeKey{lane, name}]
		if g == nil {
			g = new(api.Gauge)
			l.gauges[gaugeKey{lane, name}] = g
		}
		tokens := 1.0
		for _, cost := range costs {
			if cost.Limit == name {
				tokens = cost.Tokens
			}
		}
		s.by[name] = g.Send(l.now(), tokens)
	}
	return s
}

// hear takes what the answer to a request says.
func (l *learner) hear(s sending, header http.Header) {
	if len(l.names) == 0 || header == nil {
		return
	}
	for _, o := range api.Limits(header, time.Now()) {
		sent, known := s.by[o.Limit]
		if !known {
			continue
		}
		l.mu.Lock()
		level, ok := l.gauges[gaugeKey{s.lane, o.Limit}].Hear(l.now(), sent, o)
		l.mu.Unlock()
		if ok && level.Known {
			_ = l.d.Observe(o.Limit, s.lane, level.Left) // the limit exists, and the lane is in use
		}
	}
}
