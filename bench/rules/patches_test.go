package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const goodHeader = `Rule: S-R2
Test: ./policy TestWait/long_wait
Bug: the cap is forgotten

`

const goodPatch = goodHeader + `diff --git a/policy/wait.go b/policy/wait.go
index 57bd82c..cd30f45 100644
--- a/policy/wait.go
+++ b/policy/wait.go
@@ -1,1 +1,1 @@
-	return min(wait, 10)
+	return wait
diff --git a/dispatcher/x.go b/dispatcher/x.go
--- a/dispatcher/x.go
+++ b/dispatcher/x.go
@@ -1,1 +1,1 @@
-	a
+	b
`

func TestParsePatch(t *testing.T) {
	p, err := parsePatch("S-R2-3", []byte(goodPatch))
	require.NoError(t, err)
	assert.Equal(t, patch{
		name: "S-R2-3", rule: "S-R2", test: test{"policy", "TestWait/long_wait"}, bug: "the cap is forgotten",
		files: []string{"policy/wait.go", "dispatcher/x.go"}, text: []byte(goodPatch),
	}, p)
	assert.Equal(t, []string{"./dispatcher", "./policy"}, p.touched())
}

func TestParsePatchRefuses(t *testing.T) {
	for _, tt := range []struct {
		name     string
		file     string
		old, new string // in goodPatch
		want     string
	}{
		{name: "name without rule", file: "wait", want: "not that of a rule"},
		{name: "name of another rule", file: "S-R3", want: "differ"},
		{name: "no rule", old: "Rule: S-R2\n", want: `no line "Rule: …"`},
		{name: "no bug", old: "Bug: the cap is forgotten\n", want: `no line "Bug: …"`},
		{name: "two tests", old: "Bug:", new: "Test: ./policy TestX\nBug:", want: `"Test" twice`},
		{name: "unknown line", old: "Bug:", new: "Author: me\nBug:", want: "none of Rule, Test and Bug"},
		{name: "prose", old: "Bug:", new: "some prose\nBug:", want: "before the diff"},
		{name: "unknown package", old: "./policy T", new: "./examples T", want: "not of the form"},
		{name: "package not relative", old: "./policy T", new: "policy T", want: "not of the form"},
		{name: "no test", old: "TestWait/long_wait", new: "BenchmarkWait", want: "not of the form"},
		{name: "two names", old: "TestWait/long_wait", new: "TestWait TestHint", want: "not of the form"},
		{name: "a test changed", old: "/wait.go", new: "/wait_test.go", want: "no code"},
		{name: "a golden file changed", old: "policy/wait.go", new: "scheduler/testdata/x.txt", want: "no code"},
		{name: "another module changed", old: "policy/wait.go", new: "bench/wait.go", want: "no code"},
		{name: "a file made", old: "--- a/policy/wait.go", new: "--- /dev/null", want: "changes /dev/null"},
		{name: "a file moved", old: "+++ b/policy/wait.go", new: "+++ b/policy/waits.go", want: "not a/FILE into b/FILE"},
		{name: "paths without a and b", old: "a/policy/wait.go\n+++ b/", new: "policy/wait.go\n+++ ", want: "not a/FILE into b/FILE"},
		{name: "no diff", old: strings.TrimPrefix(goodPatch, goodHeader), want: "no diff"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := goodPatch
			if tt.old != "" {
				require.Contains(t, text, tt.old)
				text = strings.ReplaceAll(text, tt.old, tt.new)
			}
			file := tt.file
			if file == "" {
				file = "S-R2"
			}
			_, err := parsePatch(file, []byte(text))
			require.ErrorContains(t, err, tt.want)
		})
	}
}

func TestReadPatches(t *testing.T) {
	root := t.TempDir()
	none, faults, err := readPatches(root + "/none")
	require.NoError(t, err)
	assert.Empty(t, none)
	assert.Empty(t, faults)

	plantFile(t, root, "README.md", "")
	plantFile(t, root, "notes.txt", "")
	plantFile(t, root, "S-R9.patch", goodPatch)
	for _, name := range []string{"S-R2", "S-R2-2", "S-R2-10"} {
		plantFile(t, root, name+".patch", goodPatch)
	}
	plantFile(t, root, "S-A10.patch", strings.Replace(goodPatch, "S-R2", "S-A10", 1))
	plantFile(t, root, "S-A9.patch", strings.Replace(goodPatch, "S-R2", "S-A9", 1))
	patches, faults, err := readPatches(root)
	require.NoError(t, err)
	assert.Equal(t, []string{
		"scheduler/planted/S-R9.patch: its name and its Rule, S-R2, differ",
		"scheduler/planted/notes.txt: not a .patch",
	}, faults)
	assert.Equal(t, []string{"S-A9", "S-A10", "S-R2", "S-R2-2", "S-R2-10"}, names(patches))

	for _, tt := range []struct {
		words, want []string
	}{
		{nil, names(patches)},
		{[]string{"S-R2"}, []string{"S-R2", "S-R2-2", "S-R2-10"}},
		{[]string{"R2-2", "A9", "S-A9"}, []string{"S-A9", "S-R2-2"}},
		{[]string{"scheduler/planted/S-A10.patch"}, []string{"S-A10"}},
	} {
		chosen, err := choose(patches, tt.words)
		require.NoError(t, err)
		assert.Equal(t, tt.want, names(chosen), "%v", tt.words)
	}
	_, err = choose(patches, []string{"A9", "A1"})
	require.ErrorContains(t, err, "no patch S-A1")
}

func names(patches []patch) (names []string) {
	for _, p := range patches {
		names = append(names, p.name)
	}
	return names
}
