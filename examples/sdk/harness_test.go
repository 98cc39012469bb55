package sdk_test

import (
	"context"
	"flag"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/dispatcher/transport"
	"github.com/toller-go/toller/examples/internal/fakellm"
)

// full has the long tests take the time that they are about, minutes: go test -run … -args -full.
var full = flag.Bool("full", false, "at the real pace, which takes minutes")

// TestMain has more tests run at once than there are processors, for they wait most of the time.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}

// patience bounds what must end by itself.
const patience = 20 * time.Second

// model is what all ask for.
const model = "fake-mini"

// hostile starts an API, and returns it with its URL, without a path.
func hostile(t *testing.T, cfg fakellm.Config) (*fakellm.Server, string) {
	t.Helper()
	api, err := fakellm.New(cfg)
	require.NoError(t, err)
	require.NoError(t, api.Start("127.0.0.1:0"))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(t, api.Shutdown(ctx))
	})
	return api, strings.TrimSuffix(api.BaseURL(), "/v1")
}

// through returns a client that sends through a dispatcher of its own.
func through(t *testing.T, rules dispatcher.Config, cfg transport.Config) *http.Client {
	t.Helper()
	d, err := dispatcher.New(rules)
	require.NoError(t, err)
	rt, err := transport.New(d, cfg)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(t, d.Close(ctx))
		rt.CloseIdleConnections()
	})
	return &http.Client{Transport: rt}
}
