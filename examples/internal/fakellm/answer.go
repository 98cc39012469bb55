package fakellm

import (
	"crypto/sha256"
	"encoding/hex"
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

// usage is counted in tokens, and a token is four bytes, the last one perhaps fewer.
type usage struct {
	Prompt     int `json:"prompt_tokens"`
	Completion int `json:"completion_tokens"`
	Total      int `json:"total_tokens"`
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
