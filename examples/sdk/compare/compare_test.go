package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/toller-go/toller/examples/internal/fakellm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }

// The whole of it, small and fast: a row for each contender, and over a dispatcher nothing is lost or paid for twice.
func TestCompare(t *testing.T) {
	file := filepath.Join(t.TempDir(), "README.md")
	require.NoError(t, os.WriteFile(file, []byte("before\n"+tableBegins+"old\n"+tableEnds+"after\n"), 0o600))
	var out strings.Builder
	require.NoError(t, run(t.Context(), strings.Fields("-calls 100 -limit 50 -span 1s -write "+file), &out))
	assert.Equal(t, 10, strings.Count(out.String(), "\n| ")-1, "rows:\n%s", &out)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, "before\n"+tableBegins+out.String()+tableEnds+"after\n", string(text))
	for line := range strings.Lines(out.String()) {
		if strings.Contains(line, "over a dispatcher") {
			assert.Contains(t, line, "| 100 | ", "billed")
			assert.Contains(t, line, " | 0 |\n", "lost")
		}
	}
}

func TestIdealTime(t *testing.T) {
	s := setting{calls: 610, limit: 600, span: time.Minute}
	assert.Equal(t, time.Minute+latency, s.ideal(610))
	assert.Equal(t, latency, s.ideal(3))
}

// What is beyond the targets is named, each by itself; who has no dispatcher is not judged.
func TestJudge(t *testing.T) {
	s := setting{calls: 100, limit: 600, span: time.Minute} // 9.2 s at least
	good := func() result {
		return result{
			contender: contender{name: "x", over: true}, took: 9600 * time.Millisecond,
			bill: fakellm.Ledger{Received: 101, ThrottledRate: 1, Billed: 100},
		}
	}
	assert.NoError(t, s.judge([]result{good()}))
	for want, spoil := range map[string]func(*result){
		"1 lost":        func(r *result) { r.lost = 1 },
		"2 of 102":      func(r *result) { r.bill.Received, r.bill.ThrottledRate = 102, 2 },
		"9.7 s, more":   func(r *result) { r.took = 9700 * time.Millisecond },
		"101 billed":    func(r *result) { r.bill.Billed = 101 },
		"more than 1 %": func(r *result) { r.bill.Faults = map[fakellm.Fault]int{fakellm.ThrottleDate: 1} },
	} {
		r := good()
		spoil(&r)
		assert.ErrorContains(t, s.judge([]result{r}), want)
		r.over = false
		assert.NoError(t, s.judge([]result{r}))
	}
}

func TestBadFlags(t *testing.T) {
	for _, args := range []string{"-calls 0", "-workers 0", "-limit -1", "-span 0s", "-nonsense"} {
		assert.Error(t, run(t.Context(), strings.Fields(args), io.Discard), args)
	}
	assert.Error(t, insert(filepath.Join(t.TempDir(), "none"), ""))
	bare := filepath.Join(t.TempDir(), "bare")
	require.NoError(t, os.WriteFile(bare, []byte("nothing\n"), 0o600))
	assert.ErrorContains(t, insert(bare, ""), "has no")
}
