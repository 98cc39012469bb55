// Package transport makes any HTTP client well behaved, by changing one field: its requests become jobs of a dispatcher, which
// keeps limits, waits as servers ask, retries, and opens circuits, for all of them at once.
//
//	d, err := dispatcher.New(dispatcher.Config{
//		Limits: []policy.Limit{{Name: "requests", Rate: policy.PerMinute(500), Burst: 10}},
//		Retry:  policy.Retry{MaxAttempts: 5},
//	})
//	…
//	t, err := transport.New(d, transport.Config{Key: transport.KeyByModel})
//	…
//	client := &http.Client{Transport: t}
//
// SDKs take such a client; turn their own retries off, or the two multiply: option.WithHTTPClient(client) and
// option.WithMaxRetries(0) in openai-go and anthropic-sdk-go, ClientConfig.HTTPClient in go-openai.
//
// # What comes back
//
// The caller sees what he would without it: a good answer, or in the end the last that was not, with its status and its body, so
// that an SDK makes its own error of it. [Failure] tells why it was the last. Only where there is no answer there is an [Error],
// with the dispatcher's own under it.
//
// What an answer means is told by package api, from its status, its headers and its body. So that one that is cut short can be
// asked for again, an answer is passed on when it is complete. Of a stream of events, the beginning is passed on as soon as it is
// there, and what fails after that is the caller's to see.
//
// Retry.OnResult, if the dispatcher has one, is asked of good answers that are complete, as *http.Response; their bodies are
// io.Seekers, so that it can read one and rewind it.
//
// # Limits
//
// Each attempt passes the dispatcher's limits, and net/http is kept from sending anything again by itself; save a TRACE, and, over
// HTTP/2, a POST, PUT or PATCH without a body which the server has refused to look at. [Tokens] says what a request to an LLM costs,
// and corrects it by what the answer was billed. Where the headers of answers tell of the server's own limits, those of the
// dispatcher that have the same name ("requests", "tokens", "input-tokens", "output-tokens") follow, as far as that lowers them below
// what they were when the transport was made: the level of the bucket, and the rate, if the limit is not per key. So a rate that is
// set by hand holds until a server tells of another; with Config.NoLearning, until it is set again. A limit whose rate
// is policy.Unlimited is learnt from nothing.
//
// # Concurrency
//
// A [Transport] may be used by any number of goroutines. The attempts of a request run on the goroutine that calls RoundTrip, so
// Config.Base has to heed the request's context, as net/http's own does. A goroutine of the dispatcher's pool stays with a stream
// until that has been read to its end or closed; the call that does so returns when the dispatcher knows, so that the request may be
// canceled then, and the stream counts as what it was.
//
// # Errors
//
// RoundTrip returns an [*Error], New a *policy.FieldError.
//
// # Cost
//
// Beside what a job costs, a request is copied once if a function of the [Config] looks at its body or if it has no GetBody, and an
// answer is held in memory, at most Config.MaxAnswer, while it comes.
package transport
