package sdk_test

import (
	"context"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/dispatcher/transport"
	"github.com/toller-go/toller/examples/internal/fakellm"
	"github.com/toller-go/toller/examples/internal/memnet"
)

// farAway is a way to an API that takes 10 to 100 ms, so that requests overtake one another. The seed decides.
type farAway struct {
	next http.RoundTripper
	mu   sync.Mutex
	rng  *rand.Rand // guarded by mu
}

func (f *farAway) RoundTrip(req *http.Request) (*http.Response, error) {
	f.mu.Lock()
	wait := 10*time.Millisecond + time.Duration(f.rng.Int64N(int64(90*time.Millisecond)))
	f.mu.Unlock()
	time.Sleep(wait)
	return f.next.RoundTrip(req)
}

// inMemory is an API behind such a network, and a client that sends to it through a dispatcher. Both end with the function that
// is returned, which must be called inside the bubble.
func inMemory(t *testing.T, cfg fakellm.Config, rules dispatcher.Config, way transport.Config) (*fakellm.Server, *http.Client, func()) {
	t.Helper()
	api, err := fakellm.New(cfg)
	require.NoError(t, err)
	network := memnet.New()
	server := &http.Server{Handler: api, ErrorLog: log.New(io.Discard, "", 0)}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(network) })

	base := transport.NewBase(rules.Workers)
	base.Proxy, base.DialContext = nil, network.Dial
	way.Base = &farAway{next: base, rng: rand.New(rand.NewPCG(5, 5))}
	d, err := dispatcher.New(rules)
	require.NoError(t, err)
	rt, err := transport.New(d, way)
	require.NoError(t, err)
	return api, &http.Client{Transport: rt}, func() {
		require.NoError(t, d.Close(context.Background()))
		base.CloseIdleConnections()
		server.Close()
		serving.Wait()
	}
}
