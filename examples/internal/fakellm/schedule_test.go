package fakellm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// attempt is one admitted request of a simulated client.
type attempt struct {
	prompt  int
	outcome outcome
}

// orders are clients that send prompts until each has succeeded; they differ in where a failed one goes: its new place
// in a queue of n.
var orders = []struct {
	name  string
	again func(rng *rand.Rand, n int) int
}{
	{"at once", func(*rand.Rand, int) int { return 0 }},
	{"after some others", func(rng *rand.Rand, n int) int { return min(n, rng.IntN(64)) }},
	{"anywhere", func(rng *rand.Rand, n int) int { return rng.IntN(n + 1) }},
	{"at the end", func(_ *rand.Rand, n int) int { return n }},
}

// drive runs such a client against a schedule.
func drive(fraction float64, seed uint64, prompts int, again func(*rand.Rand, int) int) []attempt {
	s := newSchedule(fraction, seed)
	rng := rand.New(rand.NewPCG(seed, 99))
	records := make([]prompt, prompts)
	queue := rng.Perm(prompts)
	var log []attempt
	for len(queue) > 0 {
		p := queue[0]
		queue = queue[1:]
		o := s.next(&records[p])
		log = append(log, attempt{p, o})
		if o != completed {
			queue = slices.Insert(queue, again(rng, len(queue)), p)
		}
	}
	return log
}

func TestScheduleKeepsItsCaps(t *testing.T) {
	for _, order := range orders {
		for _, fraction := range []float64{0.001, 0.1, 0.3, 0.6, 0.99} {
			for seed := range uint64(60) {
				log := drive(fraction, seed, 200, order.again)
				if fault := broken(log); fault != "" {
					t.Fatalf("%s, Fail %v, seed %d: %s", order.name, fraction, seed, fault)
				}
			}
		}
	}
}

// broken returns which cap a log breaks, found without the schedule's own counts; "" is none.
func broken(log []attempt) string {
	failures, resets, run := map[int]int{}, map[int]int{}, 0
	for i, a := range log {
		if a.outcome == completed {
			run = 0
			continue
		}
		run++
		failures[a.prompt]++
		if a.outcome == failedReset {
			resets[a.prompt]++
		}
		switch {
		case run >= 5:
			return fmt.Sprintf("request %d is the fifth failure in a row", i)
		case failures[a.prompt] > 3:
			return fmt.Sprintf("prompt %d failed a fourth time", a.prompt)
		case resets[a.prompt] > 2:
			return fmt.Sprintf("prompt %d was reset a third time", a.prompt)
		}
	}
	return ""
}

// The fraction holds over a whole run of 1,319 prompts, the size of the set that the batch client is tried on.
func TestScheduleKeepsItsFraction(t *testing.T) {
	for _, order := range orders {
		for _, fraction := range []float64{0.01, 0.05, 0.1, 0.2, 0.3} {
			worst := 0.0
			for seed := range uint64(60) {
				failed := 0
				log := drive(fraction, seed, 1319, order.again)
				for _, a := range log {
					if a.outcome != completed {
						failed++
					}
				}
				worst = max(worst, math.Abs(float64(failed)/float64(len(log))-fraction))
			}
			if worst > 0.01 {
				t.Errorf("%s, Fail %v: strays by %.4f", order.name, fraction, worst)
			}
		}
	}
}

// A failure that this prompt may not have goes to the next that may.
func TestScheduleMovesWhatItOwes(t *testing.T) {
	s := newSchedule(0.5, 3)
	spent, fresh := &prompt{failures: maxFailures}, &prompt{}
	for range 40 {
		if s.next(spent) != completed {
			t.Fatal("a prompt failed beyond its cap")
		}
	}
	if s.owed < 19 || s.owed > 21 {
		t.Fatalf("owed %d after 40 requests at one half", s.owed)
	}
	for i := range maxFailures {
		if s.next(fresh) == completed {
			t.Errorf("request %d of a fresh prompt succeeded with %d failures owed", i, s.owed)
		}
	}
}

func TestScheduleUsesEveryKind(t *testing.T) {
	kinds := map[outcome]int{}
	for _, a := range drive(0.1, 1, 3000, orders[1].again) {
		kinds[a.outcome]++
	}
	for _, kind := range []outcome{failed500, failed503, failedReset} {
		if kinds[kind] < 80 { // a third of about 333
			t.Errorf("outcome %d: %d times", kind, kinds[kind])
		}
	}
}

func TestScheduleIsItsSeeds(t *testing.T) {
	one, again, other := drive(0.1, 7, 500, orders[2].again), drive(0.1, 7, 500, orders[2].again), drive(0.1, 8, 500, orders[2].again)
	if !slices.Equal(one, again) {
		t.Error("the same seed gave two schedules")
	}
	if slices.Equal(one, other) {
		t.Error("two seeds gave the same schedule")
	}
}

func TestShare(t *testing.T) {
	for _, fraction := range []float64{0, 0.001, 0.05, 0.123, 0.5, 0.999} {
		for seed := range uint64(50) {
			s := newShare(fraction, stream(seed, streamSlow))
			picked := 0
			for n := 1; n <= 20_000; n++ {
				if s.next() {
					picked++
				}
				if off := math.Abs(float64(picked) - fraction*float64(n)); off > block {
					t.Fatalf("%v, seed %d: %d of %d picked", fraction, seed, picked, n)
				}
			}
			if off := math.Abs(float64(picked) - fraction*20_000); off > 1 {
				t.Errorf("%v, seed %d: %d picked in the long run", fraction, seed, picked)
			}
		}
	}
}
