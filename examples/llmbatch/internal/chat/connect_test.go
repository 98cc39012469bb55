package chat

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/toller-go/toller/policy/api"
)

// nobody listens there. No other test can be given that port, as it could one that was free a moment ago.
const nobody = "http://127.0.0.1:1"

// Whatever goes wrong before there is a connection, nothing has been sent, and nothing can have been billed.
func TestUnsent(t *testing.T) {
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // what breaks is meant to
	secure.TLS = &tls.Config{MinVersion: tls.VersionTLS13}
	secure.StartTLS()
	defer secure.Close()
	refusing, _ := serve(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusProxyAuthRequired) })
	through := func(proxy string) func(*http.Transport) {
		return func(transport *http.Transport) {
			transport.Proxy = func(*http.Request) (*url.URL, error) { return url.Parse(proxy) }
		}
	}
	for _, test := range []struct {
		name   string
		change func(*http.Transport)
	}{
		{"the proxy is down", through(nobody)},
		{"the proxy does not let us through", through(refusing.URL)},
		{"the server does not like our TLS", func(transport *http.Transport) {
			transport.TLSClientConfig = &tls.Config{MaxVersion: tls.VersionTLS12, RootCAs: secure.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
		}},
		{"the time is up before there is a connection", func(transport *http.Transport) {
			transport.DialContext = func(context.Context, string, string) (net.Conn, error) { return nil, context.DeadlineExceeded }
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			client := clientOf(t, secure.URL)
			test.change(client.http.Transport.(*http.Transport))
			_, err := client.Complete(t.Context(), "sk-secret", []byte(request))
			want := transient
			want.Unbilled = true
			if classOf(err) != api.Unsent || outcomeOf(err) != want {
				t.Errorf("class %v, %+v: %v", classOf(err), outcomeOf(err), err)
			}
		})
	}
}

// But a run that ends while it waits for a connection has not found the server to be at fault.
func TestCanceledUnconnected(t *testing.T) {
	client := clientOf(t, "http://localhost")
	ctx, cancel := context.WithCancel(t.Context())
	client.http.Transport.(*http.Transport).DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		cancel()
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if _, err := client.Complete(ctx, "sk-secret", []byte(request)); !errors.Is(err, context.Canceled) || outcomeOf(err) != final {
		t.Errorf("class %v, %+v: %v", classOf(err), outcomeOf(err), err)
	}
}

// Over HTTP/2, too, what was written may have been billed.
func TestBrokenOffHTTP2(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			t.Errorf("over %s", r.Proto)
		}
		_, _ = io.Copy(io.Discard, r.Body)
		panic(http.ErrAbortHandler)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	client := clientOf(t, server.URL)
	client.http.Transport.(*http.Transport).TLSClientConfig = server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	for range 2 { // on a new connection, and on the one that there is
		if _, err := client.Complete(t.Context(), "sk-secret", []byte(request)); classOf(err) != api.Ambiguous || outcomeOf(err) != transient {
			t.Errorf("class %v, %+v: %v", classOf(err), outcomeOf(err), err)
		}
	}
}
