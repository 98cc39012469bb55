package transport_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/dispatcher/transport"
	"github.com/toller-go/toller/policy/api"
)

// resetting is a server that speaks as much HTTP/2 as it takes to answer every request with a reset of its stream.
type resetting struct {
	*memory
	code uint32 // of RST_STREAM
	tls  *tls.Config

	mu       sync.Mutex
	requests int // guarded by mu; that were sent, be it more than once
}

var secureURL = strings.Replace(chatURL, "http:", "https:", 1)

// Frames of HTTP/2 (RFC 9113).
const (
	frameHeaders   = 1
	frameRstStream = 3
	frameSettings  = 4

	internalError = 2 // the stream may have been worked on
	refusedStream = 7 // it has not been
)

func frame(kind byte, stream uint32, payload []byte) []byte {
	f := []byte{byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload)), kind, 0}
	return append(binary.BigEndian.AppendUint32(f, stream), payload...)
}

func (r *resetting) serve() {
	var talks sync.WaitGroup
	defer talks.Wait()
	for {
		conn, err := r.Accept()
		if err != nil {
			return
		}
		talks.Go(func() { r.talk(tls.Server(conn, r.tls)) })
	}
}

func (r *resetting) talk(conn net.Conn) {
	defer conn.Close()
	answers := make(chan []byte, 100) // or both sides could wait for the other to read
	defer close(answers)
	go func() {
		for answer := range answers {
			_, _ = conn.Write(answer)
		}
	}()
	answers <- frame(frameSettings, 0, nil)
	if _, err := io.CopyN(io.Discard, conn, int64(len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))); err != nil {
		return
	}
	for head := make([]byte, 9); ; {
		if _, err := io.ReadFull(conn, head); err != nil {
			return
		}
		if _, err := io.CopyN(io.Discard, conn, int64(head[0])<<16|int64(head[1])<<8|int64(head[2])); err != nil {
			return
		}
		if head[3] == frameHeaders {
			r.mu.Lock()
			r.requests++
			r.mu.Unlock()
			answers <- frame(frameRstStream, binary.BigEndian.Uint32(head[5:]), binary.BigEndian.AppendUint32(nil, r.code))
		}
	}
}

// resettingWorld is a client of such a server. Whoever dials is held up by dialing first, and then not heeded any more.
func resettingWorld(t *testing.T, code uint32, dialing func()) (*resetting, *world) {
	certificate, roots := certify(t, "llm.example")
	server := &resetting{
		memory: &memory{conns: make(chan net.Conn), closed: make(chan struct{})}, code: code,
		tls: &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"h2"}},
	}
	done := make(chan struct{})
	go func() { defer close(done); server.serve() }()
	t.Cleanup(func() {
		server.Close()
		<-done
	})
	base := transport.NewBase(4)
	base.Proxy, base.TLSClientConfig = nil, &tls.Config{RootCAs: roots}
	base.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		dialing()
		return server.dial(context.WithoutCancel(ctx), network, address)
	}
	t.Cleanup(base.CloseIdleConnections)
	tr, err := transport.New(open(t, dispatcher.Config{}), transport.Config{Base: base})
	require.NoError(t, err)
	return server, &world{t: t, client: &http.Client{Transport: tr}}
}

// certify returns a certificate of a host that holds in a bubble, and those who trust it.
func certify(t *testing.T, host string) (tls.Certificate, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{host}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	leaf, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

// S-A1: HTTP/2 has a way to say that a request has not been looked at, and net/http would send it again by itself.
func TestNothingIsSentAgainOverHTTP2(t *testing.T) {
	for _, method := range []string{"", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodDelete} {
		t.Run(method, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, w := resettingWorld(t, refusedStream, func() {})
				req := post(t.Context(), secureURL)
				req.Method = method
				bare(req)
				assert.Error(t, w.do(req).err)
				assert.Equal(t, 1, server.requests)
			})
		})
	}
}

// Over HTTP/2 a request may be sent on a connection which another one has asked for and been canceled: then it has been sent all the
// same, and may be billed.
func TestSentOnTheConnectionOfAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate, dials := make(chan struct{}), 0
		server, w := resettingWorld(t, internalError, func() { dials++; <-gate })
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan error)
		go func() { gone <- w.do(post(ctx, secureURL)).err }()
		synctest.Wait()
		cancel()
		require.Error(t, <-gone)
		close(gate)
		synctest.Wait() // until the connection is there
		assert.Zero(t, server.requests)

		var told *api.Error
		require.ErrorAs(t, w.do(post(t.Context(), secureURL)).err, &told)
		assert.Equal(t, 1, dials)
		assert.Equal(t, 1, server.requests)
		assert.Equal(t, api.Ambiguous, told.Class)
		assert.NotEqual(t, api.BilledNo, told.Billed)
	})
}
