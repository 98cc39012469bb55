package chat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/policy/api"
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
	Usage     api.Usage
}

// Complete posts body, byte for byte, and returns the answer, or an [*api.Error] marked for the dispatcher. It blocks until
// the whole answer is there or ctx ends.
func (c *Client) Complete(ctx context.Context, body []byte) (Answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.baseURL+"/chat/completions", bytes.NewReader(body))
	if err != nil {
		return Answer{}, policy.Fatal(&api.Error{Meaning: api.Meaning{Class: api.BadRequest}, Err: err})
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
		m := api.Meaning{Class: api.BadAnswer, Status: resp.StatusCode}
		return Answer{}, policy.Fatal(&api.Error{Meaning: m, Err: fmt.Errorf("the answer is longer than %d bytes", c.maxBody)})
	}
	return judge(resp, text)
}

// judge says what an answer means. One that was withheld for its content is an answer like any other: it was paid for, and there
// is no better one.
func judge(resp *http.Response, text []byte) (Answer, error) {
	m := api.Read(api.Answer{Status: resp.StatusCode, Header: resp.Header, Body: text, Shape: api.Choices, Received: time.Now()})
	if m.Class == api.OK || m.Class == api.Filtered && m.Status/100 == 2 {
		return Answer{Status: m.Status, RequestID: m.RequestID, Body: text, Usage: m.Usage}, nil
	}
	return Answer{}, m.Mark(&api.Error{Meaning: m, Body: text})
}

// transportError is the error of an attempt that got no answer.
func transportError(err error) error {
	sent := !api.NeverSent(err)
	if sent && errors.Is(err, context.Canceled) {
		return err // the run ends: nobody is to blame
	}
	m := api.Broken(sent)
	return m.Mark(&api.Error{Meaning: m, Err: err})
}
