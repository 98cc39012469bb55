package main

import (
	"bytes"
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"
)

// No test leaves a goroutine behind. Those that run before the first are of packages that start some when imported.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}

var update = flag.Bool("update", false, "write testdata/transcript.txt anew")

// transcript is what the program prints with a seed, in a bubble, where times are exact.
func transcript(t *testing.T, seed uint64) (out string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var printed bytes.Buffer
		if err := run(t.Context(), &printed, seed); err != nil {
			t.Fatal(err)
		}
		out = printed.String()
	})
	return out
}

// The program prints what the transcript says, times included.
func TestTranscript(t *testing.T) {
	const file = "testdata/transcript.txt"
	got := transcript(t, theSeed)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "transcript", got, string(text))
}

// Chance decides when a 429 comes and how long things take, but not how the calls end: success, retries exceeded, fatal, open
// circuit and recovery are all there, with every seed.
func TestOutcomesAreNotByChance(t *testing.T) {
	met, want := 0, outcomes(transcript(t, theSeed))
	for seed := range uint64(50) {
		out := transcript(t, seed)
		met += strings.Count(out, "429")
		if outcomes(out) != want {
			t.Fatalf("seed %d:\n%s", seed, out)
		}
	}
	if met == 0 {
		t.Error("chance has decided nothing")
	}
}

// outcomes is a transcript without times and attempts.
func outcomes(transcript string) string {
	var lines []string
	attempt := regexp.MustCompile(`attempt \d`)
	for line := range strings.Lines(transcript) {
		if !attempt.MatchString(line) {
			lines = append(lines, regexp.MustCompile(`^ *[0-9.]+ s`).ReplaceAllString(line, ""))
		}
	}
	return strings.Join(lines, "")
}
