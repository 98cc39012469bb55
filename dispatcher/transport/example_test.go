package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"time"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/dispatcher/transport"
	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/policy/api"
)

// Any client, and so any SDK that takes one, by changing one field.
func Example() {
	var calls atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch calls.Add(1) {
		case 1:
			w.Header().Set("Retry-After-Ms", "50")
			w.WriteHeader(http.StatusTooManyRequests)
		case 2:
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			_, _ = io.WriteString(w, `{"choices": [{"message": {"content": "Because of the air."}}]}`)
		}
	}))
	defer server.Close()

	d, err := dispatcher.New(dispatcher.Config{
		Limits: []policy.Limit{{Name: "requests", Rate: policy.PerMinute(500), Burst: 10}},
		Retry:  policy.Retry{MaxAttempts: 5, Delay: time.Millisecond},
	})
	if err != nil {
		panic(err)
	}
	defer d.Close(context.Background())
	t, err := transport.New(d, transport.Config{Key: transport.KeyByModel})
	if err != nil {
		panic(err)
	}
	client := &http.Client{Transport: t}
	defer client.CloseIdleConnections()

	prompt := `{"model": "m", "messages": [{"role": "user", "content": "Why is the sky blue?"}]}`
	resp, err := client.Post(server.URL+"/v1/chat/completions", "application/json", strings.NewReader(prompt))
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Println(resp.StatusCode, string(body))
	// Output: 200 {"choices": [{"message": {"content": "Because of the air."}}]}
}

func ExampleFailure() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error": {"message": "too long", "code": "context_length_exceeded"}}`)
	}))
	defer server.Close()
	d, err := dispatcher.New(dispatcher.Config{Retry: policy.Retry{MaxAttempts: 5}})
	if err != nil {
		panic(err)
	}
	defer d.Close(context.Background())
	t, err := transport.New(d, transport.Config{})
	if err != nil {
		panic(err)
	}
	client := &http.Client{Transport: t}
	defer client.CloseIdleConnections()

	resp, err := client.Post(server.URL+"/v1/chat/completions", "application/json", strings.NewReader(`{}`))
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	if told, ok := errors.AsType[*api.Error](transport.Failure(resp)); ok {
		fmt.Println(resp.StatusCode, told.Class, told.Code)
	}
	// Output: 400 never_fits context_length_exceeded
}
