package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/toller-go/toller/dispatcher"
)

// pipes is a listener to which one connects inside the process: in a bubble, time stands still only for what is in it.
type pipes struct {
	coming chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes {
	return &pipes{coming: make(chan net.Conn), closed: make(chan struct{})}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.coming:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	mine, theirs := net.Pipe()
	select {
	case p.coming <- theirs:
		return mine, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// shutDown starts a server before the given backend, with a request under way, and tells it after a second to shut down, with
// ten seconds to do so. It returns what became of the request, what serve returned, and how long both took from then on.
func shutDown(t *testing.T, ask func(client *http.Client) (*http.Response, error), backend http.HandlerFunc) (answer string, took time.Duration, err error) {
	t.Helper()
	s := wide
	s.patience = time.Hour
	d, failed := dispatcher.New(config(s))
	if failed != nil {
		t.Fatal(failed)
	}
	p := newPipes()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	g := &guard{d: d, key: "backend", backend: backend, patience: s.patience, rate: s.rate}
	go func() { ended <- serve(ctx, p, g, d, 10*time.Second) }()

	client := &http.Client{Transport: &http.Transport{DialContext: p.dial}}
	defer client.CloseIdleConnections()
	answered := make(chan string, 1)
	go func() {
		response, err := ask(client)
		if err != nil {
			answered <- err.Error()
			return
		}
		body, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		answered <- response.Status + ": " + strings.TrimSpace(string(body))
	}()
	time.Sleep(time.Second)
	cancel()
	begin := time.Now()
	err = <-ended
	took = time.Since(begin)
	if _, err := client.Get("http://server/backend"); err == nil {
		t.Error("it takes requests after it has ended")
	}
	return <-answered, took, err
}

func plainGet(client *http.Client) (*http.Response, error) {
	return client.Get("http://server/backend")
}

// What is under way is finished.
func TestShutDownFinishesRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer, took, err := shutDown(t, plainGet, func(w http.ResponseWriter, r *http.Request) { respond(w, r, 6*time.Second, 200) })
		if err != nil || took < 5*time.Second || took > 6*time.Second {
			t.Errorf("%v after %v", err, took)
		}
		if answer != "200 OK: GET /backend:" {
			t.Error(answer)
		}
	})
}

// What is not finished in time is answered all the same, and the backend is told.
func TestShutDownAborts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := make(chan struct{})
		answer, took, err := shutDown(t, plainGet, func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			close(told)
		})
		if !errors.Is(err, errGrace) || took < 10*time.Second || took > 10*time.Second+lastWords {
			t.Errorf("%v after %v", err, took)
		}
		if answer != "503 Service Unavailable: the server is shutting down" {
			t.Error(answer)
		}
		<-told
	})
}

// A client that never sends all of its request does not keep the server from ending.
func TestShutDownWithoutTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body, never := io.Pipe()
		defer never.Close()
		_, took, err := shutDown(t, func(client *http.Client) (*http.Response, error) {
			return client.Post("http://server/backend", "text/plain", body)
		}, func(http.ResponseWriter, *http.Request) {})
		if took > 10*time.Second+lastWords {
			t.Errorf("%v after %v", err, took)
		}
	})
}

// A listener that fails ends the server, and its dispatcher.
func TestServeFails(t *testing.T) {
	d, err := dispatcher.New(config(wide))
	if err != nil {
		t.Fatal(err)
	}
	p := newPipes()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := serve(t.Context(), p, http.NotFoundHandler(), d, time.Second); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if _, found := dispatcher.Lookup(d.Name()); found {
		t.Error("the dispatcher has not been closed")
	}
}

// The program as a whole, over the network: it serves its backends, and ends with its context.
func TestStart(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	read, write := io.Pipe()
	var errs bytes.Buffer
	code := make(chan int, 1)
	go func() {
		code <- start(ctx, []string{"-listen", "127.0.0.1:0", "-patience", "10m", "-grace", "10m"}, write, &errs)
	}()
	line := make([]byte, 100)
	n, err := read.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	_, url, _ := strings.Cut(strings.TrimSpace(string(line[:n])), " at ")
	for path, want := range map[string]int{"/quick": 200, "/nowhere": 404} {
		response, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%s: %d", path, response.StatusCode)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	go func() { _, _ = io.Copy(io.Discard, read) }()
	cancel()
	if got := <-code; got != exitDone {
		t.Errorf("exit code %d: %s", got, errs.String())
	}
	_ = write.Close()
}

// The exit code and what is said, for the other ways to call the program.
func TestStartRefuses(t *testing.T) {
	for _, c := range []struct {
		args string
		code int
		said string
	}{
		{"-h", exitDone, "usage: server [flags]"},
		{"-patience 0", exitUsage, "must be positive"},
		{"8080", exitUsage, "nothing but flags"},
		{"-rate 0", exitUsage, `Limit("requests").Rate`},
		{"-swim 1", exitUsage, "see server -h"},
		{"-listen nowhere", exitFailed, "nowhere"},
	} {
		t.Run(c.args, func(t *testing.T) {
			var said bytes.Buffer
			if code := start(t.Context(), strings.Fields(c.args), &said, &said); code != c.code {
				t.Errorf("exit code %d, not %d", code, c.code)
			}
			if !strings.Contains(said.String(), c.said) {
				t.Errorf("no %q in:\n%s", c.said, said.String())
			}
		})
	}
}
