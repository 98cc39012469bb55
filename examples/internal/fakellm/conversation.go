package fakellm

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
)

type message struct {
	Role    string `json:"role"`
	Content text   `json:"content"`
}

// conversation is a text, or a list of messages.
type conversation []message

// UnmarshalJSON takes either.
func (c *conversation) UnmarshalJSON(data []byte) error {
	var only text
	if isString(data) {
		if err := json.Unmarshal(data, &only); err != nil {
			return err
		}
		*c = conversation{{Role: "user", Content: only}}
		return nil
	}
	return json.Unmarshal(data, (*[]message)(c))
}

// prompt is the text of the last message of the user, or of the last at all.
func (c conversation) prompt() string {
	for _, m := range slices.Backward(c) {
		if m.Role == "user" {
			return string(m.Content)
		}
	}
	return string(c[len(c)-1].Content)
}

// size is how many bytes there are to be read.
func (c conversation) size() int {
	n := 0
	for _, m := range c {
		n += len(m.Content)
	}
	return n
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

// decode reads JSON. The error is written for the client.
func decode(data []byte, into any) error {
	if err := json.Unmarshal(data, into); err != nil {
		return errors.New("We could not parse the JSON body of your request: " + err.Error())
	}
	return nil
}

// isString reports whether JSON is a string.
func isString(data []byte) bool { return bytes.HasPrefix(data, []byte(`"`)) }
