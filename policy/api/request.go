package api

import (
	"bytes"
	"unicode/utf8"
)

// Request is what the body of a request says of its cost.
type Request struct {
	Model     string
	Input     float64 // tokens, estimated from the length; or counted, see Exact
	Exact     bool    // Input has been counted, and is not to be corrected
	MaxOutput float64 // the most the model may write, of all answers; 0 if it is not said
	Outputs   bool    // the model writes anything at all
	Stream    bool    // the answer is wanted bit by bit
}

// ReadRequest reads the body of a request whose answer has the given shape. A body that is no JSON object has its length, and
// nothing else, to tell.
func ReadRequest(shape Shape, body []byte) Request {
	var b struct {
		Model  text `json:"model"`
		Stream flag `json:"stream"`

		MaxCompletionTokens count `json:"max_completion_tokens"`
		MaxTokens           count `json:"max_tokens"`
		MaxOutputTokens     count `json:"max_output_tokens"`
		N                   count `json:"n"`

		Generation struct {
			MaxOutputTokens count `json:"maxOutputTokens"`
			Candidates      count `json:"candidateCount"`
		} `json:"generationConfig"`
	}
	readsObject(bytes.TrimSpace(body), &b)
	r := Request{
		Model: string(b.Model), Input: EstimateTokens(body), Stream: bool(b.Stream), Outputs: shape != Embeddings && shape != Other,
	}
	if !r.Outputs {
		return r
	}
	for _, most := range []count{b.MaxCompletionTokens, b.MaxTokens, b.MaxOutputTokens, b.Generation.MaxOutputTokens} {
		if most > 0 {
			r.MaxOutput = float64(most) * float64(max(1, min(b.N, maxOutputs), min(b.Generation.Candidates, maxOutputs)))
			break
		}
	}
	return r
}

// maxOutputs is more answers to one prompt than any API gives.
const maxOutputs = 1024

// flag is a JSON true; anything else is false.
type flag bool

// UnmarshalJSON never fails.
func (f *flag) UnmarshalJSON(data []byte) error {
	*f = string(data) == "true"
	return nil
}

const (
	bytesPerToken = 4.0
	blobLength    = 1024   // this many letters and digits in a row, in bytes, are no words
	blobTokens    = 1000.0 // an image of middling size; what it really is, the correction learns
)

// EstimateTokens guesses how many tokens a text has, or a body in JSON: a token for four bytes; a token for each letter of a
// script that is written without spaces (Chinese, Japanese, Korean), also where JSON has it escaped; and a flat amount for
// what is no text but an image, say, in base64. It looks at each byte once.
func EstimateTokens(s []byte) float64 {
	tokens, plain, run := 0.0, 0, 0 // run is the length of the present one of letters and digits
	endRun := func() {
		if run >= blobLength {
			plain -= run
			tokens += blobTokens
		}
		run = 0
	}
	for i := 0; i < len(s); {
		c := s[i]
		if isBase64(c) {
			run++
			plain++
			i++
			continue
		}
		endRun()
		if c == '\\' {
			if r, ok := escaped(s[i:]); ok {
				tokens += runeTokens(r)
				i += len(`\u0000`)
				continue
			}
		}
		if c < utf8.RuneSelf {
			plain++
			i++
			continue
		}
		r, size := utf8.DecodeRune(s[i:])
		tokens += runeTokens(r)
		i += size
	}
	endRun()
	return tokens + float64(plain)/bytesPerToken
}

func isBase64(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '+' || c == '/' || c == '=' || c == '-' || c == '_'
}

// runeTokens is how many tokens one rune beyond ASCII is.
func runeTokens(r rune) float64 {
	if isCJK(r) {
		return 1
	}
	return float64(max(1, utf8.RuneLen(r))) / bytesPerToken
}

// isCJK reports whether r belongs to a script of which a letter is about a token.
func isCJK(r rune) bool {
	return r >= 0x2e80 && r <= 0x9fff || // radicals, kana, ideographs
		r >= 0xac00 && r <= 0xd7af || // hangul
		r >= 0xf900 && r <= 0xfaff || r >= 0xff00 && r <= 0xffef || // compatibility forms
		r >= 0x20000 && r <= 0x3ffff || // rarer ideographs
		r >= 0xd800 && r <= 0xdbff // of those, escaped, the first half; the second counts as little
}

// escaped reads \u and four digits.
func escaped(s []byte) (rune, bool) {
	if len(s) < len(`\u0000`) || s[1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range s[2:6] {
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	return r, true
}
