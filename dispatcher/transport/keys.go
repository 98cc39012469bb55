package transport

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
)

// KeyByHost is the host that a request goes to, with its port if that is named: all of it shares one circuit and one cooldown.
func KeyByHost(c *Call) string { return strings.ToLower(c.req.URL.Host) }

// KeyByModel is the host and the model, with a space between: the limits of LLM APIs are each model's own. It reads the body.
func KeyByModel(c *Call) string {
	if model := c.Model(); model != "" {
		return KeyByHost(c) + " " + model
	}
	return KeyByHost(c)
}

// KeyByHeader returns a function that tells hosts apart, and requests to one host by the value of a header, such as
// Authorization or OpenAI-Project. The value itself does not become part of the key, which is seen in errors and events, but a
// digest of it does.
func KeyByHeader(name string) func(*Call) string {
	name = http.CanonicalHeaderKey(name)
	return func(c *Call) string {
		value := c.req.Header.Get(name)
		if value == "" {
			return KeyByHost(c)
		}
		digest := sha256.Sum256([]byte(value))
		return KeyByHost(c) + " " + name + ":" + hex.EncodeToString(digest[:16])
	}
}
