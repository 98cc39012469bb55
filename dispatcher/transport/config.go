package transport

import (
	"errors"
	"net/http"
	"time"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/policy/api"
)

// Defaults of the fields of a [Config].
const (
	DefaultMaxAmbiguous = 3
	DefaultIdleTimeout  = 5 * time.Minute
	DefaultMaxRequest   = 8 << 20 // bytes
	DefaultMaxAnswer    = 8 << 20 // bytes
	DefaultMaxFault     = 1 << 20 // bytes
)

// NoBound as a timeout of a [Config] that has a default turns it off; as MaxAmbiguous it allows any number.
const NoBound = -1

// Config says how a [Transport] works. The zero Config works: a key for each host, answers judged by their status, and those
// of the known LLM endpoints by what they must hold.
//
// The functions are called on the goroutine that calls RoundTrip, save that Actual, at the end of a stream, is called on one of the
// dispatcher's pool, while the call that has read that end, or closed the stream, waits, unless the context of the attempt has ended.
// They may be called at once for different calls.
type Config struct {
	// Base sends the requests. It is asked once for each attempt, and has to heed the context of the request. Defaults to a [NewBase]
	// of its own, for as many connections as the dispatcher has workers; what is given instead should keep that many, too.
	Base http.RoundTripper
	// Key names whose fate a request shares, see dispatcher.WithKey. Defaults to [KeyByHost].
	Key func(*Call) string
	// Cost says what each attempt costs, see dispatcher.WithCost. Defaults to what the limits say. See [Tokens].
	Cost func(*Call) []dispatcher.Cost
	// Actual says what an attempt has really cost of limits that are Settled, by what its answer means; nothing for what nobody
	// knows. It is not asked about what was certainly not billed. Defaults to what was estimated.
	Actual func(*Call, api.Meaning) []dispatcher.Cost
	// Options adds options to a submission, such as a priority or a deadline. Defaults to none.
	Options func(*Call) []dispatcher.Option
	// Shape says what a good answer looks like. Defaults to api.ShapeOf for the path of what is posted, and api.Any for the rest.
	Shape func(*Call) api.Shape
	// Read says what an answer means. Defaults to api.Read.
	Read func(*Call, api.Answer) api.Meaning
	// Streams says whether an answer, which is 2xx, is to be passed on bit by bit, instead of when it is complete. Defaults to
	// those whose content type is one of events, and to what the request has asked for as a stream.
	Streams func(*Call, *http.Response) bool
	// Repeatable says whether a request may be sent again though an attempt may have had its effect. Defaults to: when its method
	// is idempotent, it has an Idempotency-Key, or its Shape is one of an LLM.
	Repeatable func(*Call) bool
	// MaxAmbiguous is how often a request is sent again, at most, because a connection broke after it had been sent, so that
	// nobody knows what became of it. Defaults to 3; NoBound leaves it to the dispatcher.
	MaxAmbiguous int
	// IdempotencyKey gives each request that is posted a header Idempotency-Key, the same for all its attempts, if it has none.
	IdempotencyKey bool
	// AnswerTimeout is how long an attempt may take until its answer is complete, or, for a stream, until it begins. Defaults to
	// no bound but dispatcher.Config.Timeout, which holds for a whole stream.
	AnswerTimeout time.Duration
	// IdleTimeout is how long a stream may be silent while somebody reads. Defaults to five minutes; NoBound turns it off.
	IdleTimeout time.Duration
	// MaxRequest is how long the body of a request may be to be kept for another attempt, in bytes, if the request has no GetBody.
	// A longer one gets a single attempt. It bounds as well what Cost and the like can see of it. Defaults to 8 MiB.
	MaxRequest int64
	// MaxAnswer is how long an answer may be, in bytes, to be complete before it is passed on; of a longer one the beginning is
	// held, and the rest is passed on as it comes. Defaults to 8 MiB.
	MaxAnswer int64
	// MaxFault is MaxAnswer for an answer of 400 and above. One that is longer, and may be tried again, is cut off there.
	// Defaults to 1 MiB.
	MaxFault int64
	// NoLearning leaves the limits alone whatever the headers of answers say of those of the server.
	NoLearning bool
	// OnNotice is told what somebody should know, each kind once, where the other functions are: at the end of a stream,
	// who reads that waits meanwhile, and must not hold a lock that OnNotice takes. Defaults to a warning to slog.Default.
	OnNotice func(Notice)
}

// withDefaults returns c with every field set that has a default, or what is wrong with it.
func (c Config) withDefaults(d *dispatcher.Dispatcher) (Config, error) {
	var faults []error
	bound := func(name string, value *int64, std int64, none bool) {
		switch {
		case *value == 0:
			*value = std
		case *value == NoBound && none:
			*value = 0
		case *value < 0:
			faults = append(faults, &policy.FieldError{Field: name, Value: *value, Allowed: "positive, or 0 for the default"})
		}
	}
	bound("MaxRequest", &c.MaxRequest, DefaultMaxRequest, false)
	bound("MaxAnswer", &c.MaxAnswer, DefaultMaxAnswer, false)
	bound("MaxFault", &c.MaxFault, DefaultMaxFault, false)
	if c.AnswerTimeout < 0 {
		faults = append(faults, &policy.FieldError{Field: "AnswerTimeout", Value: c.AnswerTimeout, Allowed: "positive, or 0 for no bound"})
	}
	bound("IdleTimeout", (*int64)(&c.IdleTimeout), int64(DefaultIdleTimeout), true)
	switch {
	case c.MaxAmbiguous == 0:
		c.MaxAmbiguous = DefaultMaxAmbiguous
	case c.MaxAmbiguous < NoBound:
		faults = append(faults, &policy.FieldError{Field: "MaxAmbiguous", Value: c.MaxAmbiguous, Allowed: "positive, 0 for the default, or NoBound"})
	}
	if len(faults) > 0 {
		return c, errors.Join(faults...)
	}
	if c.Base == nil {
		c.Base = NewBase(d.Snapshot().Workers)
	}
	if c.Key == nil {
		c.Key = KeyByHost
	}
	if c.Shape == nil {
		c.Shape = shapeOf
	}
	if c.Read == nil {
		c.Read = func(_ *Call, a api.Answer) api.Meaning { return api.Read(a) }
	}
	if c.Streams == nil {
		c.Streams = streams
	}
	if c.Repeatable == nil {
		c.Repeatable = repeatable
	}
	if c.OnNotice == nil {
		c.OnNotice = warn
	}
	return c, nil
}
