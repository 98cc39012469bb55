package transport

import (
	"crypto/rand"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/policy/api"
)

// Call is one request that goes through a [Transport], as the functions of a [Config] see it. It is theirs while they run.
type Call struct {
	t    *Transport
	req  *http.Request // as it was given
	body body

	header http.Header // what the attempts send; not changed after prepare

	shaped   bool
	shape    api.Shape    // if shaped
	said     *api.Request // what the body says; nil until somebody asks
	modelled bool
	model    string       // if modelled
	tokens   api.Estimate // by a Tokens; zero without
	key      string
	costs    []dispatcher.Cost
	repeat   bool // Repeatable

	options [2]dispatcher.Option // what most calls need of them

	first     exchange       // the first attempt: most calls have but one
	ambiguous int            // attempts that ended so
	last      *http.Response // the answer of the latest attempt, if it was not a good one
}

// Request returns the request as it was given to RoundTrip. It must not be changed, nor its body be read.
func (c *Call) Request() *http.Request { return c.req }

// Body returns the body of the request; nil if it has none, or one that is longer than Config.MaxRequest. It must not be
// changed. The first call may read it, and blocks while that takes.
func (c *Call) Body() []byte {
	c.body.load(c.t.cfg.MaxRequest)
	return c.body.data
}

// Shape returns what a good answer looks like.
func (c *Call) Shape() api.Shape {
	if !c.shaped {
		c.shape, c.shaped = c.t.cfg.Shape(c), true
	}
	return c.shape
}

// Says returns what the body of the request says of its cost; the zero value if there is none to be seen.
func (c *Call) Says() api.Request {
	if c.said == nil {
		c.said = new(api.Request)
		if data := c.Body(); len(data) > 0 {
			*c.said = api.ReadRequest(c.Shape(), data)
		}
	}
	return *c.said
}

// Model returns the model that the request is for: by its body, or else by its path; empty if neither names one.
func (c *Call) Model() string {
	if !c.modelled {
		if c.model, c.modelled = c.Says().Model, true; c.model == "" {
			c.model = api.ModelOf(c.req.URL.Path)
		}
	}
	return c.model
}

// prepare finds out all that the attempts and the dispatcher need to know, and returns the options of the submission.
func (c *Call) prepare() ([]dispatcher.Option, error) {
	if c.req.URL == nil {
		return nil, errors.New("transport: the request has no URL")
	}
	cfg := &c.t.cfg
	c.header = c.headers()
	if again := c.req.Header.Get("X-Stainless-Retry-Count"); again != "" && positive(again) {
		c.t.notice(Notice{Kind: StackedRetries, Detail: c.req.URL.Host})
	}
	c.key = cfg.Key(c)
	if cfg.Cost != nil {
		c.costs = cfg.Cost(c)
	}
	options := append(c.options[:0], dispatcher.WithKey(c.key))
	for _, cost := range c.costs {
		options = append(options, dispatcher.WithCost(cost.Limit, cost.Tokens))
	}
	if cfg.Options != nil {
		options = append(options, cfg.Options(c)...)
	}
	c.Shape()
	if cfg.Actual != nil {
		c.Model() // at the end of a stream, when Actual may ask for it, the request is its caller's again
	}
	c.repeat = cfg.Repeatable(c)
	if !c.body.any {
		c.header = hideIdempotency(c.header)
	}
	if err := c.body.prepare(cfg.MaxRequest); err != nil {
		return nil, err
	}
	if c.body.single {
		c.t.notice(Notice{Kind: SingleAttempt, Detail: c.req.URL.Host})
		options = append(options, dispatcher.WithRetry(policy.Retry{}))
	}
	return options, nil
}

// positive reports whether s is a whole number above zero.
func positive(s string) bool {
	n, err := strconv.Atoi(s)
	return err == nil && n > 0
}

// headers is what the attempts send: the request's own, or where they need to be changed a copy of them.
func (c *Call) headers() http.Header {
	h := c.req.Header
	origin := strayedFrom(c.req)
	named := !c.t.cfg.IdempotencyKey || c.req.Method != http.MethodPost || len(h["Idempotency-Key"]) > 0
	if h != nil && origin == nil && named {
		return h
	}
	if h = h.Clone(); h == nil {
		h = http.Header{}
	}
	if origin != nil {
		stripSecrets(origin.Header, h)
	}
	if !named {
		h["Idempotency-Key"] = []string{rand.Text()}
	}
	return h
}

// hideIdempotency returns h with those names of headers written otherwise that make net/http send a request without a body again by
// itself, so that it does not know them. To servers, they are the same.
func hideIdempotency(h http.Header) http.Header {
	hidden := h
	for _, name := range [][2]string{{"Idempotency-Key", "idempotency-key"}, {"X-Idempotency-Key", "x-idempotency-key"}} {
		if values := h[name[0]]; len(values) > 0 {
			hidden = hidden.Clone()
			delete(hidden, name[0])
			hidden[name[1]] = values
		}
	}
	return hidden
}

// conclude is what RoundTrip returns when its job has failed: the last answer, unless there is none, or nobody wanted one.
func (c *Call) conclude(err error) (*http.Response, error) {
	ended, isJob := errors.AsType[*job.Error](err)
	if unwanted, ok := errors.AsType[*job.ResultError](err); ok {
		c.last, _ = unwanted.Result.(*http.Response)
	}
	if c.last != nil && c.req.Context().Err() == nil && isJob && !calledOff(ended) {
		c.last.Request = withFailure(c.req, ended)
		return c.last, nil
	}
	return nil, &Error{Err: err}
}

// calledOff reports whether a job has ended because somebody did not want it any more, so that its last answer does not matter.
func calledOff(err *job.Error) bool {
	return errors.Is(err.Reason, job.ErrCanceled) || errors.Is(err.Reason, job.ErrAborted) || errors.Is(err.Reason, job.ErrNotStarted)
}

// shapeOf is the default of Config.Shape.
func shapeOf(c *Call) api.Shape {
	if c.req.Method != http.MethodPost {
		return api.Any
	}
	return api.ShapeOf(c.req.URL.Path)
}

// repeatable is the default of Config.Repeatable.
func repeatable(c *Call) bool {
	switch c.req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	default:
		return c.Shape() != api.Any || len(c.header["Idempotency-Key"]) > 0
	}
}

// mediaType is that of a body, in lower case and without its parameters, which may be wrong for all we care.
func mediaType(h http.Header) string {
	kind, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	return strings.ToLower(strings.TrimSpace(kind))
}

// streams is the default of Config.Streams.
func streams(c *Call, resp *http.Response) bool {
	kind := mediaType(resp.Header)
	switch {
	case kind == "text/event-stream" || kind == "application/x-ndjson" || kind == "application/jsonl" || kind == "multipart/x-mixed-replace":
		return true
	case strings.HasSuffix(c.req.URL.Path, ":streamGenerateContent"):
		return true
	default:
		return c.said != nil && c.said.Stream && kind != "application/json"
	}
}
