// Package memnet is a network in memory, so that a bubble of testing/synctest can hold both ends of it.
package memnet

import (
	"context"
	"net"
	"sync"
)

// Network connects who dials with who listens, whatever the address. Make one with [New]. Its methods may be called from any goroutine.
type Network struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// New returns a network on which nobody listens yet. In a bubble it belongs to that.
func New() *Network { return &Network{conns: make(chan net.Conn), closed: make(chan struct{})} }

// Accept is that of a net.Listener. After Close it returns net.ErrClosed.
func (n *Network) Accept() (net.Conn, error) {
	select {
	case conn := <-n.conns:
		return conn, nil
	case <-n.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept and Dial. Connections go on.
func (n *Network) Close() error {
	n.once.Do(func() { close(n.closed) })
	return nil
}

// Addr returns an address of the kind that has no port.
func (n *Network) Addr() net.Addr { return &net.UnixAddr{Name: "memory"} }

// Dial is the DialContext of an http.Transport. It waits for Accept until ctx ends.
func (n *Network) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case n.conns <- there:
		return here, nil
	case <-n.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
