// Package fakellm is a hostile, OpenAI-compatible chat API for one process: it limits, throttles without cause, fails,
// resets connections, is slow, has an outage, and keeps an exact bill that a client's own claims can be held against.
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
//	POST /v1/chat/completions   a completion, not streamed; or one of the refusals and failures of Config
//	GET  /_ledger               the bill: a Ledger as JSON
//	GET  /healthz               200 while the process lives; an outage does not touch it
//
// Only POST /v1/chat/completions is counted. It judges a request in this order: outage (503), unreadable body (400,
// 413), key (401), malformed request (400), token bucket (429), arbitrary throttle (429), and only then is the
// request admitted, and answered or made to fail. Everything before admission is refused at once; everything
// after it takes the latency of an answer.
//
// # Determinism
//
// Config.Seed decides, by the order in which requests arrive, which of them are throttled, fail, or are slow, and how
// long each takes. The body of an answer is a function of the request alone, `id` and `created` included, so that two
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
// the listener's error. HTTP errors have OpenAI's body: {"error":{"message","type","param","code"}}.
//
// # Cost
//
// Memory grows by about 100 bytes for each distinct prompt, and by at most 64 bytes for each request of the busiest
// 60 seconds. A request under judgement holds its body, at most Config.MaxBody.
package fakellm
