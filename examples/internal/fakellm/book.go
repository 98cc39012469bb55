package fakellm

import (
	"maps"
	"time"
)

// outcome is what becomes of a request.
type outcome uint8

const (
	completed outcome = iota
	throttledRate
	throttledArbitrary
	failed500
	failed503
	failedReset
	faulted
	outage
	abandoned
	unauthorized
	rejected
	outcomes // how many there are
)

// promptKey is the SHA-256 of a prompt: prompts themselves are not kept.
type promptKey [32]byte

// prompt is what is remembered of one.
type prompt struct {
	answers  uint32 // 200s
	failures uint8  // scheduled ones; at most maxFailures
	resets   uint8  // of those, connection resets; at most maxResets

	sends     uint32      // requests that were well formed
	throttled uint32      // of those, 429s of the limits and without cause
	faults    uint32      // of those, faulted
	dealt     uint32      // of those, by the schedule
	billed    uint32      // answers that were charged
	ruled     map[int]int // faults by rule; nil without a rule that counts
}

// book keeps the counts. It is told the time, which must never go back. Not safe for concurrent use.
type book struct {
	settled  [outcomes]int
	received int
	admitted int
	inFlight int
	working  int // of those, admitted
	peak     int

	first, last             time.Duration // arrivals; meaningless while received is 0
	outageFirst, outageLast time.Duration // meaningless while settled[outage] is 0

	promptTokens, completionTokens int64
	billed                         int           // answers that were charged
	faults                         map[Fault]int // by kind

	prompts   map[promptKey]*prompt
	histogram map[int]int // answers -> prompts; no entry is 0

	arrivals, admissions window
}

func newBook() book {
	return book{prompts: map[promptKey]*prompt{}, histogram: map[int]int{}, faults: map[Fault]int{}}
}

// arrive counts a request before anything is known of it.
func (b *book) arrive(now time.Duration) {
	if b.received == 0 {
		b.first = now
	}
	b.last = now
	b.received++
	b.inFlight++
	b.peak = max(b.peak, b.inFlight)
	b.arrivals.add(now)
}

// admit counts a request that passed every gate.
func (b *book) admit(now time.Duration) {
	b.admitted++
	b.working++
	b.admissions.add(now)
}

// meet counts a request for a prompt, and returns its record, which is made if the prompt is new.
func (b *book) meet(key promptKey) *prompt {
	p := b.prompts[key]
	if p == nil {
		p = &prompt{}
		b.prompts[key] = p
		b.histogram[0]++
	}
	p.sends++
	return p
}

// settle counts the outcome of a request that arrived. Once per arrival.
func (b *book) settle(o outcome) {
	b.inFlight--
	b.settled[o]++
}

// refuseInOutage settles a request that the outage refused at now.
func (b *book) refuseInOutage(now time.Duration) {
	if b.settled[outage] == 0 {
		b.outageFirst = now
	}
	b.outageLast = now
	b.settle(outage)
}

// bill settles an answer to p as completed or abandoned, and charges for it.
func (b *book) bill(o outcome, p *prompt, u usage) {
	b.settle(o)
	b.charge(p, u)
	if o == completed {
		b.count(p, 1)
	}
}

// fault settles a request for p that met a fault, and charges for it if the model had run.
func (b *book) fault(f Fault, p *prompt, u usage) {
	b.settle(faulted)
	b.faults[f]++
	p.faults++
	if natures[f].billed {
		b.charge(p, u)
	}
}

func (b *book) charge(p *prompt, u usage) {
	b.billed++
	p.billed++
	b.promptTokens += int64(u.Prompt)
	b.completionTokens += int64(u.Completion)
}

// unsend corrects an answer billed as completed whose bytes could not be written: it was abandoned after all.
func (b *book) unsend(p *prompt) {
	b.settled[completed]--
	b.settled[abandoned]++
	b.count(p, -1)
}

// count moves p to its new place in the histogram.
func (b *book) count(p *prompt, by int) {
	old := int(p.answers)
	if b.histogram[old]--; b.histogram[old] == 0 {
		delete(b.histogram, old)
	}
	p.answers = uint32(old + by)
	b.histogram[old+by]++
}

// ledger returns a copy that shares nothing with b.
func (b *book) ledger() Ledger {
	l := Ledger{
		Received: b.received, Admitted: b.admitted, InFlight: b.inFlight,
		Completed:     b.settled[completed],
		ThrottledRate: b.settled[throttledRate], ThrottledArbitrary: b.settled[throttledArbitrary],
		Failed500: b.settled[failed500], Failed503: b.settled[failed503], FailedReset: b.settled[failedReset],
		Faulted: b.settled[faulted], Faults: maps.Clone(b.faults), Billed: b.billed, SendsPerPrompt: b.sendsPerPrompt(),
		Outage: b.settled[outage], Abandoned: b.settled[abandoned],
		Unauthorized: b.settled[unauthorized], Rejected: b.settled[rejected],
		PromptTokens: b.promptTokens, CompletionTokens: b.completionTokens,
		Prompts: len(b.prompts), CompletedPerPrompt: maps.Clone(b.histogram),
		PeakConcurrent: b.peak, PeakAdmitted60s: b.admissions.peak, PeakReceived60s: b.arrivals.peak,
		Elapsed: (b.last - b.first).Seconds(),
	}
	if l.Outage > 0 {
		l.OutageFirst, l.OutageLast = (b.outageFirst - b.first).Seconds(), (b.outageLast - b.first).Seconds()
	}
	return l
}

// sendsPerPrompt counts the prompts that were sent equally often.
func (b *book) sendsPerPrompt() map[int]int {
	sends := map[int]int{}
	for _, p := range b.prompts {
		sends[int(p.sends)]++
	}
	return sends
}

// record is what is known of one prompt.
func (b *book) record(key promptKey) Record {
	p := b.prompts[key]
	if p == nil {
		return Record{}
	}
	return Record{
		Sends: int(p.sends), Throttled: int(p.throttled), Failed: int(p.failures), Faulted: int(p.faults),
		Completed: int(p.answers), Billed: int(p.billed),
	}
}
