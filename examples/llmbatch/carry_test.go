package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/toller-go/toller/job/journal"
)

// arrivals is when a server has had requests.
type arrivals struct {
	mu    sync.Mutex
	times []time.Time // guarded by mu
}

func (a *arrivals) note() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.times = append(a.times, time.Now())
}

// most is how many there were in any window of this length, both ends included.
func (a *arrivals) most(window time.Duration) int {
	most := 0
	for i, from := range a.times {
		n, _ := slices.BinarySearchFunc(a.times[i:], from.Add(window+1), time.Time.Compare)
		most = max(most, n)
	}
	return most
}

// Limits hold in any window, over runs that follow each other at once as well, and what they allow is used: together they take hardly
// longer than one would.
func TestLimitsOverRuns(t *testing.T) {
	const prompts = 120
	tests := []struct {
		flags  []string
		window time.Duration
		most   int           // requests in any window
		rest   time.Duration // between two runs
		pause  string        // after which a run pauses
		within time.Duration // all is done
	}{
		// 30 at once, and one every 2 s from then on.
		{[]string{"-rpm", "60", "-burst", "30"}, time.Minute, 60, 0, "10s", 190 * time.Second},
		{[]string{"-rpm", "60", "-burst", "30"}, time.Minute, 60, 20 * time.Second, "10s", 330 * time.Second},
		{[]string{"-rpm", "60", "-burst", "1"}, time.Minute, 60, 0, "3s", 130 * time.Second},
		// A request has 40 tokens, and is charged a few more; each resume may wait for the window once more.
		{[]string{"-tpm", "2250"}, time.Minute, 2250 / 40, 0, "10s", 5 * time.Minute},
		{[]string{"-otpm", "1000"}, time.Minute, 1000 / 20, 7 * time.Second, "20s", 5 * time.Minute},
		{[]string{"-rpd", "50"}, 24 * time.Hour, 50, time.Hour, "1m", 50 * time.Hour},
		// Each run sends some of them.
		{[]string{"-rpd", "50", "-rpm", "60", "-burst", "1"}, 24 * time.Hour, 50, 6 * time.Hour, "20s", 56 * time.Hour},
		// A run is there when the requests of the one before become a day old.
		{[]string{"-rpd", "50", "-rpm", "100", "-burst", "20"}, 24 * time.Hour, 50, 22*time.Hour + 30*time.Minute, "65m", 71 * time.Hour},
	}
	for _, test := range tests {
		t.Run(strings.Join(test.flags, " ")+" "+test.rest.String(), func(t *testing.T) {
			r := newRun(t, "http://ward/v1", 0)
			r.bounded(t, prompts, 20)
			a := &arrivals{}
			server := func() http.Handler {
				w := &ward{prompt: 20, complete: 20, latency: 10 * time.Millisecond}
				return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					a.note()
					w.ServeHTTP(rw, r)
				})
			}
			runs, took := 0, time.Duration(0)
			r.inBubbleRuns(t, server, func(run func(args []string) int) {
				began := time.Now()
				for code := exitPaused; code == exitPaused; runs++ {
					if runs > 10_000 {
						t.Fatal("no end of it")
					}
					time.Sleep(test.rest)
					code = run(r.args(append(test.flags, "-run-deadline", test.pause)...))
				}
				took = time.Since(began)
			})
			if words := "requests, sent not long ago, count against the limits"; !strings.Contains(r.stderr.String(), words) {
				t.Errorf("%q is not said", words)
			}
			t.Logf("%d runs, %d requests, %d in a window, %v", runs, len(a.times), a.most(test.window), took)
			if n := a.most(test.window); n > test.most || len(a.times) != prompts || took > test.within || runs < 3 {
				t.Errorf("%d runs, %d requests, %d in a window, %v; want %+v", runs, len(a.times), n, took, test)
			}
		})
	}
}

// What is charged at the start: of the last minute, by key and model, and never more than a limit has.
func TestCarry(t *testing.T) {
	s := settings{rpm: 60, burst: 10, rpd: 100, tpm: 1000, itpm: 50, otpm: 2000, budgetTokens: 1e6}
	m, c := newMeter(&s), newCarry(&s)
	start := func(ago time.Duration, key string, data string) {
		if data == "" {
			data = fmt.Sprintf(`{"at":%d,"key":%q,"model":"m","in":40,"out":20}`, c.now.Add(-ago).UnixMilli(), key)
		}
		c.take(journal.Record{Kind: journal.KindStart, Data: json.RawMessage(data)})
	}
	start(25*time.Hour, "A", "")
	start(2*time.Hour, "A", "")
	for range 4 {
		start(minute/2, "A", "")
	}
	start(-time.Hour, "A", "") // the clock was put back since
	start(2*time.Hour, "B", "")
	for range 200 {
		start(0, "B", "") // the limits were higher
	}
	for _, odd := range []string{`null`, `{}`, `{"at":x}`, `{"at":1`, `[1]`, `{"at":99999999999999,"key":7}`} {
		start(0, "", odd)
	}
	c.take(journal.Record{Kind: journal.KindDone, Data: json.RawMessage(`{"at":99999999999999,"key":"A","model":"m"}`)})
	if len(c.lanes) != 2 {
		t.Fatalf("%v", c.lanes)
	}
	for key, want := range map[string]struct {
		costs map[string]float64
		day   int
		since time.Duration
	}{
		"A": {map[string]float64{limitRequests: 1, limitRequestsDay: 0, limitTokens: 300, limitInput: 50, limitOutput: 100, budgetTokens: 0}, 6, 2 * time.Hour},
		"B": {map[string]float64{limitRequests: 60, limitRequestsDay: 0, limitTokens: 1000, limitInput: 50, limitOutput: 2000, budgetTokens: 0}, 100, 0},
	} {
		u := c.lanes[laneID{key, "m"}]
		got := make(map[string]float64)
		for _, cost := range c.costs(m, u) {
			got[cost.Limit] = math.Round(cost.Tokens*1000) / 1000
		}
		if !maps.Equal(got, want.costs) || len(u.day) != want.day || u.day[0] != c.now.Add(-want.since).UnixMilli() {
			t.Errorf("%s: %v, %v in a day; want %v", key, got, u.day, want)
		}
	}
}

// Records of attempts at once may be in another order than they were sent in: that makes them no cheaper.
func TestCarryDisorder(t *testing.T) {
	s := settings{rpm: 60, burst: 10}
	m := newMeter(&s)
	cost := func(ago ...time.Duration) float64 {
		c := newCarry(&s)
		c.now = c.now.Truncate(time.Millisecond) // as the records are
		for _, d := range ago {
			data, _ := json.Marshal(sent{At: c.now.Add(-d).UnixMilli(), Model: "m"})
			c.take(journal.Record{Kind: journal.KindStart, Data: data})
		}
		return c.costs(m, c.lanes[laneID{"", "m"}])[0].Tokens
	}
	alternating := slices.Repeat([]time.Duration{2 * time.Second, time.Second}, 10)
	sorted := slices.SortedFunc(slices.Values(alternating), func(a, b time.Duration) int { return cmp.Compare(b, a) })
	if got, want := cost(alternating...), cost(sorted...); math.Abs(got-want) > 1e-9 {
		t.Errorf("%v out of order, %v in order", got, want)
	}
}

// What waits for the requests of earlier runs to become a day old is told.
func TestWaitsForDay(t *testing.T) {
	r := newRun(t, "http://nobody/v1", 4)
	r.bubble(t, http.NotFoundHandler, func(open func([]string) *batch) {
		j, err := journal.Open(r.out+".journal", journal.Options{})
		if err != nil {
			t.Fatal(err)
		}
		data, _ := json.Marshal(sent{At: time.Now().Add(-time.Hour).UnixMilli(), Key: keyEnv, Model: "fake-mini"})
		if err := errors.Join(j.Start(0, 0, data), j.Start(1, 0, data), j.Close()); err != nil {
			t.Fatal(err)
		}
		b := open(r.args("-rpd", "2", "-run-deadline", "2m"))
		told := make(chan report, 1)
		time.AfterFunc(time.Minute, func() { told <- b.report() })
		if code := b.answerAll(nil); code != exitPaused {
			t.Errorf("exit code %d\n%s", code, r.stderr)
		}
		during, after := <-told, b.report()
		if news := b.doing(during); during.Queued != 4 || !strings.Contains(news, "4 wait for requests-day") {
			t.Errorf("%d are queued: %s", during.Queued, news)
		}
		if after.Queued != 0 || len(after.WaitsFor) > 0 {
			t.Errorf("at the end, %d are queued: %v", after.Queued, after.WaitsFor)
		}
	})
}

// What is left of a day grows as the requests of earlier runs become a day old.
func TestAllowance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now().UnixMilli()
		a := &allowance{most: 4, before: []int64{began - 23*time.Hour.Milliseconds(), began - 23*time.Hour.Milliseconds(), began}}
		for n, want := range []bool{true, false} {
			if got := a.take(); got != want {
				t.Errorf("%d: %v", n, got)
			}
		}
		time.Sleep(time.Hour)
		if n := a.left(); n != 0 {
			t.Errorf("%d are left when two of them are just a day old", n)
		}
		time.Sleep(time.Nanosecond)
		if n := a.left(); n != 2 {
			t.Errorf("%d are left", n)
		}
		time.Sleep(23 * time.Hour)
		if n := a.left(); n != math.MaxInt || !a.take() {
			t.Errorf("%d are left", n)
		}
		if none := (*allowance)(nil); none.left() != math.MaxInt || !none.take() {
			t.Error("none")
		}
	})
}
