package main

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
)

// ending is how the run of one test ended, as the end of a sentence that begins with "the test".
type ending string

// The endings. Only asserted kills a bug: any other failure may have causes that have nothing to do with the rule.
const (
	passed        ending = "passed"
	asserted      ending = "failed by an assertion"
	silent        ending = "failed without an assertion"
	skipped       ending = "was skipped"
	notRun        ending = "did not run"
	notBuilt      ending = "was not built"
	panicked      ending = "panicked"
	timedOut      ending = "timed out"
	deadlocked    ending = "deadlocked"
	raced         ending = "had a data race"
	died          ending = "died of a fatal error"
	vanished      ending = "ended without a verdict"
	packageFailed ending = "passed, but its package failed"
)

// testRun is what is known of the run of one test.
type testRun struct {
	ending ending
	place  string // asserted: the first FILE:LINE that spoke
	output string // all of it, as go test without -json prints it
}

// event is one line of go test -json; see go doc test2json.
type event struct {
	Action  string
	Test    string
	Output  string
	Package string
}

// crashes tells apart the ways in which a test binary ends before its time, by how a line begins. Lines that tests print
// are indented, so a message about a panic is not taken for one. The first that matches decides: most are panics, too.
var crashes = []struct {
	line   *regexp.Regexp
	ending ending
}{
	{regexp.MustCompile(`(?m)^WARNING: DATA RACE`), raced},
	{regexp.MustCompile(`(?m)^panic: test timed out after `), timedOut},
	{regexp.MustCompile(`(?m)^(?:panic|fatal error): (?:deadlock: |all goroutines are asleep - deadlock)`), deadlocked},
	{regexp.MustCompile(`(?m)^panic: `), panicked},
	{regexp.MustCompile(`(?m)^fatal error: `), died},
}

// said is a line of t.Error or its like. That testing itself complains, in testing.go, is no assertion.
var said = regexp.MustCompile(`^\s+(\w+_test\.go:[0-9]+): `)

// judge reads the output of go test -json for one test. What the test says is looked at last: an assertion that fails
// before a panic does not make the panic one.
func judge(stream []byte, name string) testRun {
	var output strings.Builder
	var run testRun
	var verdict string       // the last of run, pass, fail, skip for the test itself
	var orderly, failed bool // how the package ended
	built := true
	for line := range bytes.Lines(stream) {
		var e event
		if json.Unmarshal(line, &e) != nil || e.Action == "" {
			output.Write(line) // from the go command, not from the test
			continue
		}
		output.WriteString(e.Output)
		if found := said.FindStringSubmatch(e.Output); run.place == "" && found != nil && inTest(e.Test, name) {
			run.place = found[1]
		}
		switch e.Action {
		case "build-fail":
			built = false
		case "run", "pass", "fail", "skip":
			if e.Test == name {
				verdict = e.Action
			}
			failed = failed || e.Action == "fail"
		case "output":
			// The last word of testing.M.Run. A binary that crashes does not come to it.
			orderly = orderly || e.Test == "" && (e.Output == "FAIL\n" || e.Output == "PASS\n")
		}
	}
	run.output = output.String()
	run.ending = run.end(built, orderly, failed, verdict)
	return run
}

func inTest(of, name string) bool { return of == name || strings.HasPrefix(of, name+"/") }

func (r *testRun) end(built, orderly, failed bool, verdict string) ending {
	if !built || strings.Contains(r.output, "[build failed]") || strings.Contains(r.output, "[setup failed]") {
		return notBuilt
	}
	for _, crash := range crashes {
		if crash.line.MatchString(r.output) {
			return crash.ending
		}
	}
	switch {
	case verdict == "":
		return notRun
	case verdict == "skip":
		return skipped
	case verdict == "run", !orderly:
		return vanished
	case verdict == "pass" && failed:
		return packageFailed
	case verdict == "pass":
		return passed
	case r.place == "":
		return silent
	default:
		return asserted
	}
}
