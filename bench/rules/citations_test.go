package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCitedIn(t *testing.T) {
	for _, tt := range []struct {
		text string
		want []string
	}{
		{"nothing", nil},
		{"S-B3: a probe", []string{"S-B3"}},
		{"(S-R2, S-R13)", []string{"S-R2", "S-R13"}},
		{"S-B1 to S-B3, S-B9 to S-B10", []string{"S-B1", "S-B2", "S-B3", "S-B9", "S-B10"}},
		{"over two lines: S-B1 to\nS-B2", []string{"S-B1", "S-B2"}},
		{"S-A1 to S-B2", []string{"S-B2", "S-A1"}}, // no range
		{"S-B3 to S-B1", nil},
		{"S-B1 to S-B1000000000", nil},
		{"TLS-A1, XS-A1, S-b1, S-B, SB1, S-B1x", nil},
	} {
		assert.Equal(t, tt.want, citedIn(tt.text), tt.text)
	}
}

func TestReadCitations(t *testing.T) {
	root := t.TempDir()
	plantFile(t, root, "policy/wait_test.go", `package policy_test

// S-A1 stands alone.

// S-R2, S-R3: waits.
func TestWait(t *testing.T) {
	helper()
	t.Run("with a hint (S-R4)", func(t *testing.T) {
		// S-R5 is about the same, and once more S-R2.
	})
	x := `+"`S-R6`"+`
} // S-R7

// S-A2: helpers are no tests.
func helper() {
	// S-A3
}

// S-A4
type T struct{}

// S-A5
func (T) TestMethod() {}

// S-A6
func TestMain(m *testing.M) {}

// S-R2
func FuzzWait(f *testing.F) {}

// S-A7
func BenchmarkWait(b *testing.B) {}
`)
	plantFile(t, root, "policy/wait.go", "package policy\n\n// S-A1\nfunc TestNothing() {}\n")
	plantFile(t, root, "job/job_test.go", "package job\n\n// S-R2\nfunc TestJob(t *testing.T) {}\n")
	plantFile(t, root, "scheduler/testdata/story.txt", "# A story (S-R2,\n# S-B1).\n0s submit S-A1\n    # S-A2\n")
	plantFile(t, root, "scheduler/testdata/README.md", "# S-A1\n")

	found, err := readCitations(root)
	require.NoError(t, err)
	wait := test{"policy", "TestWait"}
	story := test{"scheduler", "TestTranscripts/story"}
	assert.Equal(t, citations{
		"S-R2": {{"job", "TestJob"}, {"policy", "FuzzWait"}, wait, story},
		"S-R3": {wait}, "S-R4": {wait}, "S-R5": {wait}, "S-R6": {wait},
		"S-B1": {story},
	}, found)
}

func TestCovers(t *testing.T) {
	one := test{"policy", "TestWait"}
	assert.True(t, one.covers(one))
	assert.True(t, one.covers(test{"policy", "TestWait/case"}))
	assert.False(t, one.covers(test{"policy", "TestWaits"}))
	assert.False(t, one.covers(test{"job", "TestWait"}))
	assert.False(t, test{"policy", "TestWait/case"}.covers(one))
}

// plantFile writes a file under root, with the directories that it needs.
func plantFile(t *testing.T, root, name, text string) {
	t.Helper()
	file := filepath.Join(root, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
}
