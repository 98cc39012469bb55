package api_test

import (
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/policy/api"
)

const chatStream = `data: {"id":"1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"role":"assistant","content":""}}],"usage":null}

data: {"id":"1","choices":[{"index":0,"delta":{"content":"Hi"}}],"usage":null}

data: {"id":"1","choices":[],"usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29}}

data: [DONE]

`

const messageStream = messageBegins + `event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":15}}

event: message_stop
data: {"type":"message_stop"}

`

const messageBegins = `event: message_start
data: {"type":"message_start","message":{"id":"msg_1","type":"message","content":[],"usage":{"input_tokens":25,"cache_read_input_tokens":5,"output_tokens":1}}}

event: ping
data: {"type": "ping"}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}

`

const responseStream = `event: response.created
data: {"type":"response.created","response":{"id":"resp_1","status":"in_progress","error":null,"usage":null}}

event: response.output_text.delta
data: {"type":"response.output_text.delta","delta":"Hi"}

event: response.completed
data: {"type":"response.completed","response":{"id":"resp_1","status":"completed","error":null,"usage":{"input_tokens":37,"output_tokens":11}}}

`

func TestStream(t *testing.T) {
	const overloaded = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n"
	tests := []struct {
		name, text string
		usage      api.Usage
		class      api.Class // OK if it does not fail
		code       string
		early      bool
	}{
		{name: "OpenAI, chat", text: chatStream, usage: usage(19, 10)},
		{name: "Anthropic", text: messageStream, usage: api.Usage{Input: 30, Cached: 5, Output: 15}},
		{name: "OpenAI, response", text: responseStream, usage: usage(37, 11)},
		{name: "Gemini", text: "data: {\"candidates\":[{}],\"usageMetadata\":{\"promptTokenCount\":4,\"candidatesTokenCount\":3}}\r\n\r\n", usage: usage(4, 3)},
		{name: "JSON a line", text: `{"candidates":[{}]}` + "\n" + `{"usage":{"prompt_tokens":4}}` + "\n", usage: usage(4, 0)},
		{name: "no space after the colon", text: "data:{\"usage\":{\"prompt_tokens\":4}}\n", usage: usage(4, 0)},
		{name: "old Mac line ends", text: "data: {\"usage\":{\"prompt_tokens\":4}}\rdata: [DONE]\r", usage: usage(4, 0)},
		{name: "broken off before the end of the line", text: `data: {"usage":{"prompt_tokens":4}}`},
		{name: "comments", text: ": OPENROUTER PROCESSING \"usage\" \"error\"\n\n" + chatStream, usage: usage(19, 10)},
		{name: "what is said of usage in an answer", text: "data: {\"choices\":[{\"delta\":{\"content\":\"the \\\"usage\\\": {\\\"prompt_tokens\\\": 7}\"}}]}\n\n"},
		{name: "no JSON", text: "data: \"usage\" is 7\n\ndata: {\"error\n\n"},
		{name: "nothing"},
		{name: "Anthropic, failed at once", text: overloaded, class: api.Throttled, code: "overloaded_error", early: true},
		{name: "Anthropic, failed on the way", text: messageBegins + overloaded, usage: api.Usage{Input: 30, Cached: 5, Output: 1},
			class: api.Throttled, code: "overloaded_error"},
		{name: "failed at once, after a comment", text: ": hello\n\n" + overloaded, class: api.Throttled, code: "overloaded_error", early: true},
		{name: "OpenRouter, failed on the way", text: "data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\ndata: {\"error\":{\"code\":502,\"message\":\"gone\"},\"choices\":[{\"finish_reason\":\"error\"}]}\n\n",
			class: api.BadAnswer, code: "502"},
		{name: "OpenRouter, failed in a choice", text: "data: {\"choices\":[{\"error\":{\"code\":502,\"message\":\"gone\"}}]}\n\n", class: api.BadAnswer, code: "502", early: true},
		{name: "OpenAI, a response that failed", text: "data: {\"type\":\"response.failed\",\"response\":{\"status\":\"failed\",\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"…\"}}}\n\n",
			class: api.Throttled, code: "rate_limit_exceeded", early: true},
		{name: "OpenAI, an error event", text: "event: error\ndata: {\"type\":\"error\",\"code\":\"server_error\",\"message\":\"gone\",\"param\":null}\n\n", class: api.BadAnswer, code: "server_error", early: true},
		{name: "the first failure counts", text: overloaded + "data: {\"error\":{\"code\":502}}\n\n", class: api.Throttled, code: "overloaded_error", early: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var whole, byByte api.Stream
			if n, err := whole.Write([]byte(test.text)); n != len(test.text) || err != nil {
				t.Errorf("Write: %d, %v", n, err)
			}
			in := iotest.OneByteReader(strings.NewReader(test.text))
			buf := make([]byte, 8)
			for n, err := in.Read(buf); err == nil; n, err = in.Read(buf) {
				_, _ = byByte.Write(buf[:n])
			}
			for name, s := range map[string]*api.Stream{"whole": &whole, "byte by byte": &byByte} {
				if got := s.Usage(); got != test.usage {
					t.Errorf("%s: usage %+v, want %+v", name, got, test.usage)
				}
				m, early, ok := s.Failure()
				if ok != (test.class != api.OK) || m.Class != test.class || m.Code != test.code || early != test.early {
					t.Errorf("%s: failure %+v, early %v, %v", name, m, early, ok)
				}
				if ok && (m.Hint != policy.NoHint || !m.Retry || m.Status != 200 || m.Billed != api.BilledMaybe) {
					t.Errorf("%s: %+v", name, m)
				}
			}
		})
	}
}

func TestStreamMessage(t *testing.T) {
	var s api.Stream
	_, _ = s.Write([]byte("data: {\"type\":\"error\",\"code\":null,\"message\":\"gone\"}\n"))
	if m, _, _ := s.Failure(); m.Message != "gone" || m.Code != "" {
		t.Errorf("%+v", m)
	}
}

func TestStreamHint(t *testing.T) {
	var s api.Stream
	_, _ = s.Write([]byte("data: {\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"Please try again in 3s.\"}}\n"))
	if m, _, _ := s.Failure(); m.Hint != 3*time.Second || m.Message != "Please try again in 3s." {
		t.Errorf("%+v", m)
	}
}

// A line without end is passed over, and not kept.
func TestStreamLongLine(t *testing.T) {
	var s api.Stream
	part := []byte(strings.Repeat("x", 64<<10))
	_, _ = s.Write([]byte(`data: {"usage":{"prompt_tokens":7},"x":"`))
	for range 1000 {
		_, _ = s.Write(part)
	}
	// The rest of it would do as a line of its own.
	_, _ = s.Write([]byte("data: {\"usage\":{\"prompt_tokens\":9}}\ndata: {\"usage\":{\"prompt_tokens\":4}}\n"))
	if got := s.Usage(); got != usage(4, 0) {
		t.Errorf("%+v", got)
	}
	// Nor is one that becomes too long only at its end.
	_, _ = s.Write([]byte(strings.Repeat("x", 256<<10-10)))
	_, _ = s.Write([]byte("data: {\"usage\":{\"prompt_tokens\":9}}\n"))
	if got := s.Usage(); got != usage(4, 0) {
		t.Errorf("%+v", got)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = s.Write(part) }); n > 5 {
		t.Errorf("%v allocations for each part of a line that is too long", n)
	}
}
