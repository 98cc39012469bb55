package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestReadBenchmark(t *testing.T) {
	const out = `goos: linux
BenchmarkPendingRetries/heap-2         	  500000	       717.9 ns/op	 957593337 checksum	       0 B/op	       0 allocs/op
BenchmarkPendingRetries/container/heap 	  400000	      1539 ns/op	 957593338 checksum	      48 B/op	       2 allocs/op
PASS
`
	for name, want := range map[string]sample{
		"heap":           {Work: tally{500000, 957593337}, Figures: map[figure]float64{perJob: 717.9, allocs: 0, allocated: 0}},
		"container/heap": {Work: tally{400000, 957593338}, Figures: map[figure]float64{perJob: 1539, allocs: 2, allocated: 48}},
	} {
		got, err := readBenchmark([]byte(out), "BenchmarkPendingRetries/"+name)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	for text, says := range map[string]string{
		"":                                 "no B in",
		"B/heap 1 2 ns/op":                 "no B in",
		"B x 2 ns/op":                      "invalid syntax",
		"B 1 x ns/op":                      "invalid syntax",
		"B 1 2 ns/op 3 checksum":           "no ",
		"B-2 1 2 ns/op 3 B/op 4 allocs/op": "no checksum in",
	} {
		_, err := readBenchmark([]byte(text), "B")
		assert.ErrorContains(t, err, says, text)
	}
}
