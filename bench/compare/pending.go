package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"

	"github.com/toller-go/toller/bench/internal/tree"
)

// The heap of package scheduler is not exported, so a benchmark of that package measures it, and this comparison runs the
// benchmark.
const (
	pendingTitle     = "1,000,000 pending retries"
	pendingBenchmark = "BenchmarkPendingRetries"
	schedulerHeap    = "heap"
	standardHeap     = "container/heap"
)

// pendingWorkload pushes and pops retries in heaps.
func pendingWorkload(operations int) workload {
	w := workload{
		title: pendingTitle,
		about: fmt.Sprintf("One retry is taken out and one put in while 1,000,000 are pending, %s times: %s of package scheduler.",
			number(float64(operations)), pendingBenchmark),
		columns: []column{{perJob, "ns", true, true}, {allocs, "allocations", false, false}, {allocated, "B", false, false}},
	}
	for _, name := range []string{schedulerHeap, standardHeap} {
		w.entrants = append(w.entrants, entrant{name: name, measure: func(ctx context.Context) (sample, error) {
			return runPending(ctx, name, operations)
		}})
	}
	return w
}

// runPending runs the benchmark of one heap.
func runPending(ctx context.Context, heap string, operations int) (sample, error) {
	root, err := tree.Root()
	if err != nil {
		return sample{}, err
	}
	// A slash in a name is a level to the go command, and each level has a pattern of its own.
	pattern := "^" + strings.ReplaceAll(pendingBenchmark+"/"+heap, "/", "$/^") + "$"
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", pattern, "-benchtime", fmt.Sprint(operations, "x"), "./scheduler")
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	if err != nil {
		return sample{}, fmt.Errorf("%v: %w\n%s", cmd, err, out)
	}
	return readBenchmark(out, pendingBenchmark+"/"+heap)
}

// readBenchmark reads the line of a benchmark: its name, the number of operations, and then a number for each unit.
func readBenchmark(out []byte, name string) (sample, error) {
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 || !isBenchmark(fields[0], name) {
			continue
		}
		operations, err := strconv.Atoi(fields[1])
		if err != nil {
			return sample{}, fmt.Errorf("%q: %w", lines.Text(), err)
		}
		units := make(map[string]float64)
		for i := 2; i+1 < len(fields); i += 2 {
			if units[fields[i+1]], err = strconv.ParseFloat(fields[i], 64); err != nil {
				return sample{}, fmt.Errorf("%q: %w", lines.Text(), err)
			}
		}
		s := sample{Work: tally{Count: operations}, Figures: make(map[figure]float64)}
		for unit, f := range map[string]figure{"ns/op": perJob, "allocs/op": allocs, "B/op": allocated} {
			value, ok := units[unit]
			if !ok {
				return sample{}, fmt.Errorf("no %s in %q", unit, lines.Text())
			}
			s.Figures[f] = value
		}
		checksum, ok := units["checksum"]
		if !ok {
			return sample{}, fmt.Errorf("no checksum in %q", lines.Text())
		}
		s.Work.Sum = int(checksum)
		return s, nil
	}
	return sample{}, fmt.Errorf("no %s in %q", name, out)
}

// isBenchmark reports whether this is the name of the benchmark, with or without the GOMAXPROCS at its end.
func isBenchmark(field, name string) bool {
	rest, ok := strings.CutPrefix(field, name)
	return ok && (rest == "" || rest[0] == '-')
}
