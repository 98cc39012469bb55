package chat

import (
	"bytes"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"unicode/utf8"
)

// secretLength is how long a key is, in bytes, that is worth hiding. A server that asks for none is given any word, and that must not
// be taken out of what it answers.
const secretLength = 16

// hidden stands where a server has repeated the key to us.
const hidden = "[the API key]"

// secret is an API key that must not get into files, logs and pages by what a server says. A nil secret hides nothing.
type secret struct {
	key     string
	escaped *regexp.Regexp // as JSON may write it; nil if that is the key itself
}

func secretOf(key string) *secret {
	if len(key) < secretLength {
		return nil
	}
	s := &secret{key: key}
	if strings.ContainsFunc(key, mayBeEscaped) && utf8.ValidString(key) {
		var pattern strings.Builder
		for _, r := range key {
			plain := regexp.QuoteMeta(string(r))
			if mayBeEscaped(r) && r <= 0xffff {
				plain = fmt.Sprintf(`(?:\\?%s|\\u(?i:%04x))`, plain, r)
			}
			pattern.WriteString(plain)
		}
		s.escaped = regexp.MustCompile(pattern.String())
	}
	return s
}

// mayBeEscaped reports whether some encoder of JSON writes r in another way, such as PHP's a slash and .NET's a plus sign.
func mayBeEscaped(r rune) bool {
	return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '-' && r != '_' && r != '.'
}

// hide returns text without the key.
func (s *secret) hide(text []byte) []byte {
	if s == nil {
		return text
	}
	text = bytes.ReplaceAll(text, []byte(s.key), []byte(hidden))
	if s.escaped != nil {
		text = s.escaped.ReplaceAllLiteral(text, []byte(hidden))
	}
	return text
}

// longestSpelling is how many bytes JSON may take for one of the key.
const longestSpelling = len(`\u002b`)

// hideCut is hide for a text whose end is missing, where the key may have begun: as much as that could be is left out.
func (s *secret) hideCut(text []byte) []byte {
	if s == nil {
		return text
	}
	text = s.hide(text)
	return text[:max(0, len(text)-longestSpelling*len(s.key))]
}

// hideIn takes the key out of headers.
func (s *secret) hideIn(h http.Header) {
	if s == nil {
		return
	}
	for _, values := range h {
		for i, value := range values {
			values[i] = string(s.hide([]byte(value)))
		}
	}
}

// hideError returns an error that does not tell the key: net/http quotes a server that it does not understand.
func (s *secret) hideError(err error) error {
	if text := string(s.hide([]byte(err.Error()))); text != err.Error() {
		return &hiding{error: err, text: text}
	}
	return err
}

// hiding is an error in other words.
type hiding struct {
	error
	text string
}

func (e *hiding) Error() string { return e.text }

func (e *hiding) Unwrap() error { return e.error }
