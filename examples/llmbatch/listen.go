package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

//go:embed page.html
var page []byte

// lookout serves the page, the figures as JSON, and metrics, while a run goes on.
type lookout struct {
	server *http.Server
	served sync.WaitGroup
}

// newLookout begins to listen; a nil one does not, without -listen.
func newLookout(addr string, b *batch) (*lookout, error) {
	if addr == "" {
		return nil, nil //nolint:nilnil // nobody is to look
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("-listen is %q: %w; allowed: host:port that is free on this machine, such as 127.0.0.1:8080", addr, err)
	}
	l := &lookout{server: &http.Server{Handler: lookoutHandler(b.report), ReadHeaderTimeout: 10 * time.Second}}
	l.served.Go(func() { _ = l.server.Serve(listener) }) // http.ErrServerClosed; a dead listener shows at the browser
	b.tell("the run can be watched at http://%s", listener.Addr())
	return l, nil
}

// close ends it. Whoever still reads is given a moment.
func (l *lookout) close() {
	if l == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if l.server.Shutdown(ctx) != nil {
		_ = l.server.Close()
	}
	l.served.Wait()
}

// lookoutHandler serves what look returns: / for people, /status for programs, /metrics for Prometheus.
func lookoutHandler(look func() report) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(newMetrics(look))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:")
		_, _ = w.Write(page)
	})
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		data, err := json.Marshal(look())
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write(data)
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return mux
}
