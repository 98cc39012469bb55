package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A short run: no job is lost, most kinds of ends are there, and nothing grows.
func TestSoak(t *testing.T) {
	file := filepath.Join(t.TempDir(), "soak.md")
	var complaints bytes.Buffer
	require.Equal(t, exitGood, run([]string{"-jobs", "50000", "-o", file}, io.Discard, &complaints), &complaints)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Contains(t, string(text), "| command | `go run ./bench/soak -jobs 50000 -o "+file+"` |")
	assert.Regexp(t, `(?m)^\| 5\d{4} \| \d+ \| \d+ \| \d+\.\d kB \|`, string(text), "the last tenth")
	// Of those that a Stop has ended there are few, and in a run as short as this perhaps none.
	for _, why := range []reason{succeeded, failed, exhausted, panicked, exited, opened, late, canceled} {
		assert.Regexp(t, `(?m)^\| `+reasons[why].name+` \| [1-9]\d* \|$`, string(text))
	}
}

// What goes wrong is found. Each of the checks that these don't reach is asked by itself, below.
func TestPlantedFaultsAreFound(t *testing.T) {
	for plant, complaint := range map[string]string{
		"lost":       `job \d+ \(.*\): not settled after a long time`,
		"twice":      `dispatcher ".*": jobs settled twice: \[\d+\]`,
		"heap":       `the heap after garbage collection, in bytes, has grown from \d+ after \d+ jobs to \d+ after`,
		"goroutine":  `the number of goroutines has grown from`,
		"descriptor": `the number of open descriptors has grown from`,
	} {
		t.Run(plant, func(t *testing.T) {
			if _, err := os.Stat("/proc/self/fd"); err != nil && plant == "descriptor" {
				t.Skip("they can't be counted here")
			}
			var complaints bytes.Buffer
			require.Equal(t, exitBad, run([]string{"-jobs", "10000", "-plant", plant}, io.Discard, &complaints))
			assert.Regexp(t, "(?m)^(soak: )?"+complaint, complaints.String())
		})
	}
}

// A long run forgives no growth beyond 5 %, of anything; a short one some.
func TestGrowth(t *testing.T) {
	house := figures{heap: 1, goroutines: 1, descriptors: 1}
	first := figures{jobs: 1_000_000, heap: 400_000, goroutines: 20, descriptors: 40}
	for name, c := range map[string]struct {
		last  figures
		jobs  int64
		wrong string // empty: nothing
	}{
		"the same":              {first, 10_000_000, ""},
		"5 % more":              {figures{heap: 420_000, goroutines: 21, descriptors: 42}, 10_000_000, ""},
		"less":                  {figures{heap: 200_000, goroutines: 10, descriptors: 20}, 10_000_000, ""},
		"heap":                  {figures{heap: 420_001, goroutines: 20, descriptors: 40}, 10_000_000, "the heap"},
		"goroutines":            {figures{heap: 400_000, goroutines: 22, descriptors: 40}, 10_000_000, "the number of goroutines"},
		"descriptors":           {figures{heap: 400_000, goroutines: 20, descriptors: 43}, 10_000_000, "the number of open descriptors"},
		"a short run":           {figures{heap: 656_000, goroutines: 28, descriptors: 42}, 50_000, ""},
		"heap, short run":       {figures{heap: 656_001, goroutines: 20, descriptors: 40}, 50_000, "the heap"},
		"goroutines, short run": {figures{heap: 400_000, goroutines: 29, descriptors: 40}, 50_000, "the number of goroutines"},
		"not to be counted":     {figures{heap: 400_000, goroutines: 20, descriptors: -1}, 10_000_000, ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := growth([]figures{house, first, c.last}, c.jobs)
			if c.wrong == "" {
				assert.NoError(t, err)
				return
			}
			assert.ErrorContains(t, err, c.wrong+" ")
			assert.NotContains(t, err.Error(), "\n", "one thing is wrong")
		})
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{"-jobs", "999"}, {"-plant", "rose"}, {"more"}, {"-seed", "-1"}} {
		var complaints bytes.Buffer
		assert.Equal(t, exitUsage, run(args, io.Discard, &complaints), args)
		assert.NotEmpty(t, complaints.String(), args)
	}
	var help bytes.Buffer
	assert.Equal(t, exitGood, run([]string{"-h"}, io.Discard, &help))
	assert.Contains(t, help.String(), "usage: go run ./bench/soak")
}
