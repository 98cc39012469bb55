package fakellm

import (
	"slices"
	"time"
)

// Fault is a way in which a request can fail, by its name, as the ledger and the flags have it.
type Fault string

// Transient faults: the next attempt may succeed. Those after whose answer the client has nothing although the model has
// run (ResetMid, EOFMid, Short, Stall, Empty) are billed.
const (
	Status408 Fault = "408" // a timeout at the server
	Status409 Fault = "409" // a conflict
	Status500 Fault = "500"
	Status502 Fault = "502" // a proxy's page in HTML
	Status503 Fault = "503"
	Status504 Fault = "504"
	Status529 Fault = "529" // Anthropic's word for overloaded

	Throttle429     Fault = "429"         // without a hint
	ThrottleSeconds Fault = "429-seconds" // Retry-After in whole seconds
	ThrottleFloat   Fault = "429-float"   // Retry-After in seconds with a fraction
	ThrottleMillis  Fault = "429-ms"      // Retry-After-Ms
	ThrottleDate    Fault = "429-date"    // Retry-After as a date
	SlowDown        Fault = "slow-down"   // 503 with the code slow_down

	Reset      Fault = "reset"        // a TCP reset in place of an answer
	EOF        Fault = "eof"          // the connection is closed in place of an answer
	ResetMid   Fault = "reset-mid"    // a TCP reset when half of the answer is there
	EOFMid     Fault = "eof-mid"      // the connection is closed when half of the answer is there
	Short      Fault = "short"        // half of an answer, as if it were the whole
	Stall      Fault = "stall"        // an answer that trickles, a byte at a time, and never ends
	Empty      Fault = "empty"        // 200 without a body
	ErrorIn200 Fault = "error-in-200" // 200, and an error in its body
)

// Fatal faults: no attempt with the same request will succeed.
const (
	BadRequest   Fault = "400"
	BadKey       Fault = "401"
	NoMoney      Fault = "402"
	Forbidden    Fault = "403"
	NotFound     Fault = "404"
	TooLarge     Fault = "413"
	Unacceptable Fault = "422"
	NoQuota      Fault = "no-quota" // 429 with the code insufficient_quota; Anthropic's is a 400
	TooLong      Fault = "too-long" // 400 with the code context_length_exceeded
	Filtered     Fault = "filter"   // 400 with the code content_filter
	Withheld     Fault = "withheld" // 200, whose content a filter has taken away; billed
)

// wire is how a fault is sent.
type wire uint8

const (
	asError wire = iota // a status and the body of an error
	asPage              // a status and a page of HTML
	asReset
	asEOF
	asResetMid
	asEOFMid
	asShort
	asStall
	asEmpty
	asErrorIn200
	asWithheld
)

// hint is how the wait of a throttle is told.
type hint uint8

const (
	noHint hint = iota
	inSeconds
	inFloat
	inMillis
	asDate
)

// nature is all there is to know of a fault.
type nature struct {
	transient bool
	billed    bool
	wire      wire
	hint      hint
	status    int
	problem   problem
}

func transient(status int, kind, code, message string) nature {
	return nature{transient: true, status: status, problem: newProblem(kind, code, message)}
}

func fatal(status int, kind, code, message string) nature {
	return nature{status: status, problem: newProblem(kind, code, message)}
}

func severed(how wire, billed bool) nature { return nature{transient: true, wire: how, billed: billed} }

func throttled(how hint) nature {
	n := transient(429, "requests", "rate_limit_exceeded", "Rate limit reached for requests.")
	n.hint = how
	return n
}

// natures is the table of faults.
var natures = map[Fault]nature{
	Status408: transient(408, "server_error", "timeout", "The request took too long."),
	Status409: transient(409, "conflict_error", "conflict", "The request conflicts with another."),
	Status500: transient(500, "server_error", "", serverError.Message),
	Status502: {transient: true, status: 502, wire: asPage},
	Status503: transient(503, "server_error", "engine_overloaded", overloaded.Message),
	Status504: transient(504, "server_error", "gateway_timeout", "The upstream server did not answer in time."),
	Status529: transient(529, "overloaded_error", "overloaded_error", "Overloaded"),

	Throttle429: throttled(noHint), ThrottleSeconds: throttled(inSeconds), ThrottleFloat: throttled(inFloat),
	ThrottleMillis: throttled(inMillis), ThrottleDate: throttled(asDate),
	SlowDown: transient(503, "server_error", "slow_down", "Your rate has grown too fast. Slow down."),

	Reset: severed(asReset, false), EOF: severed(asEOF, false), ResetMid: severed(asResetMid, true), EOFMid: severed(asEOFMid, true),
	Short: severed(asShort, true), Stall: severed(asStall, true), Empty: severed(asEmpty, true),
	ErrorIn200: {transient: true, status: 200, wire: asErrorIn200, problem: serverError},

	BadRequest:   fatal(400, "invalid_request_error", "invalid_value", "This value is not allowed."),
	BadKey:       fatal(401, "invalid_request_error", "invalid_api_key", wrongKey.Message),
	NoMoney:      fatal(402, "billing_error", "payment_required", "Insufficient credits."),
	Forbidden:    fatal(403, "permission_error", "permission_denied", "This key has no permission to use the model."),
	NotFound:     fatal(404, "invalid_request_error", "model_not_found", "The model does not exist."),
	TooLarge:     fatal(413, "invalid_request_error", "request_too_large", "The request is too large."),
	Unacceptable: fatal(422, "invalid_request_error", "unprocessable_entity", "The request cannot be processed."),
	NoQuota: fatal(429, "insufficient_quota", "insufficient_quota",
		"You exceeded your current quota, please check your plan and billing details."),
	TooLong: fatal(400, "invalid_request_error", "context_length_exceeded",
		"This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens."),
	Filtered: fatal(400, "invalid_request_error", "content_filter", "The prompt triggered the content management policy."),
	Withheld: {status: 200, wire: asWithheld, billed: true},
}

// Transients returns all transient faults, in a fixed order.
func Transients() []Fault { return faultsThat(true) }

// Fatals returns all fatal faults, in a fixed order.
func Fatals() []Fault { return faultsThat(false) }

func faultsThat(transient bool) []Fault {
	var all []Fault
	for f, n := range natures {
		if n.transient == transient {
			all = append(all, f)
		}
	}
	slices.Sort(all)
	return all
}

// Status returns the status of the answer; 0 where there is none.
func (f Fault) Status() int {
	n, ok := natures[f]
	switch {
	case !ok || n.wire == asReset || n.wire == asEOF:
		return 0
	case n.status == 0:
		return 200
	}
	return n.status
}

// Transient reports whether another attempt may succeed.
func (f Fault) Transient() bool { return natures[f].transient }

// Billed reports whether a request that meets it is charged: the model had run, and the client has no answer to show for it, or, of
// Withheld, none of use.
func (f Fault) Billed() bool { return natures[f].billed }

// Faults is a schedule of transient faults.
type Faults struct {
	// Share is the fraction of admitted requests that meet a fault, in [0, 1). They take from the limits like all others.
	Share float64
	// Kinds are the faults, each as often as the others, in an order that the seed selects. Defaults to Transients().
	Kinds []Fault
	// PerPrompt is how many faults a prompt meets at most. Defaults to 2.
	PerPrompt int
}

// Rule makes what it fits fail when it has been admitted: before any schedule, and at each attempt.
type Rule struct {
	Model  string // the model's name; empty fits every model
	Prompt string // is contained in the prompt; empty fits every prompt
	Fault  Fault
	Times  int // of each prompt, at most; 0 is every time
}

// Phase is what is different from At on, until the next phase begins.
type Phase struct {
	At    time.Duration // from the arrival of the first request
	Down  bool          // everything gets 503, as in an outage
	Speed float64       // factor of the rate of all limits, 1e-3 to 1e3; 0 is 1
	Fault Fault         // what each admitted request meets; empty is none
}
