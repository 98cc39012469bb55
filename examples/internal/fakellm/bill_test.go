package fakellm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The whole of it: many clients at once, each retrying until it has an answer, and then the client's own counts against
// the bill.
func TestManyClientsAgainstTheBill(t *testing.T) {
	const prompts, clients, fail = 1319, 32, 0.1
	s, url := served(t, Config{Fail: fail, Throttle: 0.05, Seed: 42})
	var mu sync.Mutex
	seen := map[string]int{}
	var clientsDone sync.WaitGroup
	todo := make(chan int)
	for range clients {
		clientsDone.Go(func() {
			for i := range todo {
				prompt := fmt.Sprint("prompt ", i)
				for kind := ""; kind != "200"; {
					kind = attemptOnce(url, prompt)
					mu.Lock()
					seen[kind]++
					mu.Unlock()
				}
			}
		})
	}
	for i := range prompts {
		todo <- i
	}
	close(todo)
	clientsDone.Wait()

	l := fetched(t, url)
	want := map[string]int{"200": l.Completed, "429": l.ThrottledArbitrary, "500": l.Failed500, "503": l.Failed503, "reset": l.FailedReset}
	if !maps.Equal(seen, want) {
		t.Errorf("the clients saw %v, the bill says %v", seen, want)
	}
	if l.Completed != prompts || l.Prompts != prompts || !maps.Equal(l.CompletedPerPrompt, map[int]int{1: prompts}) {
		t.Errorf("%+v", l)
	}
	if got := float64(l.Failed()) / float64(l.Admitted); got < fail-0.01 || got > fail+0.01 {
		t.Errorf("%.4f of the admitted failed", got)
	}
	if l.Received != l.Settled() || l.InFlight != 0 || l.Received != l.Admitted+l.ThrottledArbitrary || l.PeakConcurrent > clients {
		t.Errorf("%+v", l)
	}
	if l.PeakAdmitted60s != l.Admitted && l.Elapsed < 60 {
		t.Errorf("%d admitted in %.1f s, but at most %d in 60 s", l.Admitted, l.Elapsed, l.PeakAdmitted60s)
	}
	if own := s.Ledger(); own.Received != l.Received || own.PromptTokens != l.PromptTokens {
		t.Errorf("Ledger() %+v, GET /_ledger %+v", own, l)
	}
}

// attemptOnce returns how one request went: its status, "reset", or what else went wrong.
func attemptOnce(url, prompt string) string {
	resp, data, err := post(url, chat(prompt))
	switch {
	case errors.Is(err, syscall.ECONNRESET):
		return "reset"
	case err != nil:
		return err.Error()
	case resp.StatusCode == 200 && !bytes.Contains(data, []byte(Digest(prompt))):
		return "another prompt's answer"
	}
	return fmt.Sprint(resp.StatusCode)
}

func fetched(t *testing.T, url string) (l Ledger) {
	t.Helper()
	resp, err := http.Get(url + "/_ledger")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&l); err != nil {
		t.Fatal(err)
	}
	return l
}

// A client that hangs up while its answer is made is found in the bill, and pays. Real connections, so real time: the
// latency is an hour, and only the hanging up can end it.
func TestHangUp(t *testing.T) {
	s, url := served(t, Config{Latency: Range{Min: time.Hour / 2}})
	ctx, hangUp := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/chat/completions", strings.NewReader(chat("a")))
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 1)
	go func() {
		_, err := http.DefaultClient.Do(req)
		failed <- err
	}()
	await(t, func() bool { return s.Ledger().Admitted == 1 })
	hangUp()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	await(t, func() bool { return s.Ledger().InFlight == 0 })
	if l := s.Ledger(); l.Abandoned != 1 || l.Completed != 0 || l.PromptTokens == 0 || l.CompletionTokens == 0 {
		t.Errorf("%+v", l)
	}
}

// await polls for what another goroutine is about to do, and gives up only when the machine must be stuck.
func await(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it never happened")
		}
	}
}
