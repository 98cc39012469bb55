// Package fakellm is a hostile LLM API for one process, OpenAI's and Anthropic's in one: it limits, throttles without cause,
// fails in most of the ways that such APIs do, resets connections, is slow, has an outage, and keeps an exact bill that a client's own
// claims can be held against.
//
//	api, err := fakellm.New(fakellm.Config{Rate: 20, Fail: 0.1, Throttle: 0.02, Seed: 1})
//	if err != nil { … }
//	if err := api.Start("127.0.0.1:0"); err != nil { … }
//	defer api.Shutdown(ctx)
//	… send prompts to api.BaseURL() …
//	bill := api.Ledger()
//
// # Endpoints
//
//	POST /v1/chat/completions   a completion
//	POST /v1/responses          a response
//	POST /v1/embeddings         vectors
//	POST /v1/messages           a message, as Anthropic has it
//	GET  /_ledger               the bill: a Ledger as JSON
//	GET  /healthz               200 while the process lives; an outage does not touch it
//
// Azure's paths, /openai/deployments/NAME/chat/completions and /embeddings, are those of a model NAME. All but embeddings are
// streamed where the request says so, with the usage at the end (of chat completions, if stream_options ask for it).
//
// What is posted is counted, and judged in this order: outage (503), unreadable body (400, 413), key (401), malformed request
// (400), limits (429), arbitrary throttle (429), and only then is the request admitted, and answered or made to fail: by an
// account that is empty, by a phase, by a rule, or by one of the two schedules, Fail and Faults. Everything before admission is refused at once;
// everything after it takes the latency of an answer, and has taken from the limits.
//
// A limit of tokens takes at admission what the answer is going to be billed, which this server knows. How limits and errors
// are told is a matter of the Dialect, of which the endpoint has one of its own.
//
// # Determinism
//
// Config.Seed decides, by the order in which requests arrive, which of them are throttled, fail and how, or are slow,
// and how long each takes. The body of an answer is a function of the request alone, `id` and `created` included, so that two
// runs over the same prompts can be compared byte by byte. What differs per request is the header x-request-id.
//
// # Concurrency
//
// All methods of Server may be called from any goroutine. One mutex guards every decision and every count; it is not
// held while a body is read or hashed, while an answer waits, or while bytes are written.
//
// # Errors
//
// New and Config.Validate return joined *FieldError, all matching ErrConfig. Start returns ErrStarted, ErrStopped, or
// the listener's error. HTTP errors have the body of the dialect, OpenAI's in the main: {"error":{"message","type","param","code"}}.
//
// # Cost
//
// Memory grows by about 150 bytes for each distinct prompt, by at most 64 bytes for each request of the busiest 60 seconds, and
// by 16 for each that a sliding window remembers. Ledger looks at every prompt. A request under judgement holds its body, at most Config.MaxBody.
package fakellm
