package chat

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/toller-go/toller/policy"
)

// defaultMaxBody bounds the body of an answer, in bytes: a server must not be able to fill our memory.
const defaultMaxBody = 32 << 20

// Client sends requests to one API with one key. Make it with [New]; its methods may be called from any goroutine.
type Client struct {
	baseURL string
	key     string
	http    *http.Client
	maxBody int64
}

// New returns a client for the API at baseURL, such as https://api.openai.com/v1. It keeps up to connections of them open
// between requests, so that as many attempts at once need no more.
func New(baseURL, key string, connections int, connectTimeout time.Duration) *Client {
	dialer := &net.Dialer{Timeout: connectTimeout}
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         dialer.DialContext,
		TLSHandshakeTimeout: connectTimeout,
		ForceAttemptHTTP2:   true,
		MaxIdleConns:        connections,
		MaxIdleConnsPerHost: connections, // the default of 2 would open a connection for nearly every request
		IdleConnTimeout:     90 * time.Second,
	}
	refuseRedirects := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{
		baseURL: baseURL,
		key:     key,
		http:    &http.Client{Transport: transport, CheckRedirect: refuseRedirects},
		maxBody: defaultMaxBody,
	}
}

// Close closes the connections that are not in use.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Answer is an answer that is a success: a completion of the expected shape.
type Answer struct {
	Status    int
	RequestID string // the server's own; empty when it names none
	Body      []byte // as it came
	Usage     Usage
}

// Complete posts body, byte for byte, and returns the answer, or an [*Error] marked for the dispatcher. It blocks until
// the whole answer is there or ctx ends.
func (c *Client) Complete(ctx context.Context, body []byte) (Answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.baseURL+"/chat/completions", bytes.NewReader(body))
	if err != nil {
		return Answer{}, policy.Fatal(&Error{Class: BadRequest, Err: err})
	}
	req.GetBody = nil // or net/http might send it again on its own, past every limit
	req.Header.Set("Content-Type", "application/json")
	if c.key != "" {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return Answer{}, transportError(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, c.maxBody+1))
	if err != nil {
		return Answer{}, transportError(fmt.Errorf("the answer broke off: %w", err))
	}
	if int64(len(text)) > c.maxBody {
		return Answer{}, policy.Fatal(&Error{Class: BadAnswer, Status: resp.StatusCode, Err: fmt.Errorf("the answer is longer than %d bytes", c.maxBody)})
	}
	return judge(resp, text)
}

// transportError is the error of an attempt that got no answer.
func transportError(err error) error {
	class := Ambiguous
	switch {
	case neverSent(err):
		class = Unsent
	case errors.Is(err, context.Canceled):
		return err // the run ends: nobody is to blame
	}
	return policy.Transient(&Error{Class: class, Err: err})
}

// neverSent reports whether err is one of making the connection: the name, the dial, or the handshake.
func neverSent(err error) bool {
	var (
		dns         *net.DNSError
		op          *net.OpError
		certificate *tls.CertificateVerificationError
		record      tls.RecordHeaderError
		alert       tls.AlertError
	)
	return errors.As(err, &dns) || errors.As(err, &op) && op.Op == "dial" ||
		errors.As(err, &certificate) || errors.As(err, &record) || errors.As(err, &alert) ||
		strings.Contains(err.Error(), "server gave HTTP response to HTTPS client") || // net/http has no error for these two
		strings.Contains(err.Error(), "TLS handshake timeout")
}
