package fakellm

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// endpoint is what a path asks for.
type endpoint uint8

const (
	chatCompletions endpoint = iota
	responses
	embeddings
	messages // Anthropic's
)

// entrance is an endpoint as a path names it.
type entrance struct {
	endpoint
	deployment string // Azure's name for the model, in place of the one in the body
}

// entranceOf finds the endpoint of a path. Azure's are below /openai/deployments.
func entranceOf(path string) (e entrance, ok bool) {
	rest, ok := strings.CutPrefix(path, "/v1/")
	if !ok {
		if rest, ok = strings.CutPrefix(path, "/openai/deployments/"); ok {
			e.deployment, rest, ok = strings.Cut(rest, "/")
			ok = ok && e.deployment != "" && rest != "messages"
		}
	}
	if !ok {
		return e, false
	}
	switch rest {
	case "chat/completions":
		e.endpoint = chatCompletions
	case "responses":
		e.endpoint = responses
	case "embeddings":
		e.endpoint = embeddings
	case "messages":
		e.endpoint = messages
	default:
		return e, false
	}
	return e, true
}

// asked is a request of any endpoint, understood, with the one answer that it has.
type asked struct {
	model  string
	prompt string
	usage  usage // what the answer is billed
	stream bool

	// body is the answer, withheld for its content or not. events is the same as a stream, if there is one.
	body   func(withheld bool) any
	events func(withheld bool) []event
}

// understand reads the body of a request. The error is written for the client.
func (e entrance) understand(body []byte) (asked, error) {
	switch e.endpoint {
	case responses:
		return readResponses(body)
	case embeddings:
		return readEmbeddings(body, e.deployment)
	case messages:
		return readMessages(body)
	default:
		return readChat(body, e.deployment)
	}
}

// spoken is what a model says to a prompt, and what it is billed: so many bytes were read.
func spoken(prompt string, read, allowance int) (content string, u usage) {
	sum := sha256.Sum256([]byte(prompt))
	content = compose(Digest(prompt), sum, allowance)
	u = usage{Prompt: tokens(read), Completion: tokens(len(content))}
	u.Total = u.Prompt + u.Completion
	return content, u
}

// identify makes the id of an answer, which is the same for the same request.
func identify(prefix, model, prompt string) string {
	id := sha256.Sum256([]byte(model + "\x00" + prompt))
	return prefix + hex.EncodeToString(id[:14])
}
