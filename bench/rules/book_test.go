package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMissing(t *testing.T) {
	one := test{"policy", "TestCap"}
	bug := func(name, rule string, t test) patch { return patch{name: name, rule: rule, test: t} }
	b := &book{
		rules: []rule{
			{id: "S-A1", title: "One door"}, {id: "S-A2", title: "All or nothing"}, {id: "S-C2", title: "Adaptive", notYet: true},
			{id: "S-T1", title: "Once"},
		},
		citations: citations{"S-A1": {one}, "S-T1": {one}},
		patches: []patch{
			bug("S-A1", "S-A1", one),
			bug("S-A1-2", "S-A1", test{"policy", "TestCap/of_4_s"}),
		},
	}
	assert.Equal(t, []string{
		"S-A2: no test cites it: All or nothing",
		"S-A2: no planted bug: All or nothing",
	}, b.missing())

	b.citations["S-A2"] = []test{one}
	b.citations["S-A9"] = []test{one}
	b.rules[2].notYet = false
	b.patches = append(b.patches,
		bug("S-A2", "S-A2", test{"policy", "TestOther"}), bug("S-T1", "S-T1", one), bug("S-C2", "S-C2", one), bug("S-B9", "S-B9", one))
	b.faults = []string{"scheduler/planted/x: unreadable"}
	assert.Equal(t, []string{
		`S-C2: exempt as "not built yet", but scheduler/SEMANTICS.md does not say "Not yet"`,
		"S-A2.patch: its test, ./policy TestOther, does not cite S-A2, or is none",
		"S-T1.patch: S-T1 is not a rule that owes a bug",
		"S-C2.patch: S-C2 is not a rule that owes a bug",
		"S-B9.patch: S-B9 is not a rule that owes a bug",
		"S-A9: there is no such rule, but ./policy TestCap cites it",
		"scheduler/planted/x: unreadable",
	}, b.missing())
}

// The whole way, from files to the exit of a check.
func TestCheck(t *testing.T) {
	root := t.TempDir()
	plantFile(t, root, semanticsFile, "- R2. The cap | is a cap. Always.\n  *Kept.*\n- C2. Adaptive.\n  *Not yet.*\n- T1. Once.\n")
	for i := range 5 {
		plantFile(t, root, fmt.Sprintf("policy/wait%d_test.go", i), fmt.Sprintf("package policy\n\n// S-R2\nfunc TestWait%d(t *testing.T) {}\n", i))
	}
	plantFile(t, root, "job/job_test.go", "package job\n\n// S-R2\nfunc TestJob(t *testing.T) {}\n")
	var out bytes.Buffer
	again := func() error {
		b, err := readBook(root)
		require.NoError(t, err)
		out.Reset()
		return check(b, &out)
	}
	require.EqualError(t, again(), "2 missing or wrong")
	assert.Equal(t, "S-R2: no planted bug: The cap | is a cap\nscheduler/RULES.md: out of date; go run ./bench/rules -write\n", out.String())

	plantFile(t, root, "scheduler/planted/S-R2.patch", bugged("S-R2", "TestWait3", "no cap"))
	require.EqualError(t, again(), "1 missing or wrong", "the table")
	b, err := readBook(root)
	require.NoError(t, err)
	require.NoError(t, b.write(&out))
	require.NoError(t, again())
	assert.Equal(t, "1 rules, each cited by a test; 1 planted bugs, each with a test that cites its rule\n", out.String())

	table, err := os.ReadFile(filepath.Join(root, tableFile))
	require.NoError(t, err)
	rows, _ := bytes.CutPrefix(table, []byte(tableHead))
	assert.Equal(t, `| S-R2 | The cap \| is a cap | job: TestJob<br>policy: TestWait0, TestWait1, TestWait2 + 2 more | `+
		"[S-R2](planted/S-R2.patch): no cap; TestWait3 in policy |\n"+
		"| S-C2 | Adaptive | not built yet |  |\n", string(rows))
}
