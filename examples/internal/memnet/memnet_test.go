package memnet_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/toller-go/toller/examples/internal/memnet"
)

// A client and a server talk in a bubble, and both ends end.
func TestNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })}
		served := make(chan error)
		go func() { served <- server.Serve(n) }()
		base := &http.Transport{DialContext: n.Dial}
		resp, err := (&http.Client{Transport: base}).Post("http://anywhere/", "text/plain", strings.NewReader("hello"))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(resp.Body)
		if err != nil || string(answer) != "hello" || resp.Body.Close() != nil {
			t.Errorf("%q, %v", answer, err)
		}
		base.CloseIdleConnections()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
		if _, err := n.Dial(t.Context(), "", ""); !errors.Is(err, net.ErrClosed) {
			t.Errorf("after the end: %v", err)
		}
	})
}

// Where nobody accepts, the context ends a dial.
func TestNobodyListens(t *testing.T) {
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if _, err := memnet.New().Dial(ctx, "", ""); !errors.Is(err, why) {
		t.Error(err)
	}
}
