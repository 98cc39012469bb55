package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// ward is a strict API: it counts requests and the tokens that they really come to in sliding windows of a minute, as they arrive, and
// refuses what is too much.
type ward struct {
	latency          time.Duration
	prompt, complete int     // tokens of each request
	rpm, tpm         float64 // 0: not bounded

	mu      sync.Mutex
	arrived []time.Time // guarded by mu; those that were admitted
	refused int         // guarded by mu
}

func (w *ward) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	if !w.admit() {
		rw.Header().Set("Retry-After-Ms", "500")
		refuse(rw, 429, "rate_limit_exceeded", "slower")
		return
	}
	time.Sleep(w.latency)
	usage := map[string]int{"prompt_tokens": w.prompt, "completion_tokens": w.complete}
	_ = json.NewEncoder(rw).Encode(map[string]any{"usage": usage, "choices": []any{map[string]any{"message": map[string]string{"content": "x"}, "finish_reason": "stop"}}})
}

func (w *ward) admit() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	now, recent := time.Now(), 0
	for i := len(w.arrived) - 1; i >= 0 && now.Sub(w.arrived[i]) <= time.Minute; i-- {
		recent++
	}
	if w.rpm > 0 && float64(recent+1) > w.rpm || w.tpm > 0 && float64((recent+1)*(w.prompt+w.complete)) > w.tpm {
		w.refused++
		return false
	}
	w.arrived = append(w.arrived, now)
	return true
}

// Three minutes at rpm 600 and tpm 90,000, with estimates ten times too high and half of what it is: nearly all of what binds is used
// after the first minute, and the server has nothing, or next to nothing, to refuse.
func TestStrictServer(t *testing.T) {
	t.Setenv(keyEnv, theKey)
	tests := []struct {
		name      string
		maxTokens int // which is what the estimate of the output is
		tokens    int // of each request, half of them of the prompt
		binding   float64
		refused   float64 // share, at most
	}{
		{"tokens bind, ten times too high", 900, 180, 90_000 / 180, 0},
		{"requests bind, ten times too high", 600, 120, 600, 0},
		{"tokens bind, half of it", 1, 200, 90_000 / 200, 0.02},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := newRun(t, "http://ward/v1", 0)
			var lines strings.Builder
			for n := range 2000 {
				line := batchLine(fmt.Sprintf("id-%d", n), strings.Repeat("word", test.tokens/2-30))
				lines.WriteString(strings.Replace(line, `"model":"fake-mini"`, fmt.Sprintf(`"model":"fake-mini","max_tokens":%d`, test.maxTokens), 1))
			}
			r.write(t, lines.String())
			w := &ward{latency: 800 * time.Millisecond, prompt: test.tokens / 2, complete: test.tokens / 2, rpm: 600, tpm: 90_000}
			_, began, _ := r.inBubble(t, func() http.Handler { return w }, r.args("-rpm", "600", "-tpm", "90000", "-run-deadline", "3m"))
			later := 0
			for _, at := range w.arrived {
				if at.Sub(began) > time.Minute && at.Sub(began) <= 3*time.Minute {
					later++
				}
			}
			used := float64(later) / (2 * test.binding)
			refused := float64(w.refused) / float64(len(w.arrived)+w.refused)
			t.Logf("%.1f %% of the limit used, %.2f %% refused", 100*used, 100*refused)
			if used < 0.97 || refused > test.refused {
				t.Errorf("%.1f %% of the limit used, %.2f %% refused", 100*used, 100*refused)
			}
		})
	}
}
