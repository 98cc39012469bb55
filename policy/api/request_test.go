package api_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/toller-go/toller/policy/api"
)

func TestReadRequest(t *testing.T) {
	chat := func(members string) string { return `{"model":"gpt-4o","messages":[]` + members + `}` }
	tests := []struct {
		name  string
		shape api.Shape
		body  string
		want  api.Request // Input aside
	}{
		{"plain", api.Choices, chat(""), api.Request{Model: "gpt-4o", Outputs: true}},
		{"max_tokens", api.Choices, chat(`,"max_tokens":100`), api.Request{Model: "gpt-4o", Outputs: true, MaxOutput: 100}},
		{"max_completion_tokens comes first", api.Choices, chat(`,"max_tokens":100,"max_completion_tokens":50`), api.Request{Model: "gpt-4o", Outputs: true, MaxOutput: 50}},
		{"several answers", api.Choices, chat(`,"max_tokens":100,"n":3`), api.Request{Model: "gpt-4o", Outputs: true, MaxOutput: 300}},
		{"n without a bound", api.Choices, chat(`,"n":3`), api.Request{Model: "gpt-4o", Outputs: true}},
		{"n beyond belief", api.Choices, chat(`,"max_tokens":10,"n":1e11`), api.Request{Model: "gpt-4o", Outputs: true, MaxOutput: 10240}},
		{"negative figures", api.Choices, chat(`,"max_tokens":-100,"n":-3`), api.Request{Model: "gpt-4o", Outputs: true}},
		{"odd figures", api.Choices, chat(`,"max_tokens":"many","n":{},"max_output_tokens":7`), api.Request{Model: "gpt-4o", Outputs: true, MaxOutput: 7}},
		{"a stream", api.Choices, chat(`,"stream":true`), api.Request{Model: "gpt-4o", Outputs: true, Stream: true}},
		{"no stream", api.Choices, chat(`,"stream":"true"`), api.Request{Model: "gpt-4o", Outputs: true}},
		{"response", api.Responses, `{"model":"o3","input":"Why?","max_output_tokens":64}`, api.Request{Model: "o3", Outputs: true, MaxOutput: 64}},
		{"embeddings write nothing", api.Embeddings, `{"model":"e","input":"Why?","max_tokens":5}`, api.Request{Model: "e"}},
		{"Gemini", api.Candidates, `{"contents":[],"generationConfig":{"maxOutputTokens":9,"candidateCount":2}}`, api.Request{Outputs: true, MaxOutput: 18}},
		{"a model of an odd type", api.Choices, `{"model":7}`, api.Request{Outputs: true}},
		{"no JSON", api.Choices, "model=gpt", api.Request{Outputs: true}},
		{"half of it", api.Choices, chat("")[:30], api.Request{Outputs: true}},
		{"nothing", api.Any, "", api.Request{Outputs: true}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := api.ReadRequest(test.shape, []byte(test.body))
			if got.Input != api.EstimateTokens([]byte(test.body)) {
				t.Errorf("input %v", got.Input)
			}
			got.Input = 0
			if got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestEstimateTokens(t *testing.T) {
	image := base64.StdEncoding.EncodeToString(make([]byte, 300_000))
	quoted := func(s string) string {
		b, _ := json.Marshal(s)
		return string(b)
	}
	tests := []struct {
		name, text string
		want       float64
	}{
		{"nothing", "", 0},
		{"a token for four bytes", "abcd efgh", 9. / 4},
		{"Cyrillic: two bytes a letter", "да", 1},
		{"Chinese: a token a letter", "为什么天是蓝的", 7},
		{"Japanese", "なぜ空は青い", 6},
		{"Korean", "하늘은", 3},
		{"escaped in JSON", `\u4e3a\u4ec0`, 2},
		{"escaped in JSON, capitals", `\u4E3A`, 1},
		{"a rare letter, which JSON escapes as two", `\ud840\udc00`, 1 + 1./4},
		{"an emoji", "🙂", 1},
		{"no escape", `\u4e`, 4. / 4},
		{"no escape either", `\uzzzz`, 6. / 4},
		{"a line break", `\n`, 2. / 4},
		{"bytes that are no text", "\xff\xfe", 3. / 2}, // as what they are replaced by
		{"an image", `{"url":"data:image/png;base64,` + image + `"}`, 1000 + float64(len(`{"url":"data:image/png;base64,"}`))/4},
		{"an image at the end", image, 1000},
		{"a row just long enough to be no word", strings.Repeat("a", 1024), 1000},
		{"a long word", strings.Repeat("a", 1023), 1023. / 4},
		{"quoted like its text", quoted("why?"), 6. / 4},
	}
	for _, test := range tests {
		if got := api.EstimateTokens([]byte(test.text)); math.Abs(got-test.want) > 1e-9 {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
}

// How far off the estimate is, in texts whose tokens are known: those of OpenAI's cookbook on counting tokens (cl100k_base).
func TestEstimateIsNear(t *testing.T) {
	for text, tokens := range map[string]float64{
		"antidisestablishmentarianism": 6,
		"2 + 2 = 4":                    7,
		"お誕生日おめでとう":                    9,
	} {
		if got := api.EstimateTokens([]byte(text)); got < tokens/3.2 || got > 2*tokens {
			t.Errorf("%q: %v, in truth %v", text, got, tokens)
		}
	}
}

func usage(in, out int64) api.Usage { return api.Usage{Input: in, Output: out} }

func TestEstimator(t *testing.T) {
	var e api.Estimator
	r := api.Request{Model: "m", Input: 100, Outputs: true}
	check := func(name string, r api.Request, in, out float64) api.Estimate {
		t.Helper()
		got := e.Estimate(r)
		if math.Abs(got.Input-in) > 1e-6 || got.Output != out || got.Total() != got.Input+got.Output {
			t.Errorf("%s: got %+v, want %v and %v", name, got, in, out)
		}
		return got
	}
	est := check("nothing is known", r, 100, 1024)
	check("what may be written", api.Request{Model: "m", Input: 100, Outputs: true, MaxOutput: 50}, 100, 50)
	check("nothing is written", api.Request{Model: "m", Input: 100}, 100, 0)

	e.Learn("m", est, api.Usage{})
	check("a usage that is not known teaches nothing", r, 100, 1024)
	e.Learn("m", est, usage(150, 10))
	check("corrected", r, 150, 1024)
	check("another model", api.Request{Model: "other", Input: 100, Outputs: true}, 100, 1024)
	exact := check("an exact count is left alone", api.Request{Model: "m", Input: 100, Exact: true, Outputs: true}, 100, 1024)
	e.Learn("m", exact, usage(100, 10))
	check("and teaches nothing of the input", r, 150, 1024)

	for range 8 {
		e.Learn("m", exact, usage(100, 10))
	}
	check("ten answers", r, 150, 11) // the step from 10 to 11
	for range 90 {
		e.Learn("m", exact, usage(100, 10))
	}
	for range 10 {
		e.Learn("m", exact, usage(100, 4000))
	}
	check("a tenth of them long", r, 150, 11)
	for range 2 {
		e.Learn("m", exact, usage(100, 4000))
	}
	check("more than a tenth", r, 150, 4095)
}

// The correction follows a change, and is not carried away.
func TestEstimatorFollows(t *testing.T) {
	var e api.Estimator
	r := api.Request{Model: "m", Input: 100}
	for range 200 {
		e.Learn("m", e.Estimate(r), usage(200, 0))
	}
	if got := e.Estimate(r).Input; math.Abs(got-200) > 0.01 {
		t.Errorf("after 200 answers: %v", got)
	}
	for range 60 { // of which the first weighs a twentieth
		e.Learn("m", e.Estimate(r), usage(50, 0))
	}
	if got := e.Estimate(r).Input; got > 60 || got < 50 {
		t.Errorf("60 answers after a change: %v", got)
	}
	for range 200 {
		e.Learn("m", e.Estimate(r), usage(1_000_000, 0))
	}
	if got := e.Estimate(r).Input; got != 1600 {
		t.Errorf("of something else: %v", got)
	}
	for range 400 {
		e.Learn("m", e.Estimate(api.Request{Model: "m", Input: 1e6}), usage(1, 0))
	}
	if got := e.Estimate(r).Input; got != 100./16 {
		t.Errorf("of something else: %v", got)
	}
}

// p90 within a step of a quarter, whatever the lengths; and what was long ago fades.
func TestEstimatorOutputs(t *testing.T) {
	var e api.Estimator
	r := api.Request{Model: "m", Outputs: true}
	for i := range int64(1000) {
		e.Learn("m", api.Estimate{}, usage(0, 1+i))
	}
	if got := e.Estimate(r).Output; got < 900 || got > 900*1.25 {
		t.Errorf("nine of ten are below 900: %v", got)
	}
	for range 2000 {
		e.Learn("m", api.Estimate{}, usage(0, 5))
	}
	if got := e.Estimate(r).Output; got != 5 {
		t.Errorf("long after: %v", got)
	}
	for _, n := range []int64{1, 2, 3, 4, 7, 1 << 20, 1<<40 - 1} {
		var e api.Estimator
		for range 10 {
			e.Learn("m", api.Estimate{}, usage(0, n))
		}
		if got := e.Estimate(r).Output; got < float64(n) || got > 1.25*float64(n)+1 {
			t.Errorf("all are %d: %v", n, got)
		}
	}
}

// The names of models are a caller's, and may be without end.
func TestEstimatorManyModels(t *testing.T) {
	var e api.Estimator
	for i := range 3000 {
		name := fmt.Sprint("model ", i)
		e.Learn(name, e.Estimate(api.Request{Model: name, Input: 100}), usage(200, 1))
	}
	for _, name := range []string{"model 7", "model 2999", "never heard of"} {
		if got := e.Estimate(api.Request{Model: name, Input: 100}).Input; got < 150 || got > 400 {
			t.Errorf("%s: %v", name, got)
		}
	}
}
