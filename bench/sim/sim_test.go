package main

import (
	"bytes"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/bench/sim/oracle"
)

// TestOracleStandsApart is S-T2's "imports nothing of policy and scheduler": the oracle knows the standard library, without chance
// and clocks' moods, and nothing of the module.
func TestOracleStandsApart(t *testing.T) {
	files, err := filepath.Glob("oracle/*.go")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		require.NoError(t, err)
		for _, spec := range parsed.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			require.NoError(t, err)
			require.Contains(t, []string{"fmt", "math", "math/bits", "slices", "time"}, path, file)
		}
	}
}

// TestStories is a short run: nothing is broken, and no cell is hit that cannot be.
func TestStories(t *testing.T) {
	var out, complaints bytes.Buffer
	require.Equal(t, exitGood, run(t.Context(), []string{"-seeds", "400", "-table"}, &out, &complaints), "%s%s", &out, &complaints)
	require.Contains(t, out.String(), "no rule was broken")
	require.Contains(t, out.String(), "start, key: open: S-B1")
}

// TestStoriesAreToldTheSame plays seeds twice.
func TestStoriesAreToldTheSame(t *testing.T) {
	for seed := range uint64(50) {
		first, _ := tellSafely(seed, 150, nil)
		again, _ := tellSafely(seed, 150, nil)
		require.Equal(t, transcript(first.world, first.told), transcript(again.world, again.told), "seed %d", seed)
	}
}

// TestExpress wants jobs to take the express way in many stories, and in none where that is not the world's.
func TestExpress(t *testing.T) {
	stories, jobs := 0, 0
	for seed := range uint64(200) {
		p, fault := tellSafely(seed, 150, nil)
		require.Nil(t, fault, "seed %d", seed)
		if p.expressed > 0 {
			stories, jobs = stories+1, jobs+p.expressed
			require.True(t, p.world.express, "seed %d", seed)
		}
	}
	require.Greater(t, stories, 10)
	require.Greater(t, jobs, 50)
}

// TestOracleSees makes what came out of the core wrong in one way each, and wants the oracle to see it, in some story, as a breach of
// the rule in question.
func TestOracleSees(t *testing.T) {
	drop := func(turn *oracle.Turn, kind oracle.EffectKind) bool {
		for i, e := range turn.Effects {
			if e.Kind == kind {
				turn.Effects = append(turn.Effects[:i:i], turn.Effects[i+1:]...)
				return true
			}
		}
		return false
	}
	find := func(turn *oracle.Turn, kind oracle.EffectKind) *oracle.Effect {
		for i := range turn.Effects {
			if turn.Effects[i].Kind == kind {
				return &turn.Effects[i]
			}
		}
		return nil
	}
	for _, lie := range []struct {
		name  string
		rules string // one of which is broken by it
		tell  func(turn *oracle.Turn) bool
	}{
		{"a job is settled twice", "S-F1", func(turn *oracle.Turn) bool {
			if e := find(turn, oracle.Settle); e != nil {
				turn.Effects = append(turn.Effects, *e)
				return true
			}
			return false
		}},
		{"a job is never settled", "S-F1", func(turn *oracle.Turn) bool { return drop(turn, oracle.Settle) }},
		{"a job starts twice", "S-C1 S-F1", func(turn *oracle.Turn) bool {
			if e := find(turn, oracle.Start); e != nil {
				turn.Effects = append(turn.Effects, *e)
				return true
			}
			return false
		}},
		{"a start is not told", "S-F1", func(turn *oracle.Turn) bool { return drop(turn, oracle.Start) }},
		{"a circuit does not open", "S-B10", func(turn *oracle.Turn) bool { return drop(turn, oracle.Opened) }},
		{"a circuit opens for no reason", "S-B4", func(turn *oracle.Turn) bool {
			if e := find(turn, oracle.Opened); e != nil {
				turn.Effects = append(turn.Effects, *e)
				return true
			}
			return false
		}},
		{"a circuit opens for too long", "S-B10", func(turn *oracle.Turn) bool {
			e := find(turn, oracle.Opened)
			if e != nil && e.Until != oracle.Never {
				e.Until++
				return true
			}
			return false
		}},
		{"a cooldown is too short", "S-L10", func(turn *oracle.Turn) bool {
			e := find(turn, oracle.Cooling)
			if e != nil {
				e.Until--
			}
			return e != nil
		}},
		{"a wait is too short", "S-R2 S-F1 S-L9", func(turn *oracle.Turn) bool {
			e := find(turn, oracle.Parked)
			if e != nil {
				e.Until -= 200e6
			}
			return e != nil
		}},
		{"nobody wakes", "S-L9 S-B10 S-T2", func(turn *oracle.Turn) bool {
			if turn.View.NextWake == oracle.Never || turn.View.Unsettled == 0 {
				return false
			}
			turn.View.NextWake = oracle.Never
			return true
		}},
		{"a slot is lost", "S-C1", func(turn *oracle.Turn) bool { turn.View.InFlight++; return true }},
		{"a bucket holds too much", "S-L8", func(turn *oracle.Turn) bool {
			for i := range turn.View.Levels {
				turn.View.Levels[i].Micro += oracle.Token
				return true
			}
			return false
		}},
		{"a bucket holds too little", "S-L8", func(turn *oracle.Turn) bool {
			for i := range turn.View.Levels {
				turn.View.Levels[i].Micro -= oracle.Token
				return true
			}
			return false
		}},
		{"a key is forgotten that has something to remember", "S-A9", func(turn *oracle.Turn) bool {
			if e := find(turn, oracle.Start); e != nil {
				turn.Effects = append(turn.Effects, oracle.Effect{Kind: oracle.Forgotten, Key: turn.Events[len(turn.Events)-1].Key})
				return true
			}
			return false
		}},
	} {
		t.Run(lie.name, func(t *testing.T) {
			lied := 0
			for seed := range uint64(300) {
				told := false
				tamper = func(turn *oracle.Turn) {
					if !told {
						told = lie.tell(turn)
					}
				}
				_, fault := tellSafely(seed, 60, nil)
				tamper = nil
				if !told {
					continue
				}
				if lied++; fault != nil && strings.Contains(lie.rules, fault.Rule) {
					return
				}
			}
			t.Fatalf("nobody saw it in %d stories", lied)
		})
	}
}

// TestShrink shrinks a story that is broken by a lie, and wants it short and broken still.
func TestShrink(t *testing.T) {
	tamper = func(turn *oracle.Turn) {
		for i := range turn.Effects {
			if e := &turn.Effects[i]; e.Kind == oracle.Cooling {
				e.Until--
			}
		}
	}
	t.Cleanup(func() { tamper = nil })
	for seed := range uint64(100) {
		p, fault := tellSafely(seed, 150, nil)
		if fault == nil || fault.Rule != "S-L10" || len(p.told) < 20 {
			continue
		}
		w, turns := shrink(p.world, p.told, fault.Rule)
		_, fault = retell(w, turns)
		require.NotNil(t, fault)
		require.Equal(t, "S-L10", fault.Rule)
		require.LessOrEqual(t, storySize(turns), 8, "%s", transcript(w, turns))
		require.Contains(t, transcript(w, turns), "throttled")
		return
	}
	t.Fatal("no story was broken")
}

func TestUsage(t *testing.T) {
	var out bytes.Buffer
	require.Equal(t, exitGood, run(t.Context(), []string{"-h"}, &out, &out))
	require.Contains(t, out.String(), "usage:")
	for _, args := range [][]string{{"-turns", "3"}, {"-workers", "0"}, {"S-B3"}, {"-for", "-1s"}, {"-nonsense"}} {
		require.Equal(t, exitUsage, run(t.Context(), args, &out, &out), args)
	}
}
