package chat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/policy/api"
)

// errSilent is why an answer was given up of which nothing more came.
var errSilent = errors.New("the answer fell silent")

// Config says how a client talks to an API.
type Config struct {
	BaseURL        string                                                            // such as https://api.openai.com/v1
	Connections    int                                                               // kept open between requests, so that as many attempts at once need no more
	ConnectTimeout time.Duration                                                     // to make one
	IdleTimeout    time.Duration                                                     // that the body of an answer may be silent
	Dial           func(ctx context.Context, network, addr string) (net.Conn, error) // defaults to the network
	MaxResponse    int64                                                             // bytes of an answer's body: a server must not be able to fill our memory
}

// Client sends requests to one API. Make it with [New]; its methods may be called from any goroutine.
type Client struct {
	cfg  Config
	http *http.Client
}

// New returns a client.
func New(cfg Config) *Client {
	if cfg.Dial == nil {
		cfg.Dial = (&net.Dialer{Timeout: cfg.ConnectTimeout}).DialContext
	}
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         cfg.Dial,
		TLSHandshakeTimeout: cfg.ConnectTimeout,
		ForceAttemptHTTP2:   true,
		MaxIdleConns:        cfg.Connections,
		MaxIdleConnsPerHost: cfg.Connections, // the default of 2 would open a connection for nearly every request
		IdleConnTimeout:     90 * time.Second,
	}
	refuseRedirects := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{cfg: cfg, http: &http.Client{Transport: transport, CheckRedirect: refuseRedirects}}
}

// Close closes the connections that are not in use.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Answer is an answer that is a success: a completion of the expected shape.
type Answer struct {
	Status    int
	RequestID string // the server's own; empty when it names none
	Body      []byte // as it came
	Usage     api.Usage
	Header    http.Header // with which it came
	Filtered  bool        // withheld for its content
	Truncated bool        // the model stopped because it came to the end of what it was allowed
}

// Complete posts body, byte for byte, under an API key, and returns the answer; or an [*api.Error] marked for the dispatcher, and of
// the answer at most the Header and the Usage: what is of no use may have been billed. It blocks until the whole answer is there or ctx
// ends. A server that repeats the key to us does not get it into our files: whatever it says is without.
func (c *Client) Complete(ctx context.Context, key string, body []byte) (Answer, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var connected atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.cfg.BaseURL+"/chat/completions", bytes.NewReader(body))
	if err != nil {
		return Answer{}, policy.Fatal(&api.Error{Meaning: api.Meaning{Class: api.BadRequest}, Err: err})
	}
	req.GetBody = nil // or net/http might send it again on its own, past every limit
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	secret := secretOf(key)
	resp, err := c.http.Do(req)
	if err != nil {
		return Answer{}, transportError(secret.hideError(err), connected.Load())
	}
	defer resp.Body.Close()
	text, err := c.read(ctx, cancel, resp.Body)
	if err != nil {
		return Answer{}, transportError(secret.hideError(fmt.Errorf("the answer broke off: %w", err)), true)
	}
	cut := int64(len(text)) > c.cfg.MaxResponse
	if cut && resp.StatusCode/100 == 2 {
		m := api.Meaning{Class: api.BadAnswer, Status: resp.StatusCode}
		return Answer{}, policy.Fatal(&api.Error{Meaning: m, Err: fmt.Errorf("the answer is longer than %d bytes", c.cfg.MaxResponse)})
	}
	secret.hideIn(resp.Header)
	if cut { // a page of a proxy: what matters is its status
		text = secret.hideCut(text[:c.cfg.MaxResponse])
	}
	return judge(resp, secret.hide(text), cut)
}

// read takes in a body, up to a byte more than may be, unless it falls silent.
func (c *Client) read(ctx context.Context, cancel context.CancelCauseFunc, body io.Reader) ([]byte, error) {
	watchdog := time.AfterFunc(c.cfg.IdleTimeout, func() { cancel(errSilent) })
	defer watchdog.Stop()
	text, err := io.ReadAll(&watched{r: io.LimitReader(body, c.cfg.MaxResponse+1), fed: func() { watchdog.Reset(c.cfg.IdleTimeout) }})
	if err != nil && errors.Is(context.Cause(ctx), errSilent) {
		err = fmt.Errorf("%w for %v", errSilent, c.cfg.IdleTimeout)
	}
	return text, err
}

// watched tells when something has been read.
type watched struct {
	r   io.Reader
	fed func()
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if n > 0 {
		w.fed()
	}
	return n, err
}

// judge says what an answer means. One that was withheld for its content is an answer like any other: it was paid for, and there
// is no better one.
func judge(resp *http.Response, text []byte, cut bool) (Answer, error) {
	m := api.Read(api.Answer{Status: resp.StatusCode, Header: resp.Header, Body: text, Cut: cut, Shape: api.Choices, Received: time.Now()})
	if m.Class == api.OK || m.Class == api.Filtered && m.Status/100 == 2 {
		return Answer{
			Status: m.Status, RequestID: m.RequestID, Body: text, Usage: m.Usage, Header: resp.Header,
			Filtered: m.Class == api.Filtered, Truncated: m.Truncated,
		}, nil
	}
	return Answer{Header: resp.Header, Usage: m.Usage}, m.Mark(&api.Error{Meaning: m, Body: text})
}

// transportError is the error of an attempt that got no answer. Without a connection nothing has been sent.
func transportError(err error, connected bool) error {
	never := api.NeverSent(err)
	if !never && errors.Is(err, context.Canceled) {
		return err // the run ends: nobody is to blame
	}
	m := api.Broken(connected && !never)
	return m.Mark(&api.Error{Meaning: m, Err: err})
}
