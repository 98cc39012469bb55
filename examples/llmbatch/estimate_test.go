package main

import (
	"fmt"
	"math"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/toller-go/toller/examples/internal/fakellm"
)

// What estimate says is what a run takes, within 5 %: bound by requests, by tokens of which some prompts have a hundred times as many
// as others, and by how many may be in flight.
func TestEstimateIsRight(t *testing.T) {
	t.Setenv(keyEnv, theKey)
	t.Setenv(otherEnv, otherKey)
	sizes := func(n int) int { return 100 }
	mixed := func(n int) int { return []int{100, 10_000, 300, 3000, 1000}[n%5] } // bytes
	tests := []struct {
		name    string
		prompts int
		size    func(n int) int
		flags   string
		assumed string
		server  fakellm.Config
	}{
		{"requests", 1200, sizes, "-rpm 600", "-latency 400ms", fakellm.Config{Latency: fakellm.Range{Min: 400 * time.Millisecond}}},
		{"requests, two keys", 1200, sizes, "-rpm 300 -api-key-env " + keyEnv + "," + otherEnv, "-latency 400ms", fakellm.Config{Latency: fakellm.Range{Min: 400 * time.Millisecond}}},
		{"tokens", 500, mixed, "-tpm 60000", "-latency 500ms-1500ms -output-tokens 60",
			fakellm.Config{Latency: fakellm.Range{Min: 500 * time.Millisecond, Max: 1500 * time.Millisecond}}},
		{"in flight", 1000, sizes, "-max-in-flight 8", "-latency 200ms-1s", fakellm.Config{Latency: fakellm.Range{Min: 200 * time.Millisecond, Max: time.Second}}},
		{"in flight, one in ten failing", 1000, sizes, "-max-in-flight 8", "-latency 200ms-1s -fail-rate 0.1",
			fakellm.Config{Fail: 0.1, Seed: 3, Latency: fakellm.Range{Min: 200 * time.Millisecond, Max: time.Second}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := newRun(t, "http://fake/v1", 0)
			var lines strings.Builder
			for n := range test.prompts {
				lines.WriteString(batchLine(fmt.Sprintf("id-%d", n), fmt.Sprintf("%d ", n)+strings.Repeat("word ", test.size(n)/5)))
			}
			r.write(t, lines.String())
			flags := append([]string{"-i", r.in, "-api-key-env", keyEnv}, strings.Fields(test.flags)...)
			api := func() http.Handler {
				server, err := fakellm.New(test.server)
				if err != nil {
					t.Fatal(err)
				}
				return server
			}
			args := append([]string{"-o", r.out, "-base-url", "http://fake/v1", "-progress", "off"}, flags...)
			code, began, ended := r.inBubble(t, api, args)
			measured := ended.Sub(began)
			if code != exitDone {
				t.Errorf("exit code %d\n%s", code, r.stderr)
			}

			f, err := parseForecast(append(flags, strings.Fields(test.assumed)...))
			if err != nil {
				t.Fatal(err)
			}
			src, err := openSource(&f.settings, nil)
			if err != nil {
				t.Fatal(err)
			}
			got, err := simulate(&f, src)
			if err != nil {
				t.Fatal(err)
			}
			off := float64(got.took)/float64(measured) - 1
			t.Logf("estimated %v, measured %v: %+.2f %%", got.took, measured, 100*off)
			if math.Abs(off) > 0.05 {
				t.Errorf("estimated %v, and it took %v: %+.1f %%", got.took, measured, 100*off)
			}
		})
	}
}

// A run of days takes as many steps as one of minutes: time in which nothing happens is passed over.
func TestEstimateOfDays(t *testing.T) {
	const prompts, perDay = 40, 10
	r := newRun(t, "", prompts)
	f, err := parseForecast([]string{"-i", r.in, "-rpd", fmt.Sprint(perDay), "-latency", "2s"})
	if err != nil {
		t.Fatal(err)
	}
	src, err := openSource(&f.settings, nil)
	if err != nil {
		t.Fatal(err)
	}
	read, err := src.open(true)
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	s := newSimulation(&f, read)
	steps := 0
	for s.step() && steps < 10*prompts {
		steps++
	}
	if took := s.out.took; steps == 10*prompts || took < (prompts/perDay-1)*24*time.Hour || s.out.requests != prompts {
		t.Errorf("%d steps, %v, %d requests", steps, took, s.out.requests)
	}
}

// The command says what it has found, and the same again when asked again.
func TestEstimateCommand(t *testing.T) {
	r := newRun(t, "", 0)
	long := strings.Repeat("word ", 4000)
	r.write(t, batchLine("short", "hello")+batchLine("long", long))
	if err := os.Unsetenv(keyEnv); err != nil { // the keys are not needed
		t.Fatal(err)
	}
	args := []string{"estimate", "-i", r.in, "-api-key-env", keyEnv, "-tpm", "3000", "-price", "in=1,out=2", "-latency", "3s", "-seed", "7"}
	var first string
	for range 2 {
		stdout, stderr := newScreen(), newScreen()
		if code := start(args, console{out: stdout, err: stderr}); code != exitDone {
			t.Fatalf("exit code %d\n%s", code, stderr)
		}
		if first == "" {
			first = stdout.String()
		}
		if stdout.String() != first {
			t.Errorf("first\n%s\nthen\n%s", first, stdout)
		}
	}
	for _, words := range []string{
		"prompts   2\n", "at most about 2048 tokens", "2 prompts set no max_tokens", "cost      from $0.00", "time      ", "with answers that take 3s and 0 %", "requests  2",
		"up to        31          1  ####", "1 prompts can never fit", `line 2, "long": about 5`, "-tpm is 3000",
	} {
		if !strings.Contains(first, words) {
			t.Errorf("%q is not said:\n%s", words, first)
		}
	}
}

func TestEstimateRefused(t *testing.T) {
	for flags, says := range map[string][]string{
		"-bogus 1":             {"-bogus", "allowed:", "-latency"},
		"-latency fast":        {"-latency", `"fast"`, "500ms-3s"},
		"-latency 3s-1s":       {"-latency", "smaller first"},
		"-fail-rate 1":         {"-fail-rate is 1", "0 to 0.9"},
		"-output-tokens 0":     {"-output-tokens is 0", "from 1"},
		"-rpm 0":               {"-rpm is 0", "above 0"},
		"-i no-such-file.json": {"no such file"},
		"x":                    {`"x"`, "llmbatch estimate -h"},
	} {
		stderr := newScreen()
		if code := start(append([]string{"estimate", "-i", "prompts.jsonl"}, strings.Fields(flags)...), console{out: newScreen(), err: stderr}); code != exitUsage {
			t.Errorf("%s: exit code %d", flags, code)
		}
		for _, words := range says {
			if !strings.Contains(stderr.String(), words) {
				t.Errorf("%s: %q is not said:\n%s", flags, words, stderr)
			}
		}
	}
}
