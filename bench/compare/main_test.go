package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestMain makes this test binary do as the command does when it is started again, to measure.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == measureCommand {
		os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// command runs the command and returns its exit code and what it wrote.
func command(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, complaints bytes.Buffer
	code = run(t.Context(), args, &out, &complaints)
	return code, out.String(), complaints.String()
}

// A run from the flags to the file, on two workloads of which one target each has both contenders.
func TestRun(t *testing.T) {
	file := filepath.Join(t.TempDir(), "results.md")
	args := []string{
		"-quick", "-rounds", "2", "-workloads", "^round trip, 1|^Do, 1", "-contenders", `^dispatcher$|^ants \+ channel$`, "-cpus", "1",
		"-o", file, "-check", "1e6",
	}
	code, stdout, stderr := command(t, args...)
	require.Equal(t, exitGood, code, stderr)
	assert.Empty(t, stdout)
	assert.Regexp(t, `(?m)^1 of 2: round trip, 1 submitter: round 2 of 2 took `, stderr)
	assert.Regexp(t, `(?m)^2 of 2: Do, 1 caller: round 2 of 2 took `, stderr)

	written, err := os.ReadFile(file)
	require.NoError(t, err)
	text := string(written)
	assert.Contains(t, text, "Written by `go run ./bench/compare "+quoted(args)+"`.")
	assert.Contains(t, text, "GOMAXPROCS 1, ")
	assert.Contains(t, text, "github.com/panjf2000/ants/v2 v2.")
	assert.Regexp(t, `(?m)^\| round trip, 1 submitter \| \S+ \| \S+ \| \S+ \(\S+…\S+\) × ants \+ channel \| ≤ 1\.25 \| (met|\*\*missed\*\*) \|$`, text)
	assert.Regexp(t, `(?m)^\| round trip, 8 submitters \|  \|  \| – \| ≤ 1\.25 \| not measured \|$`, text)
	assert.Regexp(t, `(?m)^\| Do, 1 caller, a call \| \S+ \|  \| \S+ .*allocations \| ≤ 1 \| `, text)
	assert.Regexp(t, `(?m)^## Round trip, 1 submitter$`, text)
	assert.Regexp(t, `(?m)^\| ants \+ channel \| \S+ \(\S+…\S+\) \| \S+ \| 2\.00 \| 1\d\d \|$`, text)
}

// What fails is told, and the exit code says so; nothing else is.
func TestRunFails(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"nothing to run":   {[]string{"-workloads", "^none$"}, exitBad, `no workload matches "^none$" with a contender that matches ""`},
		"nothing to check": {[]string{"-quick", "-rounds", "1", "-workloads", "^Do, 1", "-contenders", "alone", "-check", "2"}, exitBad, "none was measured"},
		"no such file":     {[]string{"-quick", "-rounds", "1", "-workloads", "^Do, 1", "-contenders", "alone", "-o", "/nowhere/at/all"}, exitBad, "the report: open"},
		"measure":          {[]string{measureCommand, "true", "Do, 1 caller", "nobody", ""}, exitBad, `Do, 1 caller: no contender "nobody"`},
		"measure what":     {[]string{measureCommand, "true", "nothing", "nobody", ""}, exitBad, `no workload "nothing"`},
		"measure how":      {[]string{measureCommand}, exitBad, "measure needs 4 arguments"},
		"a bad flag":       {[]string{"-frobnicate"}, exitUsage, "usage: "},
		"help":             {[]string{"-h"}, exitGood, "usage: "},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, stderr := command(t, c.args...)
			assert.Equal(t, c.code, code)
			assert.Contains(t, stderr, c.says)
		})
	}
}

// A run that is interrupted says so instead of reporting.
func TestRunInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, complaints bytes.Buffer
	assert.Equal(t, exitBad, run(ctx, []string{"-quick", "-workloads", "^Do, 1"}, &out, &complaints))
	assert.Contains(t, complaints.String(), context.Canceled.Error())
	assert.Empty(t, out.String())
}

// Each contender is measured at its own GOMAXPROCS, or the run's, and leaves a profile if somebody wants one.
func TestApart(t *testing.T) {
	w := scaleOf(true).workloads()[0]
	for name, procs := range map[string]int{oursWith(4).name: 4, oursWith(1).name: 1, antsPool.name: 3} {
		e, err := w.entrant(name)
		require.NoError(t, err)
		dir := t.TempDir()
		s, err := apart(t.Context(), options{quick: true, cpus: 3, profiles: dir}, w, e)
		require.NoError(t, err)
		profile, err := os.Stat(filepath.Join(dir, profileName(w.title+" "+name)))
		require.NoError(t, err)
		assert.Positive(t, profile.Size())
		assert.Equal(t, procs, s.Procs, name)
		assert.Equal(t, allOf(quickScale().roundTrips), s.Work, name)
		assert.Positive(t, s.Figures[perJob], name)
	}
}

// What a contender complains of comes through, from its process.
func TestMeasurementFails(t *testing.T) {
	_, err := apart(t.Context(), options{quick: true, cpus: 1}, workload{title: "nothing"}, entrant{name: "nobody"})
	assert.ErrorContains(t, err, `no workload "nothing"`)
}

func TestParse(t *testing.T) {
	for name, c := range map[string]struct {
		args   string
		faults []string
		rounds int
		out    string
	}{
		"none":           {"", nil, 6, ""},
		"quick":          {"-quick", nil, 3, "-"},
		"a part":         {"-contenders dispatcher", nil, 6, "-"},
		"targets":        {"-targets", nil, 6, "-"},
		"a part in file": {"-workloads burst -o f", nil, 6, "f"},
		"rounds":         {"-quick -rounds 9", nil, 9, "-"},
		"no rounds":      {"-rounds 0", []string{"-rounds is 0, but must be at least 1"}, 0, ""},
		"bad figures":    {"-cpus 0 -check 0.5 x", []string{"-cpus is 0", "-check is 0.5, but must be at least 1", "no arguments besides flags: x"}, 0, ""},
		"no number":      {"-check NaN", []string{"-check is NaN"}, 0, ""},
		"no directory":   {"-profiles /dev/null", []string{"-profiles is /dev/null, but must be a directory"}, 0, ""},
		"bad patterns":   {"-workloads ( -contenders [", []string{"-workloads: error parsing", "-contenders: error parsing"}, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var complaints bytes.Buffer
			o, err := parse(strings.Fields(c.args), &complaints)
			if len(c.faults) > 0 {
				require.ErrorIs(t, err, errUsage)
				for _, fault := range c.faults {
					assert.Contains(t, complaints.String(), fault)
				}
				return
			}
			require.NoError(t, err, complaints.String())
			assert.Equal(t, c.rounds, o.rounds)
			assert.Equal(t, c.out, o.out)
		})
	}
}

func TestQuoted(t *testing.T) {
	assert.Equal(t, `-workloads 'burst|^Do' -o f.md '' 'it'\''s'`, quoted([]string{"-workloads", "burst|^Do", "-o", "f.md", "", "it's"}))
}
