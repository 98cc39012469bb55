package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestOursShowsNone is the table with its verdict: none of the defects on our side; and the cases tell something, since peers show them.
func TestOursShowsNone(t *testing.T) {
	rows := measure(t)
	require.Len(t, rows, len(cases))
	require.Empty(t, ours(rows))
	shown := 0
	for _, r := range rows {
		require.NotEmpty(t, r.peer.did, r.defect.name)
		require.NotEmpty(t, r.our.did, r.defect.name)
		if r.peer.shown {
			shown++
		}
	}
	require.NotZero(t, shown, "a case that nobody can fail proves nothing")
}

func TestReport(t *testing.T) {
	rows := []row{
		{defect{name: "one", rule: "A1", peer: goBreaker, setup: "Do.", avoid: "Don't."}, finding{"bad", true}, finding{"good", false}},
		{defect{name: "two", rule: "A2", peer: xTime}, finding{"good", false}, finding{"bad", true}},
	}
	var out bytes.Buffer
	file := filepath.Join(t.TempDir(), "PEERS.md")
	require.EqualError(t, report(rows, file, &out), "ours shows: two")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(text), "| one (S-A1) | gobreaker ")
	require.Contains(t, string(text), " | bad | good | shown |\n")
	require.Contains(t, string(text), " | good | bad | **ours, too** |\n")
	require.Contains(t, string(text), "- **one.** Do. Don't.\n")
	require.NoError(t, report(rows[:1], "-", &out))
	require.True(t, strings.HasPrefix(out.String(), "| defect |"))
}
