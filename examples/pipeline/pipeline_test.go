package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// slow is a pipeline whose second stage holds back its first.
var slow = settings{pages: 60, fetchRate: 40, summaryRate: 8}

//nolint:dupword // columns
const watched = `fetch (40/s, window 20), then summarize (8/s, window 8), then store (window 4): 60 pages

        read   fetched     a second   summarized     a second   stored   under way
  1s      33        31        (+31)            6         (+6)        6          28
  2s      40        39         (+8)           13         (+7)       13          28
  3s      49        47         (+8)           21         (+8)       21          28
  4s      56        53         (+6)           28         (+7)       28          28
  5s      60        58         (+5)           35         (+7)       35          25
  6s      60        58         (+0)           42         (+7)       42          17
  7s      60        58         (+0)           50         (+8)       50           9
  8s      60        58         (+0)           57         (+7)       57           2

60 pages read: 58 stored, 2 failed. At no time were more than 28 under way; the windows are 32 together.
page 24: job 25 of dispatcher "fetch": failed (retries are off), after 1 attempt: 404: there is no such page
page 49: job 50 of dispatcher "fetch": failed (retries are off), after 1 attempt: 404: there is no such page
`

// What is seen: fetching runs ahead until the windows are full, then goes as fast as summarizing does, and no page is lost.
func TestBackPressureIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		if err := run(t.Context(), slow, &out); err != nil {
			t.Fatal(err)
		}
		if got := out.String(); got != watched {
			t.Errorf("got:\n%s\nwant:\n%s", got, watched)
		}
	})
}

// When the time is up no more pages are read, those under way come out with an error, and nothing is left running.
func TestInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2501*time.Millisecond)
		defer cancel()
		begin := time.Now()
		var out bytes.Buffer
		if err := run(ctx, slow, &out); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took != 2501*time.Millisecond {
			t.Errorf("it took %v to stop", took)
		}
		for _, want := range []string{"45 pages read: 17 stored, 28 failed.", `of dispatcher "summarize": deadline exceeded`, "… and 23 more"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("no %q in:\n%s", want, out.String())
			}
		}
	})
}

// The exit code and what is said, for each way to call the program.
func TestStart(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		args string
		ctx  context.Context
		code int
		said string
	}{
		{"-h", t.Context(), exitDone, "usage: pipeline [flags]"},
		{"-pages 1 -summarize 1e6", t.Context(), exitDone, "1 pages read: 1 stored, 0 failed."},
		{"-pages 0", t.Context(), exitUsage, "at least 1"},
		{"pages", t.Context(), exitUsage, "nothing but flags"},
		{"-fetch 0", t.Context(), exitUsage, `Limit("requests").Rate`},
		{"-swim 1", t.Context(), exitUsage, "-swim"},
		{"-pages 3", ended, exitInterrupted, "interrupted"},
	} {
		t.Run(c.args, func(t *testing.T) {
			var said bytes.Buffer
			if code := start(c.ctx, strings.Fields(c.args), &said, &said); code != c.code {
				t.Errorf("exit code %d, not %d", code, c.code)
			}
			if !strings.Contains(said.String(), c.said) {
				t.Errorf("no %q in:\n%s", c.said, said.String())
			}
		})
	}
}
