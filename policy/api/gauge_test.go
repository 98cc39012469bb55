package api_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/policy/api"
)

const second = policy.Time(time.Second)

// minuteOf60 is what the headers of a bucket of 60 a minute say when so many are left.
func minuteOf60(left float64) api.Observation {
	return api.Observation{Limit: "requests", Max: 60, Remaining: left, Reset: time.Duration(60-left) * time.Second, Span: time.Minute}
}

// S-L7: what an answer says is as of when its request was sent, and what was sent since comes off.
func TestGauge(t *testing.T) {
	var g api.Gauge
	first := g.Send(0, 1)
	second1 := g.Send(1*second, 1)
	third := g.Send(2*second, 1)

	got, ok := g.Hear(4*second, second1, minuteOf60(10))
	// Two seconds' worth have come in since it was sent... three, at one a second; and one request more has gone out.
	if want := (api.Level{Left: 10 + 3 - 1, Known: true, Rate: policy.PerMinute(60)}); !ok || got != want {
		t.Errorf("got %+v, %v, want %+v", got, ok, want)
	}
	if got, ok := g.Hear(4*second, first, minuteOf60(50)); ok {
		t.Errorf("an answer that was overtaken is believed: %+v", got)
	}
	if got, ok := g.Hear(4*second, second1, minuteOf60(50)); ok {
		t.Errorf("an answer is heard twice: %+v", got)
	}
	if got, ok := g.Hear(4*second, third, minuteOf60(9)); !ok || got.Left != 9+2 {
		t.Errorf("got %+v, %v", got, ok)
	}
	var other api.Gauge
	if got, ok := other.Hear(4*second, third, minuteOf60(9)); ok {
		t.Errorf("an answer to somebody else's request is believed: %+v", got)
	}
}

func TestGaugeKnowsNoMore(t *testing.T) {
	unknown := minuteOf60(api.Unknown)
	noRate := api.Observation{Max: 60, Remaining: 7, Reset: policy.NoHint}
	window := api.Observation{Max: 60, Remaining: 7, Reset: 5 * time.Second, Window: true}
	for _, test := range []struct {
		name string
		o    api.Observation
		at   policy.Time
		want api.Level
	}{
		{"not said", unknown, second, api.Level{Rate: policy.PerMinute(60)}},
		{"the rate is not clear: nothing has come in, as far as we know", noRate, 9 * second, api.Level{Left: 7, Known: true}},
		{"more than it holds has come in", minuteOf60(50), 60 * second, api.Level{Left: 60, Known: true, Rate: policy.PerMinute(60)}},
		{"a window", window, 4 * second, api.Level{Left: 7, Known: true}},
		{"a window that is over", window, 5 * second, api.Level{}},
	} {
		var g api.Gauge
		sent := g.Send(0, 1)
		if got, ok := g.Hear(test.at, sent, test.o); !ok || got != test.want {
			t.Errorf("%s: got %+v, %v, want %+v", test.name, got, ok, test.want)
		}
	}
	// A rate, once learnt, is kept.
	var g api.Gauge
	a, b := g.Send(0, 1), g.Send(0, 1)
	g.Hear(second, a, minuteOf60(30))
	if got, ok := g.Hear(2*second, b, noRate); !ok || got != (api.Level{Left: 9, Known: true, Rate: policy.PerMinute(60)}) {
		t.Errorf("got %+v, %v", got, ok)
	}
	// More has been sent since than was left: not less than nothing.
	a = g.Send(3*second, 5)
	g.Send(3*second, 500)
	if got, _ := g.Hear(3*second, a, noRate); got.Left != 0 || !got.Known {
		t.Errorf("got %+v", got)
	}
	// What costs less than nothing costs nothing.
	a = g.Send(4*second, 1)
	g.Send(4*second, -5)
	if got, _ := g.Hear(4*second, a, noRate); got.Left != 7 {
		t.Errorf("got %+v", got)
	}
}

// What a gauge says is never less than what the server has, in whatever order answers come, and not more than that and what
// comes in while a request is on its way. The server is a bucket, of which an independent model is kept here.
func TestGaugeAgainstServer(t *testing.T) {
	const seed = 7
	random := rand.New(rand.NewPCG(seed, 1))
	const rate, most, away, slowest = 5.0, 100.0, 0.5, 3.0 // a second; tokens; seconds there, and back at the most
	type flight struct {
		sent      api.Sent
		cost      float64
		there, at float64 // when it gets to the server, and when the answer comes back
		left      float64 // what the server says; negative until it has got there
	}
	var (
		g                 api.Gauge
		level, counted    = most, 0.0 // of the server, and as of when
		now               = 0.0
		under             []flight
		checked, overtook int
	)
	advance := func(to float64) { level, counted = min(most, level+(to-counted)*rate), to }
	for step := range 20_000 {
		now = float64(step) / 20
		onTheWay := 0.0
		for i := range under {
			if f := &under[i]; f.left < 0 && f.there <= now {
				advance(f.there)
				level -= f.cost
				f.left = level
			} else if f.left < 0 {
				onTheWay += f.cost
			}
		}
		advance(now)
		under = slices.DeleteFunc(under, func(f flight) bool {
			if f.at > now {
				return false
			}
			o := api.Observation{Limit: "tokens", Max: most, Remaining: f.left, Span: 20 * time.Second, Reset: policy.NoHint}
			l, ok := g.Hear(policy.Time(now*1e9), f.sent, o)
			if !ok {
				overtook++
				return true
			}
			checked++
			truth := level - onTheWay
			if l.Left < min(most, truth)-0.001 || l.Left > truth+away*rate+0.001 {
				t.Errorf("seed %d: at %.3f s it says %.3f, the server has %.3f", seed, now, l.Left, truth)
			}
			return true
		})
		if cost := float64(1 + random.IntN(8)); level-onTheWay > cost+1 && random.IntN(8) == 0 {
			back := now + away + random.Float64()*slowest
			under = append(under, flight{sent: g.Send(policy.Time(now*1e9), cost), cost: cost, there: now + away, at: back, left: -1})
		}
	}
	if checked < 500 || overtook < 100 {
		t.Errorf("%d answers looked at, %d were overtaken: this shows little", checked, overtook)
	}
}

// Several answers tell the rate of a small bucket that none of them tells: what is left is rounded, so each is off by up to one.
// It is never believed to be more than a twentieth higher, and in the end it is known within that, or exactly if its span is a
// usual one.
func TestGaugeLearnsTheRateOfASmallBucket(t *testing.T) {
	const seed = 11
	random := rand.New(rand.NewPCG(seed, 1))
	for _, test := range []struct {
		most  float64
		span  time.Duration // of most
		exact bool
	}{{8, 2 * time.Second, false}, {10, time.Second, true}, {10, 7 * time.Second, false}, {500, time.Minute, true}, {20, 10 * time.Second, true}} {
		var g api.Gauge
		truth := policy.Per(test.most, test.span)
		var got api.Level
		for range 300 {
			level := test.most * random.Float64()
			reset := time.Duration((test.most - level) / test.most * float64(test.span)).Round(time.Millisecond)
			// A reset of a Go duration, which is off by less than ten milliseconds: read as a header, so that this is known.
			h := headers("x-ratelimit-limit-requests", fmt.Sprint(test.most), "x-ratelimit-remaining-requests", fmt.Sprint(math.Floor(level)),
				"x-ratelimit-reset-requests", reset.String())
			got, _ = g.Hear(0, g.Send(0, 0), api.Limits(h, time.Time{})[0])
			if over := got.Rate.Over(time.Hour) / truth.Over(time.Hour); over > 1.05 {
				t.Fatalf("seed %d: %v in %v is believed to be %v", seed, test.most, test.span, got.Rate)
			}
		}
		if share := got.Rate.Over(time.Hour) / truth.Over(time.Hour); share < 0.95 || test.exact && got.Rate != truth {
			t.Errorf("seed %d: %v in %v is believed to be %v in the end", seed, test.most, test.span, got.Rate)
		}
	}
}

// A rate that later answers contradict is forgotten, and what they say is believed instead.
func TestGaugeUnlearns(t *testing.T) {
	var g api.Gauge
	hear := func(most, left float64, reset time.Duration) policy.Rate {
		l, _ := g.Hear(0, g.Send(0, 0), api.Observation{Max: most, Remaining: left, Reset: reset})
		return l.Rate
	}
	if got := hear(100, 50, time.Minute/2); got != policy.PerMinute(100) {
		t.Errorf("%v", got)
	}
	if got := hear(100, 98, 5*time.Second); !got.IsZero() { // 250 s at least
		t.Errorf("a rate that cannot be is kept: %v", got)
	}
	if got := hear(100, 50, 5*time.Second); got != policy.Per(100, 10*time.Second) {
		t.Errorf("contradicted by what is clear: %v", got)
	}
	if got := hear(200, 100, time.Minute/2); got != policy.PerMinute(200) {
		t.Errorf("another limit: %v", got)
	}
}
