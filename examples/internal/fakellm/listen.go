package fakellm

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// door is the listening half of a Server.
type door struct {
	mu      sync.Mutex
	server  *http.Server  // guarded by mu; nil before Start
	host    string        // guarded by mu; host:port, empty before Start
	stopped bool          // guarded by mu; set by the first Shutdown
	served  chan struct{} // guarded by mu, set with server; closed when its goroutine has ended
}

// Start listens on a TCP address and serves in a goroutine, which Shutdown ends. An empty addr is a free port of the
// loopback interface, "127.0.0.1:0". When it returns nil, connections are accepted. Errors: ErrStarted, ErrStopped, or
// the one of listening; after the last, Start may be called again.
func (s *Server) Start(addr string) error {
	s.door.mu.Lock()
	defer s.door.mu.Unlock()
	switch {
	case s.door.stopped:
		return ErrStopped
	case s.door.server != nil:
		return ErrStarted
	case addr == "":
		addr = "127.0.0.1:0"
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	// No idle timeout: a server that closes idle connections races with the client's next request, and that failure
	// would be on nobody's schedule. Aborted requests are meant, so there is nothing to log.
	server := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	served := make(chan struct{})
	s.door.server, s.door.host, s.door.served = server, reachable(listener.Addr()), served
	go func() {
		defer close(served)
		_ = server.Serve(listener) // http.ErrServerClosed after Shutdown; a dead listener shows at the client
	}()
	return nil
}

// reachable is the address under which a client of this machine finds the listener.
func reachable(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if ok && tcp.IP.IsUnspecified() {
		tcp = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: tcp.Port}
		return tcp.String()
	}
	return addr.String()
}

// BaseURL is what an OpenAI client takes as its base URL, such as "http://127.0.0.1:40123/v1". Empty before Start.
func (s *Server) BaseURL() string { return s.url("/v1") }

// LedgerURL is where the bill can be fetched. Empty before Start.
func (s *Server) LedgerURL() string { return s.url("/_ledger") }

func (s *Server) url(path string) string {
	s.door.mu.Lock()
	defer s.door.mu.Unlock()
	if s.door.host == "" {
		return ""
	}
	return "http://" + s.door.host + path
}

// Shutdown stops listening, ends the latency of what is being answered, and waits until those answers are sent. When
// ctx ends first, it closes the remaining connections and returns the context's error. Without a Start it only ends the
// latencies, those of requests to come included. A second call waits again for what may remain. The Ledger stays.
func (s *Server) Shutdown(ctx context.Context) error {
	s.door.mu.Lock()
	if !s.door.stopped {
		s.door.stopped = true
		close(s.stopping)
	}
	server, served := s.door.server, s.door.served
	s.door.mu.Unlock()
	if server == nil {
		return nil
	}
	err := server.Shutdown(ctx)
	if err != nil {
		_ = server.Close() // its error is about connections that are being cut anyway
	}
	<-served
	return err
}
