package fakellm

// Ledger is the API's bill: one consistent cut of what it received and what became of it. Every request received is in
// exactly one of the counts that Settled sums, or in flight: Received == Settled() + InFlight, always. A request is
// counted before the first byte of its answer leaves, so a client that holds an answer finds it here.
type Ledger struct {
	Received           int `json:"received"`            // whatever was posted to an endpoint, refused ones included
	Admitted           int `json:"admitted"`            // passed the bucket and the arbitrary throttle
	Completed          int `json:"completed"`           // answered 200
	ThrottledRate      int `json:"throttled_rate"`      // 429: the bucket had no room
	ThrottledArbitrary int `json:"throttled_arbitrary"` // 429 although it had
	Failed500          int `json:"failed_500"`          // scheduled failures, unbilled
	Failed503          int `json:"failed_503"`          // as above; not those of the outage
	FailedReset        int `json:"failed_reset"`        // as above: the connection was reset
	Faulted            int `json:"faulted"`             // met one of Faults, by schedule, rule or phase
	Outage             int `json:"outage"`              // 503 during the outage
	Abandoned          int `json:"abandoned"`           // billed, but the client had gone: the model had run
	Unauthorized       int `json:"unauthorized"`        // 401: no key or an unknown one
	Rejected           int `json:"rejected"`            // 400 or 413: malformed, too long, or the body broke off
	InFlight           int `json:"in_flight"`           // received and not yet settled

	OutageFirst float64 `json:"outage_first_seconds"` // the first request refused, seconds after the first received
	OutageLast  float64 `json:"outage_last_seconds"`  // the last one; both 0 when Outage is

	Faults map[Fault]int `json:"faults"` // those that were met, by kind; their sum is Faulted

	Billed           int   `json:"billed"`            // answers that were charged: completed, abandoned, and lost by a fault
	PromptTokens     int64 `json:"prompt_tokens"`     // of the answers that were charged
	CompletionTokens int64 `json:"completion_tokens"` // as above

	Prompts            int         `json:"prompts"`              // distinct last user messages in well-formed requests
	CompletedPerPrompt map[int]int `json:"completed_per_prompt"` // number of 200s -> prompts with so many, 0 included
	SendsPerPrompt     map[int]int `json:"sends_per_prompt"`     // number of well-formed requests -> prompts with so many

	PeakConcurrent  int     `json:"peak_concurrent"`   // most requests in flight
	PeakAdmitted60s int     `json:"peak_admitted_60s"` // most admitted in any half-open 60 s
	PeakReceived60s int     `json:"peak_received_60s"` // most received in any half-open 60 s, refused ones included
	Elapsed         float64 `json:"elapsed_seconds"`   // from the first arrival to the last
}

// Failed is the number of scheduled failures of all kinds.
func (l Ledger) Failed() int { return l.Failed500 + l.Failed503 + l.FailedReset }

// Settled is the number of requests whose outcome is decided and counted.
func (l Ledger) Settled() int {
	return l.Completed + l.ThrottledRate + l.ThrottledArbitrary + l.Failed() + l.Faulted + l.Outage + l.Abandoned + l.Unauthorized + l.Rejected
}

// Throttled is the number of answers with status 429, for whatever reason but an empty account.
func (l Ledger) Throttled() int {
	n := l.ThrottledRate + l.ThrottledArbitrary
	for f, count := range l.Faults {
		if f.Transient() && f.Status() == 429 {
			n += count
		}
	}
	return n
}

// Record is what became of the requests for one prompt, all of them well formed.
type Record struct {
	Sends     int // those received
	Throttled int // 429s of the limits, and without cause
	Failed    int // scheduled failures: 500, 503, reset
	Faulted   int // met one of Faults
	Completed int // answered 200
	Billed    int // charged
}
