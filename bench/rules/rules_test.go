package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestReadRules(t *testing.T) {
	const text = `# Semantics

Words: a **job** is what a caller submits (S-A9).

- not a rule
## A. Admission
- A1. One door. Every attempt passes the same admission. [toller: retries bypass the limiter]
  *Kept.*
- A10. A short rule.
  *Not yet.*

## C. Concurrency
- C2. Adaptive limit (opt-in): cut on throttle, overload or timeout, one cut per congestion epoch; grow only when the
  limit binds; slow start at the beginning and after a cooldown.
  *Not yet: first the others.*

- T1. delay = min(MaxDelay, jitter(backoff(n))). The cap
  is a cap after jitter.
  *Kept.*

  Further text under the section, B3. for instance, is no rule.
`
	rules, err := readRules(strings.NewReader(text))
	require.NoError(t, err)
	assert.Equal(t, []rule{
		{id: "S-A1", title: "One door"},
		{id: "S-A10", title: "A short rule", notYet: true},
		{id: "S-C2", title: "Adaptive limit (opt-in): cut on throttle, overload or timeout, one cut per …", notYet: true},
		{id: "S-T1", title: "delay = min(MaxDelay, jitter(backoff(n)))"},
	}, rules)
	assert.True(t, rules[0].owes())
	assert.True(t, rules[1].owes(), "what is not built yet owes all the same, unless it is exempt")
	assert.False(t, rules[2].owes(), "exempt")
	assert.False(t, rules[3].owes(), "how things are tested is none of these sections")
}

func TestTitleCountsCharacters(t *testing.T) {
	assert.Equal(t, strings.Repeat("≥", 80), titleOf(strings.Repeat("≥", 80)+"."))
	assert.Equal(t, "In-flight ≤ limit, "+strings.Repeat("≥", 50)+" …", titleOf("In-flight ≤ limit, "+strings.Repeat("≥", 50)+", "+strings.Repeat("x", 20)))
	assert.Equal(t, strings.Repeat("x", 80)+" …", titleOf(strings.Repeat("x", 100)), "one word")
}

func TestCompareIDs(t *testing.T) {
	inOrder := []string{"S-A2", "S-A10", "S-L1", "S-R13", "S-B1", "S-C1", "S-F1", "S-O4", "S-T1"}
	for i, x := range inOrder {
		for j, y := range inOrder {
			assert.Equal(t, i < j, compareIDs(x, y) < 0, "%s, %s", x, y)
			assert.Equal(t, i == j, compareIDs(x, y) == 0, "%s, %s", x, y)
		}
	}
}
