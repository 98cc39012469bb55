package main

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/toller-go/toller/examples/internal/fakellm"
	"github.com/toller-go/toller/examples/llmbatch/internal/batchfile"
)

//go:embed prompts.jsonl
var prompts []byte

// hostile is the API of the demo: ten requests a second and what else goes wrong between a program and such an API.
var hostile = fakellm.Config{
	Rate: 10, Burst: 10,
	Fail: 0.12, Throttle: 0.015, RetryAfter: time.Second,
	Latency: fakellm.Range{Min: 50 * time.Millisecond, Max: 400 * time.Millisecond},
	Slow:    0.03, SlowLatency: 2 * time.Second,
	Keys: []string{"demo"},
	Seed: 1,
}

// demo answers the prompts that are part of the program, from an API that is part of it, too. It needs no network beyond
// this machine. Of the signals, see run.
func demo(signals <-chan os.Signal, con console) int {
	s := defaults()
	src, err := demoSource()
	if err == nil {
		defer src.close()
		err = ownOutput(s.out)
	}
	if err != nil {
		con.say("llmbatch: %v", err)
		return exitUsage
	}
	api, err := fakellm.New(hostile)
	if err == nil {
		err = api.Start("127.0.0.1:0")
	}
	if err != nil {
		con.say("llmbatch: the demo's API does not start: %v", err)
		return exitUsage
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = api.Shutdown(ctx) // whatever was asked has been answered
	}()
	s.baseURL, s.keys, s.overwrite = api.BaseURL(), []credential{{"the demo's key", "demo"}}, true
	s.rpm, s.burst = 600, 10
	con.say("%d prompts go to a hostile API at %s,\nwhich admits %g requests a second, fails %g %% of them and throttles at random.",
		src.sum.Items, s.baseURL, hostile.Rate, 100*hostile.Fail)
	b, err := open(s, src, con)
	if err != nil {
		con.say("llmbatch: %v", err)
		return exitUsage
	}
	signals, stop := heed(signals)
	defer stop()
	code := b.answerAll(signals)
	bill := api.Ledger()
	return b.conclude(code, &bill)
}

func demoSource() (*source, error) {
	return openSource(&settings{in: "-"}, bytes.NewReader(prompts))
}

// ownOutput returns an error unless what the demo would overwrite is its own of an earlier time, or nothing: answers that
// were paid for may have the same name.
func ownOutput(path string) error {
	if _, err := os.Lstat(path + journalSuffix); err == nil { // the demo has none
		return fmt.Errorf("%s is the output of a run, whose journal is beside it, and is not overwritten; call llmbatch in another directory", path)
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // it was only read
	line, err := bufio.NewReader(f).ReadBytes('\n')
	if len(line) == 0 && errors.Is(err, io.EOF) {
		return nil
	}
	if record, err := batchfile.ParseRecord(bytes.TrimSuffix(line, []byte("\n"))); err == nil && strings.HasPrefix(record.CustomID, "demo-") {
		return nil
	}
	return fmt.Errorf("%s holds something else than the demo's results, and is not overwritten; remove it, or call llmbatch in another directory", path)
}
