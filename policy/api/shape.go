package api

import (
	"fmt"
	"strings"
)

// Shape is what a good answer to a request looks like, which is how an answer with status 200 can be told to be none.
type Shape uint8

// The shapes.
const (
	// Any is an answer of which nothing is known: its status is all that counts, and a body is looked at only for what an error
	// says of itself. 401, 402 and 403 are then about the request and not about the key: behind one host there may be many doors.
	Any Shape = iota
	// Other is an answer of an LLM API that has none of the shapes below, such as a list of models.
	Other
	// Choices has choices: chat completions, and the completions of old.
	Choices
	// Responses has output: OpenAI's responses.
	Responses
	// Embeddings has data.
	Embeddings
	// Messages has content: Anthropic's messages.
	Messages
	// Candidates has candidates: Gemini's generateContent.
	Candidates
)

// String returns the shape in lower case.
func (s Shape) String() string {
	names := [...]string{"any", "other", "choices", "responses", "embeddings", "messages", "candidates"}
	if int(s) >= len(names) {
		return fmt.Sprintf("Shape(%d)", uint8(s))
	}
	return names[s]
}

// listed reports whether a good answer may be a list of bodies.
func (s Shape) listed() bool { return s == Candidates || s == Other }

// ShapeOf returns the shape of the answers to what is posted to a URL of this path. A path that is not one of those below
// gives [Any].
//
//	…/chat/completions, …/completions           Choices
//	…/responses                                 Responses
//	…/embeddings                                Embeddings
//	…/messages                                  Messages
//	…:generateContent, …:streamGenerateContent  Candidates
//	…:embedContent, …:countTokens               Other
func ShapeOf(path string) Shape {
	last := path[strings.LastIndexByte(path, '/')+1:]
	if _, verb, ok := strings.Cut(last, ":"); ok {
		last = ":" + verb
	}
	switch last {
	case "completions":
		return Choices
	case "responses":
		return Responses
	case "embeddings":
		return Embeddings
	case "messages":
		return Messages
	case ":generateContent", ":streamGenerateContent":
		return Candidates
	case ":embedContent", ":batchEmbedContents", ":countTokens":
		return Other
	default:
		return Any
	}
}

// ModelOf returns the model, or the deployment, that a path names, as Azure's and Gemini's do; empty if it names none.
func ModelOf(path string) string {
	for _, before := range []string{"/deployments/", "/models/"} {
		if _, after, ok := strings.Cut(path, before); ok {
			after, _, _ = strings.Cut(after, "/")
			after, _, _ = strings.Cut(after, ":")
			return after
		}
	}
	return ""
}
