package main

import "testing"

// BenchmarkRoundTrip is one job at a time: hand it in, wait for its result.
func BenchmarkRoundTrip(b *testing.B) { benchmarkJobs(b, load{jobs: 1_000, window: 1, submitters: 1}) }

// BenchmarkWindow is 1,024 jobs under way, of which the oldest is awaited before the next is handed in.
func BenchmarkWindow(b *testing.B) {
	benchmarkJobs(b, load{jobs: 20_000, window: windowSize, submitters: 1})
}

// BenchmarkBurst is 100,000 jobs that are handed in and then awaited.
func BenchmarkBurst(b *testing.B) {
	benchmarkJobs(b, load{jobs: 100_000, window: 100_000, submitters: 1})
}

// benchmarkJobs has the dispatcher run jobs, and those that it must not be compared without; ns/job is the figure to look at.
func benchmarkJobs(b *testing.B, l load) {
	for _, c := range []contender{oursPlain.contender(), rawWorkers, antsPool} {
		b.Run(c.name, func(b *testing.B) {
			s, err := c.open(order{load: l, workers: poolSize, task: returnItself, threshold: breakerThreshold})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			jobs := 0
			for b.Loop() {
				if work, err := s.run(l.jobs); err != nil || work != allOf(l.jobs) {
					b.Fatal(err, work.mustBe(allOf(l.jobs)))
				}
				jobs += l.jobs
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(jobs), "ns/job")
			if err := s.end(); err != nil {
				b.Fatal(err)
			}
		})
	}
}
