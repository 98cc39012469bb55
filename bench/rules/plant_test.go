package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The code in which the bugs below are planted.
const code = `package policy

// Wait is n, at most 10.
func Wait(n int) int {
	return min(n, 10)
}
`

const codeTest = `package policy

import "testing"

func TestWait(t *testing.T) {
	if got := Wait(20); got != 10 {
		t.Errorf("%d", got)
	}
}

func TestSmallWait(t *testing.T) {
	t.Run("three", func(t *testing.T) {
		if Wait(3) != 3 {
			t.Error("three")
		}
	})
}

func TestAlwaysFails(t *testing.T) { t.Error("whatever") }
`

// bugged is a patch that replaces the body of Wait.
func bugged(rule, name, body string) string {
	return fmt.Sprintf(`Rule: %s
Test: ./policy %s
Bug: %s

--- a/policy/wait.go
+++ b/policy/wait.go
@@ -2,5 +2,5 @@

 // Wait is n, at most 10.
 func Wait(n int) int {
-	return min(n, 10)
+	%[3]s
 }
`, rule, name, body)
}

// wildModule writes a module that lies in a git repository, as a temporary directory may.
func wildModule(t *testing.T) (root string) {
	t.Helper()
	outer := t.TempDir() // where the copies go, too
	require.NoError(t, exec.CommandContext(t.Context(), "git", "init", "-q", outer).Run())
	t.Setenv("TMPDIR", outer)
	t.Setenv("GIT_DIR", filepath.Join(outer, ".git")) // as in a git hook
	root = filepath.Join(outer, "module")
	plantFile(t, root, "go.mod", "module example.com/wild\n\ngo 1.26.0\n")
	for _, pkg := range packages {
		plantFile(t, root, pkg+"/doc.go", "package "+pkg+"\n")
	}
	plantFile(t, root, "policy/wait.go", code)
	plantFile(t, root, "policy/wait_test.go", codeTest)
	return root
}

func TestPlant(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a module a dozen times")
	}
	root := wildModule(t)
	bugs := []struct {
		name, patch string
		killed      bool
		what        string
	}{
		{"S-R1", bugged("S-R1", "TestWait", "return n"), true, "killed at wait_test.go:7"},
		{"S-R2", bugged("S-R2", "TestSmallWait/three", "return 10"), true, "killed at wait_test.go:14"},
		{"S-R3", bugged("S-R3", "TestSmallWait", "return n"), false, "with the bug the test passed"},
		{"S-R4", bugged("S-R4", "TestWait", `panic("boom")`), false, "with the bug the test panicked"},
		{"S-R5", bugged("S-R5", "TestWait", "return nn"), false, "does not build, or vet"},
		{"S-R6", bugged("S-R6", "TestWait", "n = n; return n"), false, "does not build, or vet"},
		{"S-R7", string(bytes.Replace([]byte(bugged("S-R7", "TestWait", "return n")), []byte("at most 10"), []byte("at most 9"), 1)), false, "the patch does not apply"},
		{"S-R8", bugged("S-R8", "TestGone", "return n"), false, "without the bug the test did not run"},
		{"S-R9", bugged("S-R9", "TestAlwaysFails", "return n"), false, "without the bug the test failed by an assertion"},
		{"S-R10", bugged("S-R10", "TestWait", "for n > 0 { n |= 1 }; return 10"), false, "with the bug the test timed out"},
		{"S-R11", bugged("S-R11", "TestWait", "return 0"), true, "killed at wait_test.go:7"}, // the beds are still sound
	}
	for _, bug := range bugs {
		plantFile(t, root, plantedDir+"/"+bug.name+".patch", bug.patch)
	}
	patches, faults, err := readPatches(filepath.Join(root, plantedDir))
	require.NoError(t, err)
	require.Empty(t, faults)

	var out bytes.Buffer
	p := planter{root: root, workers: 2, timeout: 3 * time.Second, out: &out}
	outcomes, err := p.plant(t.Context(), patches)
	require.NoError(t, err)
	got := make(map[string]outcome)
	for _, o := range outcomes {
		got[o.patch.name] = o
	}
	for _, bug := range bugs {
		o := got[bug.name]
		assert.Equal(t, bug.killed, o.killed, bug.name)
		assert.Equal(t, bug.what, o.what, "%s: %s", bug.name, o.detail)
		assert.Equal(t, bug.killed || bug.name == "S-R3", o.detail == "", bug.name)
		assert.Contains(t, out.String(), bug.what)
	}
	assert.Len(t, outcomes, len(bugs))

	after, err := os.ReadFile(filepath.Join(root, "policy", "wait.go"))
	require.NoError(t, err)
	assert.Equal(t, code, string(after), "the tree is left alone")
	left, err := filepath.Glob(filepath.Join(filepath.Dir(root), "planted-*"))
	require.NoError(t, err)
	assert.Empty(t, left, "the copies are removed")
}

func TestPlantInATreeThatDoesNotBuild(t *testing.T) {
	root := wildModule(t)
	plantFile(t, root, "job/job.go", "package job\n\nvar x = y\n")
	one, err := parsePatch("S-R1", []byte(bugged("S-R1", "TestWait", "return n")))
	require.NoError(t, err)
	p := planter{root: root, workers: 2, timeout: time.Second, out: &bytes.Buffer{}}
	outcomes, err := p.plant(t.Context(), []patch{one})
	require.ErrorContains(t, err, "without any bug, the tree does not build:\n# example.com/wild/job")
	assert.Empty(t, outcomes)
}

// An interrupted run says so, and doesn't call the bugs it was about to plant unkilled.
func TestPlantInterrupted(t *testing.T) {
	root := wildModule(t)
	one, err := parsePatch("S-R1", []byte(bugged("S-R1", "TestWait", "return n")))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p := planter{root: root, workers: 2, timeout: time.Second, out: &bytes.Buffer{}}
	outcomes, err := p.plant(ctx, []patch{one})
	require.ErrorIs(t, err, context.Canceled)
	assert.Empty(t, outcomes)
}

func TestPlantAll(t *testing.T) {
	root := wildModule(t)
	b := &book{root: root}
	var out bytes.Buffer
	require.ErrorContains(t, plantAll(t.Context(), b, nil, &out), "nothing to plant")
	require.ErrorContains(t, plantAll(t.Context(), b, []string{"R1"}, &out), "no patch S-R1")

	one, err := parsePatch("S-R1", []byte(bugged("S-R1", "TestWait", "return n")))
	require.NoError(t, err)
	b.patches = []patch{one}
	require.NoError(t, plantAll(t.Context(), b, nil, &out))
	assert.Contains(t, out.String(), "[ 1/1] S-R1    ./policy TestWait: killed at wait_test.go:7 (")
	assert.Contains(t, out.String(), "1 bugs planted, 1 killed (")

	b.faults = []string{"S-R2.patch: unreadable"}
	require.ErrorContains(t, plantAll(t.Context(), b, nil, &out), "1 patches cannot be read")
	require.NoError(t, plantAll(t.Context(), b, []string{"R1"}, &out), "of others")
	b.patches[0].test.name = "TestSmallWait"
	require.EqualError(t, plantAll(t.Context(), b, []string{"R1"}, &out), "not killed: S-R1")
}
