package batchfile

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// benchLines is large enough that what the reader allocates once does not matter.
const benchLines = 200_000

func benchInput(b *testing.B) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "p.jsonl")
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	w := bufio.NewWriter(f)
	for i := range benchLines {
		_, _ = fmt.Fprintln(w, batchLine(fmt.Sprintf("request-%d", i), `{"model":"m","messages":[{"role":"user","content":"How many eggs does she sell a day?"}]}`))
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	return path
}

// live is the heap in use, garbage not counted.
func live() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkCheck measures the time a line takes, and the memory that grows with the lines (B/line).
func BenchmarkCheck(b *testing.B) {
	path := benchInput(b)
	var perLine float64
	for b.Loop() {
		before := live()
		r, err := Open(path, Options{})
		if err != nil {
			b.Fatal(err)
		}
		if err := r.each(func(Item) {}); err != nil {
			b.Fatal(err)
		}
		perLine = float64(live()-before-readBuffer) / benchLines
		if err := r.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchLines, "ns/line")
	b.ReportMetric(perLine, "B/line")
}

// BenchmarkVerify measures the time a line of the output takes, and the memory a line of the input.
func BenchmarkVerify(b *testing.B) {
	in, out := benchInput(b), filepath.Join(b.TempDir(), "r.jsonl")
	w, err := Create(out)
	if err != nil {
		b.Fatal(err)
	}
	for i := range benchLines {
		err := w.Write(response(fmt.Sprintf("request-%d", i), 200, `{"choices":[{"message":{"role":"assistant","content":"18"}}],"usage":{"total_tokens":9}}`))
		if err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	var perLine float64
	for b.Loop() {
		before := live()
		v := verifier{report: Report{In: in, Out: out}}
		if err := v.readInput(Options{IDsOnly: true}); err != nil {
			b.Fatal(err)
		}
		if err := v.readOutput(Options{}); err != nil {
			b.Fatal(err)
		}
		perLine = float64(live()-before) / benchLines
		if v.report.Succeeded != benchLines {
			b.Fatalf("%+v", v.report)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchLines, "ns/line")
	b.ReportMetric(perLine, "B/line")
}
