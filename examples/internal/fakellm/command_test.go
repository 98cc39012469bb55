package fakellm

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestHelpFitsTheScreen(t *testing.T) {
	for _, arg := range []string{"-h", "-help", "--help"} {
		var out, errs bytes.Buffer
		if code := Main(t.Context(), []string{arg}, &out, &errs); code != 0 || errs.Len() != 0 {
			t.Errorf("%s: exit %d, %s", arg, code, &errs)
		}
		lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		if len(lines) > 23 { // and the prompt of the shell
			t.Errorf("%d lines", len(lines))
		}
		for _, line := range lines {
			if columns := utf8.RuneCountInString(line); columns > 80 {
				t.Errorf("%d columns: %s", columns, line)
			}
		}
	}
}

// What the help lists is what there is.
func TestHelpListsEveryFlag(t *testing.T) {
	_, _, err := parseFlags([]string{"-nonsense"})
	listed := regexp.MustCompile(`  (-[a-z-]+) `).FindAllStringSubmatch(help, -1)
	var names []string
	for _, m := range listed {
		names = append(names, m[1])
	}
	slices.Sort(names)
	if want := "allowed: " + strings.Join(names, ", ") + ", each"; len(names) != 23 || !strings.Contains(err.Error(), want) {
		t.Errorf("%v\ndoes not say %q", err, want)
	}
}

func TestBadFlags(t *testing.T) {
	for _, c := range []struct {
		args string
		want []string
	}{
		{"-nonsense 1", []string{"-nonsense", "allowed: -account, -burst"}},
		{"-rps", []string{"needs an argument", "-rps"}},
		{"-rps many", []string{`"many"`, "-rps", "allowed: a number"}},
		{"-rps -1", []string{"-rps is -1", "allowed: 0 (unlimited)"}},
		{"-burst 0.5", []string{"-burst is 0.5", "allowed: 0 (one second"}},
		{"-fail 1.5 -throttle 2 -slow -1", []string{"-fail is 1.5", "-throttle is 2", "-slow is -1", "a fraction"}},
		{"-retry-after soon", []string{`"soon"`, "-retry-after", "allowed: a duration"}},
		{"-retry-after -1s", []string{"-retry-after is -1s", "allowed: 0s"}},
		{"-latency 300ms-50ms", []string{"-latency", "allowed: a duration, or a range"}},
		{"-latency 5", []string{"-latency", "allowed: a duration, or a range"}},
		{"-latency 48h", []string{"-latency is 48h", "24h"}},
		{"-slow-latency -1s", []string{"-slow-latency is -1s", "allowed"}},
		{"-outage-at 5s", []string{"-outage-at is 5s", "allowed: only 0s while"}},
		{"-outage-for -5s", []string{"-outage-for is -5s", "allowed: 0s"}},
		{"-seed -1", []string{"-seed", "allowed: a whole number"}},
		{"-key a,,b", []string{"-key", "allowed: keys that are not empty"}},
		{"-account a", []string{`"a"`, "-account", "allowed: KEY=N"}},
		{"-account a=many", []string{"-account", "allowed: KEY=N"}},
		{"-account =5", []string{"-account", "allowed: KEY=N"}},
		{"-account a=-5", []string{"-account is -5", "0 or more"}},
		{"-dialect latin", []string{`"latin"`, "-dialect", "allowed: auto, openai"}},
		{"-limit 600", []string{`"600"`, "-limit", "allowed: N/D"}},
		{"-limit 600/1m,round", []string{"-limit", "allowed: N/D"}},
		{"-limit 0/1m", []string{"-limit Max is 0", "allowed: 1 to"}},
		{"-concurrent many", []string{`"many"`, "-concurrent", "allowed: a whole number"}},
		{"-concurrent -1", []string{"-concurrent is -1", "allowed: 0"}},
		{"-faults 1", []string{"-faults is 1", "a fraction"}},
		{"-kinds 500,600", []string{`"600" is none`, "-kinds", "429-date", "too-long"}},
		{"-kinds 401", []string{"-kinds is 401", "allowed: transient"}},
		{"-rule teapot@m", []string{`"teapot" is none`, "-rule"}},
		{"-phase soon", []string{`"soon"`, "-phase", "allowed: D"}},
		{"-phase 2s -phase 1s", []string{"-phase At is 1s", "in order"}},
		{"-stall 1ns", []string{"-stall is 1ns", "1ms to 24h"}},
		{"-word-delay -1s", []string{"-word-delay is -1s", "0s to 24h"}},
		{"serve", []string{`"serve"`, "allowed: flags only"}},
		{"-listen nowhere", []string{"-listen nowhere", "allowed: host:port"}},
	} {
		var out, errs bytes.Buffer
		code := Main(t.Context(), strings.Fields(c.args), &out, &errs)
		if code != 4 || out.Len() != 0 {
			t.Errorf("%s: exit %d, %s", c.args, code, &out)
		}
		for _, want := range c.want {
			if !strings.Contains(errs.String(), want) {
				t.Errorf("%s: %q does not say %q", c.args, &errs, want)
			}
		}
	}
}

func TestPortInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	var errs bytes.Buffer
	if code := Main(t.Context(), []string{"-listen", taken.Addr().String()}, io.Discard, &errs); code != 4 || !strings.Contains(errs.String(), "in use") {
		t.Errorf("exit %d, %s", code, &errs)
	}
}

func TestFlagsReachTheConfig(t *testing.T) {
	args := "-listen :8080 -rps 2.5 -burst 7 -fail 0.1 -throttle 0.2 -retry-after 3s -latency 50ms-300ms -slow 0.3 " +
		"-slow-latency 4s -outage-at 5s -outage-for 6s -seed 18446744073709551615 -key a,b -key c -account a=5 -account b=x=0 " +
		"-dialect azure -limit 600/1m,burst=9 -limit 5tokens/1s,sliding,each,hidden -concurrent 4 -faults 0.4 -kinds 500,reset " +
		"-rule too-long@m:hello -phase 1s,down -phase 2s,speed=0.5,503 -stall 1s -word-delay 2s"
	cfg, listen, err := parseFlags(strings.Fields(args))
	want := Config{
		Rate: 2.5, Burst: 7, Fail: 0.1, Throttle: 0.2, RetryAfter: 3 * time.Second,
		Latency: Range{50 * time.Millisecond, 300 * time.Millisecond}, Slow: 0.3, SlowLatency: 4 * time.Second,
		OutageAt: 5 * time.Second, OutageFor: 6 * time.Second, Seed: 1<<64 - 1,
		Dialect: Azure, Concurrent: 4, Faults: Faults{Share: 0.4, Kinds: []Fault{Status500, Reset}},
		Limits: []Limit{
			{Max: 600, Per: time.Minute, Burst: 9}, {Max: 5, Per: time.Second, Counts: Tokens, Engine: SlidingWindow, PerKey: true, Hidden: true},
		},
		Rules:  []Rule{{Fault: TooLong, Model: "m", Prompt: "hello"}},
		Phases: []Phase{{At: time.Second, Down: true}, {At: 2 * time.Second, Speed: 0.5, Fault: Status503}},
		Stall:  time.Second, WordDelay: 2 * time.Second,
		Accounts: map[string]int{"a": 5, "b=x": 0},
	}
	keys := cfg.Keys
	cfg.Keys = nil
	got, _ := json.Marshal(cfg)
	wanted, _ := json.Marshal(want)
	if err != nil || listen != ":8080" || !bytes.Equal(got, wanted) || !slices.Equal(keys, []string{"a", "b", "c"}) {
		t.Errorf("%s %q %q, %v\nwant %s", got, keys, listen, err, wanted)
	}
	if cfg, _, err := parseFlags([]string{"-latency", "80ms"}); err != nil || cfg.Latency != (Range{80 * time.Millisecond, 80 * time.Millisecond}) {
		t.Errorf("%+v, %v", cfg.Latency, err)
	}
}

func TestMainServesAndBills(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	stdout, pipe := io.Pipe()
	code := make(chan int, 1)
	go func() {
		code <- Main(ctx, []string{"-seed", "3"}, pipe, io.Discard)
		pipe.Close()
	}()
	lines := bufio.NewReader(stdout)
	first, err := lines.ReadString('\n')
	m := regexp.MustCompile(`^listening on (http://127\.0\.0\.1:\d+)/v1 \(bill at (http://127\.0\.0\.1:\d+)/_ledger\)\n$`).FindStringSubmatch(first)
	if err != nil || m == nil || m[1] != m[2] {
		t.Fatalf("%q, %v", first, err)
	}
	mustPost(t, m[1], chat("a"))
	interrupt()
	bill, err := io.ReadAll(lines)
	if err != nil {
		t.Fatal(err)
	}
	var l Ledger
	if err := json.Unmarshal(bill, &l); err != nil || l.Completed != 1 || !bytes.HasPrefix(bill, []byte("{\n  \"received\": 1,\n")) {
		t.Errorf("%s, %v", bill, err)
	}
	if got := <-code; got != 0 {
		t.Errorf("exit %d", got)
	}
}

// closed is a stdout nobody reads.
type closed struct{ after int }

func (c *closed) Write(p []byte) (int, error) {
	if c.after--; c.after < 0 {
		return 0, errors.New("nobody reads")
	}
	return len(p), nil
}

func TestMainCannotWrite(t *testing.T) {
	done, cancel := context.WithCancel(t.Context())
	cancel()
	var errs bytes.Buffer
	// The first write fails: it ends by itself, since nobody learnt where it listens.
	if code := Main(t.Context(), nil, &closed{0}, &errs); code != 1 || !strings.Contains(errs.String(), "nobody reads") {
		t.Errorf("exit %d, %s", code, &errs)
	}
	if code := Main(done, nil, &closed{1}, io.Discard); code != 1 {
		t.Errorf("the bill lost: exit %d", code)
	}
}
