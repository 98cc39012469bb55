package main

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The contenders do the same work, or comparing them means nothing.
func TestContendersAgree(t *testing.T) {
	for _, callers := range []int{1, 8} {
		want := map[int]status{}
		for item := range 50 {
			want[item] = status{2, hashOf(item), 1}
		}
		want[50] = status{1, 9, 2}
		for _, c := range contenders() {
			dir := t.TempDir()
			s, err := c.open(dir, always, callers)
			require.NoError(t, err, c.name)
			var next atomic.Int64
			require.NoError(t, recordAll(s, callers, func() (int, bool) {
				item := int(next.Add(1) - 1)
				return item, item < 50
			}), c.name)
			require.NoError(t, s.start(50, 9), c.name)
			require.NoError(t, s.start(50, 9), c.name)
			require.NoError(t, s.close(), c.name)
			got, err := c.load(dir)
			require.NoError(t, err, c.name)
			assert.Equal(t, want, got, c.name)
			done, err := c.resume(dir)
			require.NoError(t, err, c.name)
			assert.Equal(t, 50, done, c.name)
		}
	}
}

func TestRun(t *testing.T) {
	var out strings.Builder
	require.NoError(t, run([]string{"-time", "5ms", "-rounds", "1", "-items", "500", "-dir", t.TempDir()}, &out))
	for _, word := range []string{"| 1, off |", "| 64, always |", "| 500 |", " ×)"} {
		assert.Contains(t, out.String(), word)
	}
	assert.Error(t, run([]string{"-rounds", "0"}, &out))
	assert.Error(t, run([]string{"x"}, &out))
	assert.Equal(t, 2.5, median([]float64{4, 1, 3, 2}))
	assert.Equal(t, 2.0, median([]float64{4, 1, 2}))
}

// BenchmarkRecord is two records an item, start and done.
func BenchmarkRecord(b *testing.B) {
	for _, callers := range []int{1, 64} {
		for p := off; p <= always; p++ {
			for _, c := range contenders() {
				b.Run(fmt.Sprintf("callers=%d/sync=%v/%s", callers, p, c.name), func(b *testing.B) {
					s, err := c.open(b.TempDir(), p, callers)
					require.NoError(b, err)
					var next atomic.Int64
					b.ResetTimer()
					require.NoError(b, recordAll(s, callers, func() (int, bool) {
						item := int(next.Add(1) - 1)
						return item, item < b.N
					}))
					b.StopTimer()
					require.NoError(b, s.close())
				})
			}
		}
	}
}

// BenchmarkResume opens the record of 10,000 items that are done, and learns so.
func BenchmarkResume(b *testing.B) {
	const items = 10_000
	for _, c := range contenders() {
		b.Run(c.name, func(b *testing.B) {
			dir := b.TempDir()
			require.NoError(b, fill(c, dir, items))
			begin := time.Now()
			for b.Loop() {
				done, err := c.resume(dir)
				require.NoError(b, err)
				require.Equal(b, items, done)
			}
			b.ReportMetric(float64(time.Since(begin).Nanoseconds())/float64(b.N)/items, "ns/item")
		})
	}
}
