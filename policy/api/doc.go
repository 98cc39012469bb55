// Package api says what an answer of an HTTP API means, an LLM's in particular: whether it is one, whether to ask again and
// when, whether it was paid for, and what it tells of the server's limits.
//
//	m := api.Read(api.Answer{Status: resp.StatusCode, Header: resp.Header, Body: body, Shape: api.Choices, Received: time.Now()})
//	if m.Class != api.OK {
//		return m.Mark(&api.Error{Meaning: m, Body: body})
//	}
//
// [Read] is a table from the status, the headers and the error in the body to a [Class], and [Meaning.Mark] puts the mark of
// package policy on an error which tells a dispatcher what to do. An attempt that got no answer is [Broken]. Codes and types of
// errors are matched as a whole; the text of a message is for people, and decides nothing, but for a wait that is named nowhere
// else and for two refusals that have no code of their own. What is not known is treated by its status.
//
// How long the server asks to be left alone (Meaning.Hint) is what its headers say; or else the body of its error; or else, if
// a limit is used up, the time until it has something again. It is turned into a length once, by the answer's own Date.
//
// [Limits] reads the rate-limit headers of OpenAI, Azure, Groq, Anthropic, Mistral, OpenRouter and others, and a [Gauge] puts
// the answers to many requests in order. [ReadRequest] and an [Estimator] say what a request will cost, [Usage] what it did. A
// [Stream] finds what an answer was billed that comes event by event.
//
// # Concurrency
//
// The functions are pure: the same arguments give the same results, and nothing is kept. A Gauge, an Estimator and a Stream
// have one owner each, and calls on one must not overlap.
//
// # Errors
//
// There are none: what makes no sense is as good as not said. No input makes a call panic, or a wait negative or longer than
// [MaxWait].
//
// # Cost
//
// What is not 2xx is looked into if it is at most 1 MiB of JSON. Of a 2xx, the whole body is parsed once or twice, unless its
// Shape is [Any]; nothing of it is copied but what an error says.
package api
