package bench

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkRoundTrip is one job at a time: hand it in, wait for its result.
func BenchmarkRoundTrip(b *testing.B) { compare(b, 1) }

// BenchmarkWindow is 1,024 jobs handed in and then awaited.
func BenchmarkWindow(b *testing.B) { compare(b, 1024) }

// BenchmarkBurst is 100,000 jobs handed in and then awaited.
func BenchmarkBurst(b *testing.B) { compare(b, 100_000) }

// compare runs n jobs at a time through every contender, and reports the time of one job.
func compare(b *testing.B, n int) {
	for _, c := range contenders {
		b.Run(c.name, func(b *testing.B) {
			run := c.open(b)
			b.ReportAllocs()
			rounds := 0
			for b.Loop() {
				require.Equal(b, n*(n-1)/2, run(n))
				rounds++
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(rounds*n), "ns/job")
		})
	}
}
