package fakellm

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strings"
)

// created is the `created` time of every answer, Unix seconds: a constant, since an answer depends on its request alone.
const created = 1_700_000_000

// Digest returns the fingerprint by which an answer names its prompt: the first 12 hexadecimal digits of the SHA-256 of
// the exact text of the last user message. The content of every answer contains it.
func Digest(prompt string) string {
	sum := sha256.Sum256([]byte(prompt))
	return hex.EncodeToString(sum[:6])
}

// request is what of a chat completion request matters here; other fields are accepted and ignored, as a server does
// that is older than its client.
type request struct {
	Model         string    `json:"model"`
	Messages      []message `json:"messages"`
	MaxTokens     *int      `json:"max_tokens"`
	MaxCompletion *int      `json:"max_completion_tokens"`
	Stream        bool      `json:"stream"`
}

type message struct {
	Role    string `json:"role"`
	Content text   `json:"content"`
}

// text is the content of a message: a string, or the text of an array of parts, put together without a separator.
type text string

// UnmarshalJSON takes a string, an array of parts, or null.
func (t *text) UnmarshalJSON(data []byte) error {
	if !bytes.HasPrefix(data, []byte("[")) {
		return json.Unmarshal(data, (*string)(t))
	}
	var parts []struct {
		Text string `json:"text"`
	}
	if err := json.Unmarshal(data, &parts); err != nil {
		return err
	}
	var all strings.Builder
	for _, p := range parts {
		all.WriteString(p.Text)
	}
	*t = text(all.String())
	return nil
}

// parse reads a request's body. The error is written for the client.
func parse(body []byte) (request, error) {
	var r request
	if err := json.Unmarshal(body, &r); err != nil {
		return r, errors.New("We could not parse the JSON body of your request: " + err.Error())
	}
	switch {
	case r.Model == "":
		return r, errors.New("you must provide a model parameter")
	case len(r.Messages) == 0:
		return r, errors.New("[] is too short - 'messages'")
	case r.Stream:
		return r, errors.New("'stream' is not supported by this server")
	case r.MaxTokens != nil && *r.MaxTokens < 1, r.MaxCompletion != nil && *r.MaxCompletion < 1:
		return r, errors.New("max_tokens must be at least 1")
	}
	return r, nil
}

// prompt returns the text of the last user message, or of the last message when no user speaks.
func (r request) prompt() string {
	for _, m := range slices.Backward(r.Messages) {
		if m.Role == "user" {
			return string(m.Content)
		}
	}
	return string(r.Messages[len(r.Messages)-1].Content)
}

// allowance is how many tokens the answer may have; 0 is no limit.
func (r request) allowance() int {
	switch {
	case r.MaxCompletion != nil:
		return *r.MaxCompletion
	case r.MaxTokens != nil:
		return *r.MaxTokens
	}
	return 0
}

// completion is the body of a 200.
type completion struct {
	ID      string   `json:"id"`
	Object  string   `json:"object"`
	Created int64    `json:"created"`
	Model   string   `json:"model"`
	Choices []choice `json:"choices"`
	Usage   usage    `json:"usage"`
}

type choice struct {
	Index        int    `json:"index"`
	Message      reply  `json:"message"`
	FinishReason string `json:"finish_reason"`
}

type reply struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// usage is counted in tokens, and a token is four bytes, the last one perhaps fewer.
type usage struct {
	Prompt     int `json:"prompt_tokens"`
	Completion int `json:"completion_tokens"`
	Total      int `json:"total_tokens"`
}

// answer makes the one answer that r has.
func answer(r request) completion {
	sum := sha256.Sum256([]byte(r.prompt()))
	content := compose(Digest(r.prompt()), sum, r.allowance())
	read := 0
	for _, m := range r.Messages {
		read += len(m.Content)
	}
	u := usage{Prompt: tokens(read), Completion: tokens(len(content))}
	u.Total = u.Prompt + u.Completion
	id := sha256.Sum256([]byte(r.Model + "\x00" + r.prompt()))
	return completion{
		ID: "chatcmpl-" + hex.EncodeToString(id[:14]), Object: "chat.completion", Created: created, Model: r.Model,
		Choices: []choice{{Message: reply{Role: "assistant", Content: content}, FinishReason: "stop"}},
		Usage:   u,
	}
}

// compose writes the content: the digest, which is never cut, and then words drawn by the prompt's hash, at least eight
// and up to 63, as far as the allowance of tokens goes.
func compose(digest string, sum promptKey, allowance int) string {
	words := strings.Fields("rain harbour copper lantern meadow thread orchard signal granite river paper winter compass ember valley bridge")
	var b strings.Builder
	b.WriteString("Fake answer to prompt " + digest + ":")
	for i := range 8 + int(sum[31])%56 {
		word := words[sum[i%len(sum)]%16]
		if allowance > 0 && tokens(b.Len()+1+len(word)) > allowance {
			break
		}
		b.WriteString(" " + word)
	}
	return b.String()
}

// tokens is the number of tokens in so many bytes.
func tokens(size int) int { return (size + 3) / 4 }
