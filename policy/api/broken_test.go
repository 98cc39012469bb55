package api_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"syscall"
	"testing"

	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/policy/api"
)

func TestBroken(t *testing.T) {
	unsent, ambiguous := api.Broken(false), api.Broken(true)
	if unsent != (api.Meaning{Class: api.Unsent, Retry: true, Billed: api.BilledNo, Hint: policy.NoHint}) {
		t.Errorf("%+v", unsent)
	}
	if ambiguous != (api.Meaning{Class: api.Ambiguous, Retry: true, Billed: api.BilledMaybe, Hint: policy.NoHint}) {
		t.Errorf("%+v", ambiguous)
	}
	err := errors.New("gone")
	if got := outcomeOf(unsent.Mark(err)); got != (policy.Outcome{Verdict: policy.VerdictFailure, Retry: true, Unbilled: true}) {
		t.Errorf("%+v", got)
	}
	if got := outcomeOf(ambiguous.Mark(err)); got != transient {
		t.Errorf("%+v", got)
	}
}

func TestNeverSent(t *testing.T) {
	dial := &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	tests := []struct {
		name string
		err  error
		want bool
	}{
		{"refused", dial, true},
		{"no proxy", &url.Error{Op: "Post", Err: &net.OpError{Op: "proxyconnect", Net: "tcp", Err: dial}}, true},
		{"no handshake with a proxy", &net.OpError{Op: "proxyconnect", Net: "tcp", Err: io.EOF}, true},
		{"wrapped", &url.Error{Op: "Post", Err: fmt.Errorf("proxy: %w", dial)}, true},
		{"no such host", &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", IsNotFound: true}}, true},
		{"a name alone", &net.DNSError{Err: "no such host"}, true},
		{"a wrong certificate", &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, true},
		{"no TLS there", tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}, true},
		{"an alert, perhaps of later", &net.OpError{Op: "remote error", Err: errors.New("tls: internal error")}, false},
		{"HTTP for HTTPS", errors.New("http: server gave HTTP response to HTTPS client"), true},
		{"a slow handshake", errors.New("net/http: TLS handshake timeout"), true},
		{"going away", errors.New("http2: Transport: cannot retry err [http2: Transport received Server's graceful shutdown GOAWAY] after Request.Body was written; define Request.GetBody to avoid this error"), true},
		{"a stream refused", errors.New("http2: Transport: cannot retry err [stream error: stream ID 3; REFUSED_STREAM; received from peer] after Request.Body was written; define Request.GetBody to avoid this error"), true},
		{"a stream against the protocol", errors.New("http2: Transport: cannot retry err [stream error: stream ID 3; PROTOCOL_ERROR; received from peer] after Request.Body was written; define Request.GetBody to avoid this error"), false},
		{"gone away since", errors.New("http2: server sent GOAWAY and closed the connection; LastStreamID=1999, ErrCode=NO_ERROR"), false},
		{"reset", &net.OpError{Op: "read", Err: syscall.ECONNRESET}, false},
		{"broken off", io.ErrUnexpectedEOF, false},
		{"out of time", context.DeadlineExceeded, false},
		{"nothing", nil, false},
	}
	for _, test := range tests {
		if got := api.NeverSent(test.err); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}
