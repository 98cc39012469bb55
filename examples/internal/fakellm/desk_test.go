package fakellm

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"testing"
	"time"
)

// at is a desk whose calls are written as a timeline.
type at struct {
	*testing.T
	*desk
}

func opened(t *testing.T, cfg Config) at {
	t.Helper()
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	return at{t, newDesk(cfg.withDefaults(), time.Unix(0, 0))}
}

// decide judges a request of which no more matters than its prompt.
func (d at) decide(now time.Duration, key promptKey, fault outcome) verdict {
	return d.desk.decide(now, demand{fault: fault, key: key})
}

// ask is one request, well formed, that arrives and is judged at now; an admitted one is finished at once.
func (d at) ask(now time.Duration, name byte) verdict {
	d.Helper()
	d.arrive(now)
	v := d.decide(now, promptKey{name}, completed)
	switch v.outcome {
	case completed, failed500, failed503, failedReset:
		d.finish(v, usage{Prompt: 10, Completion: 3}, false)
	}
	d.balanced()
	return v
}

// balanced checks what must hold of every ledger.
func (d at) balanced() {
	d.Helper()
	l := d.book.ledger()
	prompts, answers := 0, 0
	for n, count := range l.CompletedPerPrompt {
		prompts, answers = prompts+count, answers+n*count
	}
	if l.Received != l.Settled()+l.InFlight || prompts != l.Prompts || answers != l.Completed {
		d.Fatalf("out of balance: %+v", l)
	}
}

func TestDeskThrottlesByRate(t *testing.T) {
	d := opened(t, Config{Rate: 0.1, Burst: 2})
	if v := d.ask(0, 1); v.outcome != completed || v.limits != (limits{true, 2, 1, 10 * time.Second}) {
		t.Errorf("first: %+v", v)
	}
	d.ask(time.Second, 2)
	v := d.ask(2*time.Second, 3)
	if v.outcome != throttledRate || v.retryAfter != 8*time.Second || v.limits.remaining != 0 {
		t.Errorf("over the bucket: %+v", v)
	}
	if v := d.ask(10*time.Second-1, 3); v.outcome != throttledRate || v.retryAfter != 1 {
		t.Errorf("a nanosecond early: %+v", v)
	}
	if v := d.ask(10*time.Second, 3); v.outcome != completed {
		t.Errorf("after the wait it was told: %+v", v)
	}
	l := d.book.ledger()
	if l.Received != 5 || l.Admitted != 3 || l.Completed != 3 || l.ThrottledRate != 2 || l.Prompts != 3 || l.Elapsed != 10 {
		t.Errorf("%+v", l)
	}
}

func TestDeskThrottlesWithoutCause(t *testing.T) {
	d := opened(t, Config{Rate: 1000, Burst: 1000, Throttle: 0.25, RetryAfter: 7 * time.Second, Seed: 2})
	refused := 0
	for i := range 400 {
		before := d.bucket.credit
		v := d.ask(0, byte(i))
		if v.outcome == throttledArbitrary {
			refused++
			if v.retryAfter != 7*time.Second || d.bucket.credit != before {
				t.Fatalf("%+v, bucket %d then %d", v, before, d.bucket.credit)
			}
		}
	}
	if l := d.book.ledger(); refused < 99 || refused > 101 || l.ThrottledArbitrary != refused || l.Admitted != 400-refused {
		t.Errorf("%d of 400 refused; %+v", refused, l)
	}
}

func TestDeskOutage(t *testing.T) {
	d := opened(t, Config{OutageAt: 10 * time.Second, OutageFor: 5 * time.Second, Fail: 0.5, Rate: 1, Burst: 5})
	const start = time.Hour // counted from the first arrival, not from the server's start
	d.ask(start, 1)
	d.ask(start+10*time.Second-1, 1)
	for _, after := range []time.Duration{10 * time.Second, 12 * time.Second, 15*time.Second - 1} {
		credit := d.bucket.credit
		if v := d.ask(start+after, 9); v.outcome != outage || d.bucket.credit < credit {
			t.Errorf("%v after the first request: %+v", after, v)
		}
	}
	if p := d.book.prompts[promptKey{9}]; p.failures != 0 {
		t.Errorf("the outage used up %d of the prompt's failures", p.failures)
	}
	d.arrive(start + 14*time.Second)
	if v := d.decide(start+15*time.Second-1, promptKey{}, unauthorized); v.outcome != outage {
		t.Errorf("a wrong key during the outage: %+v", v)
	}
	if v := d.ask(start+15*time.Second, 9); v.outcome == outage {
		t.Error("the outage did not end")
	}
	l := d.book.ledger()
	if l.Outage != 4 || l.OutageFirst != 10 || math.Abs(l.OutageLast-15) > 1e-6 || l.Failed503 > 3 || l.Admitted != 3 {
		t.Errorf("%+v", l)
	}
}

func TestDeskWithoutOutage(t *testing.T) {
	d := opened(t, Config{})
	if v := d.ask(0, 1); v.outcome != completed {
		t.Errorf("%+v", v)
	}
}

func TestDeskFailuresAreUnbilled(t *testing.T) {
	d := opened(t, Config{Fail: 0.5, Seed: 4})
	failed := 0
	for i := range 200 {
		if v := d.ask(0, byte(i)); v.outcome != completed {
			failed++
		}
	}
	l := d.book.ledger()
	if l.Failed() != failed || l.Failed500*l.Failed503*l.FailedReset == 0 || l.Completed != 200-failed {
		t.Errorf("%d failed; %+v", failed, l)
	}
	if l.PromptTokens != int64(10*l.Completed) || l.CompletionTokens != int64(3*l.Completed) {
		t.Errorf("billed %d + %d tokens for %d answers", l.PromptTokens, l.CompletionTokens, l.Completed)
	}
}

func TestDeskAbandoned(t *testing.T) {
	d := opened(t, Config{})
	d.arrive(0)
	v := d.decide(0, promptKey{1}, completed)
	d.finish(v, usage{Prompt: 10, Completion: 3}, true)
	d.balanced()
	d.ask(1, 1)             // answered after all
	d.ask(2, 1)             // and again
	d.book.unsend(v.prompt) // but the last answer did not leave the house
	d.balanced()
	l := d.book.ledger()
	if l.Abandoned != 2 || l.Completed != 1 || l.PromptTokens != 30 || !maps.Equal(l.CompletedPerPrompt, map[int]int{1: 1}) {
		t.Errorf("%+v", l)
	}
}

// A client that leaves before a scheduled failure does not turn it into something that is billed.
func TestDeskGoneBeforeFailure(t *testing.T) {
	d := opened(t, Config{Fail: 0.999, Seed: 1})
	d.arrive(0)
	v := d.decide(0, promptKey{1}, completed)
	for v.outcome == completed {
		d.finish(v, usage{}, false)
		d.arrive(0)
		v = d.decide(0, promptKey{1}, completed)
	}
	d.finish(v, usage{Prompt: 10, Completion: 3}, true)
	if l := d.book.ledger(); l.Failed() != 1 || l.Abandoned != 0 || l.PromptTokens != 0 {
		t.Errorf("%+v", l)
	}
}

func TestDeskPeaks(t *testing.T) {
	d := opened(t, Config{Rate: 0.5, Burst: 2})
	var waiting []verdict
	for i := range 5 {
		d.arrive(time.Duration(i))
		if v := d.decide(time.Duration(i), promptKey{byte(i)}, completed); v.outcome == completed {
			waiting = append(waiting, v)
		}
	}
	for _, v := range waiting {
		d.finish(v, usage{}, false)
	}
	d.ask(30*time.Second, 1)
	d.ask(2*time.Minute, 1)
	l := d.book.ledger()
	if l.PeakConcurrent != 3 || l.PeakReceived60s != 6 || l.PeakAdmitted60s != 3 || l.InFlight != 0 {
		t.Errorf("%+v", l)
	}
}

func TestDeskCountsPromptsOnce(t *testing.T) {
	d := opened(t, Config{Rate: 1, Burst: 3})
	for _, name := range []byte{1, 1, 2, 3} { // the last one is refused and was seen all the same
		d.ask(0, name)
	}
	d.arrive(0)
	d.decide(0, promptKey{4}, rejected) // malformed: it has no prompt
	l := d.book.ledger()
	if l.Prompts != 3 || l.Rejected != 1 || !maps.Equal(l.CompletedPerPrompt, map[int]int{0: 1, 1: 1, 2: 1}) {
		t.Errorf("%+v", l)
	}
}

func TestDeskPace(t *testing.T) {
	cfg := Config{Latency: Range{50 * time.Millisecond, 300 * time.Millisecond}, Slow: 0.1, SlowLatency: 5 * time.Second, Fail: 0.2}
	d := opened(t, cfg)
	var quick []time.Duration
	slow := 0
	for i := range 1000 {
		w := d.ask(0, byte(i)).wait
		if w >= cfg.SlowLatency {
			slow++
			w -= cfg.SlowLatency
		}
		quick = append(quick, w)
	}
	slices.Sort(quick)
	if quick[0] < 50*time.Millisecond || quick[0] > 55*time.Millisecond || quick[999] > 300*time.Millisecond || quick[999] < 295*time.Millisecond {
		t.Errorf("from %v to %v", quick[0], quick[999])
	}
	if mid := quick[500]; mid < 150*time.Millisecond || mid > 200*time.Millisecond {
		t.Errorf("median %v", mid)
	}
	if slow < 99 || slow > 101 {
		t.Errorf("%d of 1000 slow", slow)
	}
}

// The same calls give the same verdicts, whatever the clock of the machine does.
func TestDeskIsDeterministic(t *testing.T) {
	run := func() []byte {
		d := opened(t, Config{Rate: 5, Throttle: 0.1, Fail: 0.2, Slow: 0.1, Latency: Range{1, 1e9}, Seed: 11})
		var log []any
		for i := range 500 {
			v := d.ask(time.Duration(i)*150*time.Millisecond, byte(i%50))
			log = append(log, v.outcome, v.wait, v.retryAfter)
		}
		data, err := json.Marshal([]any{log, d.book.ledger()})
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	if !slices.Equal(run(), run()) {
		t.Error("two runs differ")
	}
}

// A snapshot does not move with the book.
func TestLedgerIsACopy(t *testing.T) {
	d := opened(t, Config{})
	d.ask(0, 1)
	l := d.book.ledger()
	d.ask(0, 1)
	if !maps.Equal(l.CompletedPerPrompt, map[int]int{1: 1}) || l.Received != 1 {
		t.Errorf("%+v", l)
	}
}
