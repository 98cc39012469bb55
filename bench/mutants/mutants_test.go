package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/bench/internal/tree"
)

const sample = `package p

const size = 3

func full(n int, on bool) bool {
	if n > size && !on {
		reset(n)
	}
	return n >= size
}

func next(n int) int {
	for range n {
		n++
		break
	}
	n = n - 1
	return n
}
`

func TestMutantsOfASample(t *testing.T) {
	mutants, err := mutantsIn("p/p.go", []byte(sample))
	require.NoError(t, err)
	var whats []string
	for _, m := range mutants {
		what, _, _ := strings.Cut(m.what, " (column")
		whats = append(whats, m.text+" => "+what)
		changed := m.apply([]byte(sample))
		require.NotEqual(t, sample, string(changed), "%v changes nothing", &m)
		require.Equal(t, m.line, 1+strings.Count(sample[:m.start], "\n"))
	}
	require.Equal(t, []string{
		"const size = 3 => 3 becomes 4", "const size = 3 => 3 becomes 2",
		"if n > size && !on { => negate the condition",
		"if n > size && !on { => && becomes ||",
		"if n > size && !on { => > becomes >=", "if n > size && !on { => > becomes <=",
		"if n > size && !on { => remove !",
		"reset(n) => remove the call",
		"return n >= size => return the contrary",
		"return n >= size => >= becomes >", "return n >= size => >= becomes <",
		"n++ => ++ becomes --",
		"break => remove break",
		"n = n - 1 => remove the assignment", "n = n - 1 => - becomes +", "n = n - 1 => 1 becomes 2", "n = n - 1 => 1 becomes 0",
		"return n => return 0",
	}, whats)
}

// TestTrial tries mutants of a module of its own, of which its test kills some.
func TestTrial(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":      "module m\n\ngo 1.26\n",
		"p/p.go":      "package p\n\nfunc Max(a, b int) int {\n\tif a > b {\n\t\treturn a\n\t}\n\treturn b\n}\n",
		"p/p_test.go": "package p\n\nimport \"testing\"\n\nfunc TestMax(t *testing.T) {\n\tif Max(1, 2) != 2 || Max(2, 1) != 2 {\n\t\tt.Fatal()\n\t}\n}\n",
	} {
		file := filepath.Join(root, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	}
	var errOut bytes.Buffer
	o, err := parse([]string{"-packages", "p"}, &errOut)
	require.NoError(t, err)
	chosen, err := o.choose(root)
	require.NoError(t, err)
	trial := trial{root: root, o: &o, out: &errOut}
	verdicts, err := trial.run(t.Context(), chosen)
	require.NoError(t, err)
	got := map[string]verdict{}
	for i, v := range verdicts {
		got[chosen[i].what] = v
	}
	require.Equal(t, map[string]verdict{
		"negate the condition (column 5)": killed,
		"> becomes >= (column 7)":         survived, // which it must: of two that are equal, either is the greater
		"> becomes <= (column 7)":         killed,
		"return 0 (column 10)":            killed,
		"return 0 (column 9)":             killed,
	}, got)

	var out bytes.Buffer
	o.least = 100
	require.EqualError(t, o.judge(chosen, verdicts, nil, &out), "the score 80.0 is below 100")
	require.Contains(t, out.String(), "survived  p/p.go:4: > becomes >= (column 7)   in: if a > b {")
	excused, err := readEquivalent("# remark\n\np/p.go | if a > b { | > becomes >= (column 7) | of two that are equal, either is the greater\n")
	require.NoError(t, err)
	require.NoError(t, o.judge(chosen, verdicts, excused, &out))
	require.Contains(t, out.String(), "score 100.0 %")
}

// TestEquivalentAreMutants: what is excused must be there, or the excuse is for nothing, and may hide another's survival later.
func TestEquivalentAreMutants(t *testing.T) {
	excused, err := readEquivalent(equivalentText)
	require.NoError(t, err)
	root, err := tree.Root()
	require.NoError(t, err)
	there := map[string]bool{}
	for _, pkg := range []string{"policy", "scheduler"} {
		mutants, err := mutantsOf(root, pkg)
		require.NoError(t, err)
		for i := range mutants {
			there[mutants[i].key()] = true
		}
	}
	for key, reason := range excused {
		require.True(t, there[key], "no such mutant: %s", key)
		require.NotEmpty(t, reason)
	}
	_, err = readEquivalent("nonsense")
	require.Error(t, err)
}

func TestUsage(t *testing.T) {
	var out bytes.Buffer
	require.Equal(t, exitGood, run(t.Context(), []string{"-h"}, &out, &out))
	require.Equal(t, exitUsage, run(t.Context(), []string{"-workers", "0"}, &out, &out))
	require.Equal(t, exitGood, run(t.Context(), []string{"-list", "-sample", "5"}, &out, &out))
	require.Contains(t, out.String(), "5 mutants\n")
}
