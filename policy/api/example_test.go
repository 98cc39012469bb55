package api_test

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/policy/api"
)

func ExampleRead() {
	m := api.Read(api.Answer{
		Status: 429,
		Header: http.Header{"Retry-After-Ms": {"599"}},
		Body:   []byte(`{"error": {"message": "Rate limit reached", "type": "tokens", "code": "rate_limit_exceeded"}}`),
		Shape:  api.ShapeOf("/v1/chat/completions"),
	})
	fmt.Println(m.Class, m.Code, m.Hint, m.Billed)

	err := m.Mark(errors.New("the call failed"))
	fmt.Println((&policy.Retry{MaxAttempts: 3}).Classify(err).Throttled)
	// Output:
	// throttled rate_limit_exceeded 599ms no
	// true
}

func ExampleLimits() {
	h := http.Header{}
	h.Set("x-ratelimit-limit-requests", "500")
	h.Set("x-ratelimit-remaining-requests", "490")
	h.Set("x-ratelimit-reset-requests", "1.2s")
	for _, o := range api.Limits(h, time.Now()) {
		rate, _ := o.Rate()
		fmt.Println(o.Limit, o.Remaining, "of", o.Max, "left, at", rate)
	}
	// Output: requests 490 of 500 left, at 500/min
}

func ExampleEstimator() {
	var e api.Estimator
	body := []byte(`{"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "Why is the sky blue?"}]}`)
	r := api.ReadRequest(api.Choices, body)
	guess := e.Estimate(r)
	fmt.Println(guess.Input, guess.Output)

	e.Learn(r.Model, guess, api.Usage{Input: 12, Output: 40}) // what the answer was billed
	fmt.Println(e.Estimate(r).Input)
	// Output:
	// 25 100
	// 12
}
