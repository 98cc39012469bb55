package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job/journal"
)

// Limits hold over runs: what the journal says was sent in the last minute, or day, counts against those of the next run, be it seconds after
// the last was killed. That goes by the clock on the wall, by the name of the variable that holds a key, and by what tokens were estimated at
// when they were sent. Other journals are not looked at; and a resume that takes back lines with -allow-changed rewrites the journal, so
// that the one after it knows nothing of what was sent before.

// sent is what the journal is told of each request.
type sent struct {
	At     int64  `json:"at"` // milliseconds since 1970; the first member, so that those of long ago are not read further
	Key    string `json:"key"`
	Model  string `json:"model"`
	Input  int64  `json:"in"` // tokens
	Output int64  `json:"out"`
	wasted        // before it: of a prompt that is under way no other record may be left
}

// sent is what the journal is told of the attempt that begins now.
func (f *flight) sent() json.RawMessage {
	data, _ := json.Marshal(sent{ // numbers and text: that can't fail
		At: time.Now().UnixMilli(), Key: f.lane.key.name, Model: f.item.Model,
		Input: int64(math.Ceil(f.est.Input)), Output: int64(math.Ceil(f.est.likely)), wasted: wasted{f.ambiguous},
	})
	return data
}

// sentAt reads when a request was sent, and nothing else.
func sentAt(data json.RawMessage) (at time.Time, ok bool) {
	rest, ok := bytes.CutPrefix(data, []byte(`{"at":`))
	digits, _, more := bytes.Cut(rest, []byte(","))
	ms, err := strconv.ParseInt(string(digits), 10, 64)
	return time.UnixMilli(ms), ok && more && err == nil
}

// carry gathers what earlier runs have sent not long ago.
type carry struct {
	s     *settings
	now   time.Time // of the start
	lanes map[laneID]*carried
}

// laneID is a key, by its name, and a model.
type laneID struct{ key, model string }

// carried is what was sent with one key to one model.
type carried struct {
	day           []int64   // the requests of the last day, in milliseconds since 1970; the latest, as many as -rpd
	input, output float64   // tokens of the last minute
	level         float64   // of the bucket of -rpm at the instant last, had it been full a minute ago: what was sent before is of no account
	last          time.Time // zero before the first request of the last minute
	requests      int       // of the last minute, or day if that counts
}

func newCarry(s *settings) *carry {
	return &carry{s: s, now: time.Now(), lanes: make(map[laneID]*carried)}
}

// day is over what -rpd is kept.
const day = 24 * time.Hour

// take takes in a record, in the order of the journal. What it can't read was not written by a run.
func (c *carry) take(record journal.Record) {
	if record.Kind != journal.KindStart {
		return
	}
	at, ok := sentAt(record.Data)
	if at.After(c.now) {
		at = c.now // the clock was put back
	}
	ofMinute, ofDay := c.now.Sub(at) <= minute, c.s.rpd > 0 && c.now.Sub(at) <= day
	var of sent
	if !ok || !ofMinute && !ofDay || json.Unmarshal(record.Data, &of) != nil {
		return
	}
	id := laneID{of.Key, of.Model}
	u := c.lanes[id]
	if u == nil {
		u = &carried{level: c.s.burst}
		c.lanes[id] = u
	}
	u.requests++
	if ofDay {
		u.day = append(u.day, at.UnixMilli())
		u.day = u.day[max(0, len(u.day)-int(math.Ceil(c.s.rpd))):] // as long as none of these is a day old they use it up
	}
	if ofMinute {
		u.input += float64(max(0, of.Input))
		u.output += float64(max(0, of.Output))
		u.level = c.s.levelAt(u, at) - 1
		if at.After(u.last) {
			u.last = at
		}
	}
}

// levelAt is what the bucket of -rpm holds at an instant.
func (s *settings) levelAt(u *carried, at time.Time) float64 {
	if u.last.IsZero() {
		return u.level
	}
	since := max(0, at.Sub(u.last)) // records of attempts at once may be in another order
	return min(s.burst, u.level+(s.rpm-s.burst)*float64(since)/float64(minute))
}

// costs is what is to be charged of the limits of a lane for what was sent in the last minute. Where that is more than a limit has, which was
// raised then, it is all of it: nothing more is sent before a minute has passed.
func (c *carry) costs(m *meter, u *carried) []dispatcher.Cost {
	costs := make([]dispatcher.Cost, 0, len(m.limits))
	for _, l := range m.limits {
		amount := 0.0 // of a budget, which is of one run; and of the requests in a day, see allowance
		switch tokens, counts := m.amount(l.Name, u.input, u.output, 0); {
		case l.Name == limitRequests:
			amount = min(c.s.rpm, c.s.burst-c.s.levelAt(u, c.now))
		case l.PerKey && counts:
			amount = min(tokens, l.Burst)
		}
		costs = append(costs, dispatcher.Cost{Limit: l.Name, Tokens: amount})
	}
	return costs
}

// carryOver has the limits of this run begin where the earlier ones left them. What is of a minute is charged by a job that costs as much and
// does nothing: it starts at once, since nothing else has been charged yet.
func (b *batch) carryOver() error {
	if b.rec == nil || !b.rec.resumes || len(b.limits()) == 0 {
		return nil
	}
	for id, u := range b.rec.carry.lanes {
		for _, l := range b.ring.of(id.model) {
			if l.key.name != id.key {
				continue
			}
			if len(u.day) > 0 {
				l.allowance = &allowance{most: int(b.rpd), before: u.day}
			}
			b.rec.carried += u.requests
			options := []dispatcher.Option{dispatcher.WithKey(l.name)}
			for _, cost := range b.rec.carry.costs(b.meter, u) {
				options = append(options, dispatcher.WithCost(cost.Limit, cost.Tokens))
			}
			nothing := func(context.Context) (struct{}, error) { return struct{}{}, nil }
			if _, err := dispatcher.Do(context.Background(), b.d, nothing, options...); err != nil {
				return fmt.Errorf("what earlier runs have sent does not count against the limits: %w", err)
			}
		}
	}
	b.rec.carry = nil
	return nil
}

// allowance is what earlier runs have left of the requests in a day. A limit of the dispatcher could only be charged for theirs as of now,
// and would be without them for a whole day from now on; here they go one by one, as the day passes. It counts requests until all are gone, and
// the limit alone is enough. A nil allowance allows everything. Its methods may be called from any goroutine.
type allowance struct {
	most int // requests in a day

	mu     sync.Mutex
	before []int64 // guarded by mu, in milliseconds since 1970; those of earlier runs, until they are a day old
	used   int     // guarded by mu; those of this run
}

// left is how many requests may be sent now.
func (a *allowance) left() int {
	if a == nil {
		return math.MaxInt
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.room()
}

// take takes one request, and reports whether there was one.
func (a *allowance) take() bool {
	if a == nil {
		return true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.room() < 1 {
		return false
	}
	a.used++
	return true
}

// room is left with mu held.
func (a *allowance) room() int {
	for len(a.before) > 0 && time.Since(time.UnixMilli(a.before[0])) > day {
		a.before = a.before[1:]
	}
	if len(a.before) == 0 {
		return math.MaxInt
	}
	return a.most - len(a.before) - a.used
}
