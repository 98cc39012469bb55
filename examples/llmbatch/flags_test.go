package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/toller-go/toller/examples/llmbatch/internal/batchfile"
	"github.com/toller-go/toller/policy"
)

// What is wrong is refused before anything is sent, in words that say where, what, and what would do.
func TestRefused(t *testing.T) {
	const good = "hello\n"
	line := func(id string) string { return batchLine(id, "hello") }
	tests := []struct {
		name  string
		input string   // of the file; empty: two lines of text
		flags []string // on top of those of a run that would go well
		says  []string
	}{
		// Flags.
		{"unknown", "", []string{"-bogus", "3"}, []string{"-bogus", "allowed:", "-max-in-flight", "-rpm"}},
		{"no value", "", []string{"-rpm"}, []string{"-rpm", "argument", "allowed: a value behind it", "llmbatch run -h"}},
		{"rpm no number", "", []string{"-rpm", "many"}, []string{"-rpm", `"many"`}},
		{"rpm zero", "", []string{"-rpm", "0"}, []string{"-rpm is 0", "allowed:", "above 0"}},
		{"rpm negative", "", []string{"-rpm", "-5"}, []string{"-rpm is -5", "allowed:", "above 0"}},
		{"rpm NaN", "", []string{"-rpm", "NaN"}, []string{"-rpm is NaN", "allowed:"}},
		{"rpm infinite", "", []string{"-rpm", "Inf"}, []string{"-rpm is +Inf", "allowed:", "1e9"}},
		{"rpm is the burst", "", []string{"-rpm", "60", "-burst", "60"}, []string{"-rpm is 60", "more than the burst of 60"}},
		{"rpm below the burst", "", []string{"-rpm", "10", "-burst", "20"}, []string{"-rpm is 10", "more than the burst of 20"}},
		{"burst without rpm", "", []string{"-burst", "5"}, []string{"-burst is 5", "-rpm"}},
		{"burst below one", "", []string{"-rpm", "60", "-burst", "0.5"}, []string{"-burst is 0.5", "at least 1"}},
		{"burst NaN", "", []string{"-rpm", "60", "-burst", "NaN"}, []string{"-burst is NaN", "at least 1"}},
		{"burst infinite", "", []string{"-rpm", "60", "-burst", "Inf"}, []string{"-rpm is 60", "more than the burst"}},
		{"in flight", "", []string{"-max-in-flight", "0"}, []string{"-max-in-flight is 0", "at least 1"}},
		{"attempts", "", []string{"-max-attempts", "-1"}, []string{"-max-attempts is -1", "at least 1"}},
		{"attempts no number", "", []string{"-max-attempts", "2.5"}, []string{"-max-attempts", `"2.5"`}},
		{"timeout", "", []string{"-timeout", "0s"}, []string{"-timeout is 0s", "above 0"}},
		{"timeout without a unit", "", []string{"-timeout", "30"}, []string{"-timeout", `"30"`}},
		{"rpd", "", []string{"-rpd", "0.5"}, []string{"-rpd is 0.5", "at least 1"}},
		{"tpm", "", []string{"-tpm", "0"}, []string{"-tpm is 0", "above 0"}},
		{"itpm", "", []string{"-itpm", "-1"}, []string{"-itpm is -1", "above 0"}},
		{"otpm", "", []string{"-otpm", "x"}, []string{"-otpm", `"x"`, "allowed: a number"}},
		{"price", "", []string{"-price", "1"}, []string{"-price", "in=USD,out=USD"}},
		{"budget without price", "", []string{"-budget-usd", "1"}, []string{"-budget-usd is 1", "-price"}},
		{"budget", "", []string{"-budget-tokens", "0"}, []string{"-budget-tokens is 0", "from 1"}},
		{"ambiguous", "", []string{"-retry-ambiguous", "-1"}, []string{"-retry-ambiguous is -1", "0 or more"}},
		{"throttle wait", "", []string{"-max-throttle-wait", "0s"}, []string{"-max-throttle-wait is 0s"}},
		{"connect timeout", "", []string{"-connect-timeout", "-1s"}, []string{"-connect-timeout is -1s"}},
		{"idle timeout", "", []string{"-idle-timeout", "soon"}, []string{"-idle-timeout", `"soon"`, "30s"}},
		{"deadline", "", []string{"-deadline", "-1s"}, []string{"-deadline is -1s", "0 for none"}},
		{"run deadline", "", []string{"-run-deadline", "-1s"}, []string{"-run-deadline is -1s", "0 for none"}},
		{"seed", "", []string{"-seed", "0"}, []string{"-seed", "from 1"}},
		{"set", "", []string{"-set", "x"}, []string{"-set", "NAME=VALUE"}},
		{"set twice", "", []string{"-set", "x=1", "-set", "x=2"}, []string{"-set", "each once"}},
		{"set model", "", []string{"-set", "model=7"}, []string{"-set", "model", "text"}},
		{"set stream", "", []string{"-set", "stream=true"}, []string{"-set", "stream=true", "allowed: stream=false"}},
		{"response bytes", "", []string{"-max-response-bytes", "0"}, []string{"-max-response-bytes is 0", "from 1 to 66060288"}},
		{"response bytes too many", "", []string{"-max-response-bytes", "66060289"}, []string{"-max-response-bytes is 66060289", "from 1 to 66060288"}},
		{"password in the URL", "", []string{"-base-url", "https://me:secret@h/v1"}, []string{"-base-url", "environment"}},
		{"password and key in the URL", "", []string{"-base-url", "https://me:secret@h/v1?key=AIza#x"}, []string{`-base-url is "https://…@h/v1?…#…"`, "without ? or #"}},
		{"a key for a name", "", []string{"-api-key-env", "sk-proj-0123456789"}, []string{"-api-key-env", "not repeated here"}},
		{"one key twice", "", []string{"-api-key-env", keyEnv + "," + keyEnv}, []string{"-api-key-env", "the same key"}},
		{"a key without a name", "", []string{"-api-key-env", keyEnv + ","}, []string{"-api-key-env", "commas between"}},
		{"listen", "", []string{"-listen", "nowhere"}, []string{`-listen is "nowhere"`, "127.0.0.1:8080"}},
		{"order", "", []string{"-order", "random"}, []string{`-order is "random"`, "completion, input"}},
		{"dedupe", "", []string{"-dedupe", "yes"}, []string{`-dedupe is "yes"`, "auto, always, off"}},
		{"progress", "", []string{"-progress", "fancy"}, []string{`-progress is "fancy"`, "auto, plain, json, off"}},
		{"base url", "", []string{"-base-url", "api.openai.com/v1"}, []string{`-base-url is "api.openai.com/v1"`, "https://"}},
		{"base url, another scheme", "", []string{"-base-url", "ftp://x/v1"}, []string{`-base-url is "ftp://x/v1"`, "http or https"}},
		{"base url without host", "", []string{"-base-url", "https:///v1"}, []string{"-base-url", "allowed:"}},
		{"prompt field", "", []string{"-prompt-field", ""}, []string{"-prompt-field", "the name of a field"}},
		{"no input", "", []string{"-i", ""}, []string{"-i is missing", "stdin", "demo"}},
		{"no output", "", []string{"-o", ""}, []string{`-o is ""`, "stdout"}},
		{"argument", "", []string{"more.jsonl"}, []string{`"more.jsonl"`, "flags only"}},
		{"key not set", "", []string{"-api-key-env", "LLMBATCH_TEST_NO_SUCH_KEY"}, []string{"-api-key-env", "LLMBATCH_TEST_NO_SUCH_KEY", "not set", "is not set; export your API key"}},
		{"two faults", "", []string{"-max-attempts", "0", "-timeout", "-1s"}, []string{"-max-attempts is 0", "\n-timeout is -1s"}},

		// The input.
		{"no such file", "", []string{"-i", "no-such-file.jsonl"}, []string{"no-such-file.jsonl", "no such file"}},
		{"empty", " \n", nil, []string{"prompts.jsonl", "blank lines only"}},
		{"malformed", line("a") + `{"custom_id": "b", ` + "\n" + line("c"), nil, []string{"prompts.jsonl:2:", "malformed JSON"}},
		{"duplicate", line("a") + line("b") + line("a"), nil, []string{"prompts.jsonl:3:", `"a"`, "line 1", "unique"}},
		{"all faults", line("a") + line("a") + "{}\n", nil, []string{"prompts.jsonl:2:", "prompts.jsonl:3:"}},
		{"no model", `{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"messages":[]}}`, nil, []string{"prompts.jsonl:1:", "-model"}},
		{"no prompt field", `{"question":"what?"}`, []string{"-model", "m"}, []string{"prompts.jsonl:1:", `"prompt"`, `"question"`, "-prompt-field"}},
		{"method", `{"custom_id":"a","method":"GET","url":"/v1/chat/completions","body":{"model":"m"}}`, nil, []string{"prompts.jsonl:1:", `"GET"`, "allowed: POST"}},
		{"url", `{"custom_id":"a","method":"POST","url":"/v1/embeddings","body":{"model":"m"}}`, nil, []string{"prompts.jsonl:1:", "/v1/embeddings", "allowed: /v1/chat/completions"}},
		{"array", `[{"prompt":"x"}]`, nil, []string{"prompts.jsonl:1:", "JSON array"}},
		{"mixed", line("a") + good, nil, []string{"prompts.jsonl:2:", "plain text", "an object"}},
		{"no UTF-8", "caf\xe9\n", []string{"-model", "m"}, []string{"prompts.jsonl:1:", "UTF-8"}},

		// The output.
		{"no such directory", "", []string{"-o", "no-such-directory/results.jsonl"}, []string{`-o is "no-such-directory/results.jsonl"`, "no directory no-such-directory; allowed"}},
		{"no such directory of the journal", "", []string{"-journal", "nowhere/journal"}, []string{`-journal is "nowhere/journal"`, "no directory nowhere; allowed"}},
		{"output is a directory", "", []string{"-o", "."}, []string{`-o is ".", a directory; allowed: a file`}},
		{"output is a device", "", []string{"-o", os.DevNull}, []string{"-o is", "no regular file; allowed"}},
		{"output is the input", "", []string{"-o", "./prompts.jsonl"}, []string{`-o is "./prompts.jsonl", the input; allowed: another file`}},
		{"input is a directory", "", []string{"-i", "."}, []string{`-i is ".", a directory; allowed: a file of prompts`}},
	}
	api := serve(t, answers)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := newRun(t, api.baseURL(), 0)
			t.Chdir(filepath.Dir(r.in))
			if test.input == "" {
				r.write(t, "one\ntwo\n")
				test.flags = append([]string{"-model", "m"}, test.flags...)
			} else {
				r.write(t, test.input)
			}
			r.run(t, exitUsage, test.flags...)
			text := r.stderr.String()
			for _, words := range test.says {
				if !strings.Contains(text, words) {
					t.Errorf("%q is not said:\n%s", words, text)
				}
			}
			if !strings.HasPrefix(text, "llmbatch: ") {
				t.Errorf("nobody knows who says this:\n%s", text)
			}
			if r.stdout.String() != "" {
				t.Errorf("stdout:\n%s", r.stdout)
			}
			if _, err := os.Stat(r.out); err == nil {
				t.Error("there is an output")
			}
		})
	}
	api.mustHit(t, 0, 0)
}

// The key comes from the environment; an empty one is none.
func TestKey(t *testing.T) {
	t.Setenv(keyEnv, "")
	if _, err := parseFlags([]string{"-i", "x", "-api-key-env", keyEnv}); err == nil || !strings.Contains(err.Error(), keyEnv) {
		t.Error(err)
	}
	t.Setenv(keyEnv, theKey)
	s, err := parseFlags([]string{"-i", "x", "-api-key-env", keyEnv})
	if err != nil || s.keys[0].secret != theKey {
		t.Errorf("%+v, %v", s.keys, err)
	}
	t.Setenv("OPENAI_API_KEY", "sk-default")
	if s, err = parseFlags([]string{"-i", "x"}); err != nil || s.keys[0].secret != "sk-default" {
		t.Errorf("%+v, %v", s.keys, err)
	}
}

func TestDefaults(t *testing.T) {
	t.Setenv("OPENAI_API_KEY", "k")
	t.Setenv(keyEnv, "l")
	args := []string{"-i", "prompts.jsonl"}
	got, err := parseFlags(args)
	want := settings{
		in: "prompts.jsonl", out: "results.jsonl", promptField: "prompt", baseURL: "https://api.openai.com/v1", keys: []credential{{"OPENAI_API_KEY", "k"}},
		maxInFlight: 64, maxAttempts: 6, retryAmbiguous: 2, throttleWait: 15 * time.Minute, timeout: 2 * time.Minute, connectTimeout: 10 * time.Second,
		idleTimeout: time.Minute, maxResponse: 32 << 20, progress: "auto", order: "completion", dedupe: "off", command: args,
		journal: "results.jsonl.journal", sync: "interval",
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
	args = strings.Fields("-i - -o - -prompt-field q -base-url http://h:1/v1/ -model m -api-key-env OPENAI_API_KEY," + keyEnv + " -rpm 600 -burst 7 -rpd 8 " +
		"-tpm 9 -itpm 10 -otpm 11 -max-in-flight 2 -max-attempts 3 -retry-ambiguous 0 -max-throttle-wait 1m -timeout 4s -connect-timeout 5s " +
		"-idle-timeout 6s -deadline 7m -run-deadline 8h -price in=1,out=2,cached=0.5 -budget-usd 3 -budget-tokens 4 -strict -max-response-bytes 5 " +
		"-seed 6 -order input -dedupe auto -listen :1 -set temperature=0 -set user=me -progress off -journal j -sync always -in-flight fail -retry-failed -allow-changed")
	got, err = parseFlags(args)
	want = settings{
		in: "-", out: "-", promptField: "q", baseURL: "http://h:1/v1", model: "m", keys: []credential{{"OPENAI_API_KEY", "k"}, {keyEnv, "l"}},
		rpm: 600, burst: 7, rpd: 8, tpm: 9, itpm: 10, otpm: 11, maxInFlight: 2, maxAttempts: 3, retryAmbiguous: 0, throttleWait: time.Minute,
		timeout: 4 * time.Second, connectTimeout: 5 * time.Second, idleTimeout: 6 * time.Second, deadline: 7 * time.Minute, runDeadline: 8 * time.Hour,
		price: price{known: true, in: 1, cached: 0.5, out: 2}, budgetUSD: 3, budgetTokens: 4, strict: true, maxResponse: 5, seed: 6,
		set:      []batchfile.Member{{Name: "temperature", Value: json.RawMessage("0")}, {Name: "user", Value: json.RawMessage(`"me"`)}},
		progress: "off", order: "input", dedupe: "auto", listen: ":1", command: args,
		journal: "j", sync: "always", failInFlight: true, retryFailed: true, allowChanged: true,
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
}

// busiest takes one request after the other as soon as the bucket lets it go, for half an hour with pauses in between, and
// returns the most that any 60 s held, both ends included, and how many went in all.
func busiest(l policy.Limit, pause time.Duration) (most, all int) {
	const minute, end = policy.Time(time.Minute), policy.Time(30 * time.Minute)
	bucket := policy.NewBucket(l, 0)
	var starts []policy.Time
	first, now := 0, policy.Time(0)
	for {
		bucket.Advance(now)
		now = bucket.ReadyAt(l.Cost())
		if pause > 0 && len(starts)%50 == 49 {
			now = now.Add(pause) // the bucket fills up again, in part or to the brim
		}
		if now > end {
			return most, len(starts)
		}
		bucket.Advance(now)
		bucket.Take(l.Cost())
		starts = append(starts, now)
		for starts[first] < now-minute {
			first++
		}
		most = max(most, len(starts)-first)
	}
}

// -rpm N is a promise about every 60 s there are, the first ones included, and one that does not give away much.
func TestLimits(t *testing.T) {
	t.Setenv(keyEnv, theKey)
	tests := []struct {
		flags string
		rpm   float64
		burst float64
	}{
		{"-rpm 2", 2, 1},
		{"-rpm 3", 3, 1},
		{"-rpm 3 -burst 2", 3, 2},
		{"-rpm 59", 59, 1},
		{"-rpm 60", 60, 1},
		{"-rpm 61", 61, 61.0 / 60},
		{"-rpm 61 -burst 60", 61, 60},
		{"-rpm 90.5 -burst 1.5", 90.5, 1.5},
		{"-rpm 500", 500, 500.0 / 60},
		{"-rpm 600", 600, 10},
		{"-rpm 600 -burst 1", 600, 1},
		{"-rpm 600 -burst 300", 600, 300},
		{"-rpm 600 -burst 599.5", 600, 599.5},
	}
	for _, test := range tests {
		t.Run(test.flags, func(t *testing.T) {
			s, err := parseFlags(append(strings.Fields(test.flags), "-i", "x", "-api-key-env", keyEnv))
			if err != nil {
				t.Fatal(err)
			}
			limits := s.limits()
			if len(limits) != 1 || limits[0].Name != limitRequests {
				t.Fatalf("%d limits", len(limits))
			}
			l := limits[0]
			if err := l.Validate(); err != nil {
				t.Fatal(err)
			}
			if l.Burst != test.burst || !l.PerKey {
				t.Errorf("%+v; want a burst of %g, for each model", l, test.burst)
			}
			for _, pause := range []time.Duration{0, 100 * time.Millisecond, 7 * time.Second, 5 * time.Minute} {
				most, all := busiest(l, pause)
				if float64(most) > test.rpm {
					t.Errorf("pauses of %v: %d in 60 s", pause, most)
				}
				if pause == 0 && float64(all) < 29*(test.rpm-test.burst) {
					t.Errorf("%d in half an hour", all)
				}
			}
		})
	}
	unlimited := defaults()
	if none := unlimited.limits(); none != nil {
		t.Errorf("without -rpm: %+v", none)
	}
}
