package api

import (
	"crypto/tls"
	"errors"
	"net"
	"strings"

	"github.com/toller-go/toller/policy"
)

// Broken says what it means that an attempt got no answer, or not all of it. sent says whether the request may have reached
// the server; where nobody has looked, [NeverSent] can tell from the error, as far as that goes.
func Broken(sent bool) Meaning {
	m := Meaning{Class: Ambiguous, Retry: true, Hint: policy.NoHint}
	if !sent {
		m.Class, m.Billed = Unsent, BilledNo
	}
	return m
}

// NeverSent reports whether err, of an http.RoundTripper, says for certain that the server has not seen the request: the name
// was not found, the connection not made, to the server or to a proxy, there was no TLS or a certificate that is no good, or the
// server was going away and named the streams that it would still serve. A handshake can fail in ways whose errors could be
// those of a later moment as well: who needs to know asks net/http/httptrace whether there was a connection.
func NeverSent(err error) bool {
	if err == nil {
		return false
	}
	var (
		dns         *net.DNSError
		op          *net.OpError
		certificate *tls.CertificateVerificationError
		record      tls.RecordHeaderError
	)
	if errors.As(err, &dns) || errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect") ||
		errors.As(err, &certificate) || errors.As(err, &record) {
		return true
	}
	// net/http has no errors for these but their texts.
	s := err.Error()
	return strings.Contains(s, "server gave HTTP response to HTTPS client") || strings.Contains(s, "TLS handshake timeout") ||
		strings.Contains(s, "http2: Transport: cannot retry err [http2: Transport received Server's graceful shutdown GOAWAY]") ||
		strings.Contains(s, "http2: Transport: cannot retry err [stream error: ") && strings.Contains(s, "REFUSED_STREAM")
}
