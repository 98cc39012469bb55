package main

import (
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/toller-go/toller/examples/internal/fakellm"
)

// mustWaste checks how many requests of a run were refused for want of money: of each key that ran out at least the one that told so,
// and no more than were in flight when it came back.
func mustWaste(t *testing.T, api *fakellm.Server, before map[string]fakellm.Account, inFlight int, ranOut ...string) {
	t.Helper()
	refused := 0
	for _, key := range []string{theKey, otherKey} {
		wasted := api.Account(key).Refused - before[key].Refused
		refused += api.Account(key).Refused
		out := strings.Contains(strings.Join(ranOut, " "), key)
		if out && (wasted < 1 || wasted > inFlight) || !out && wasted != 0 {
			t.Errorf("%d requests were refused, with %d in flight; the key ran out: %v", wasted, inFlight, out)
		}
		before[key] = api.Account(key)
	}
	if bill := api.Ledger(); bill.Faults[fakellm.NoQuota] != refused {
		t.Errorf("the bill has %v, the accounts %d", bill.Faults, refused)
	}
}

// mustCompleteOnce checks the finished output, and by the server's bill that no prompt was answered twice.
func (r *batchRun) mustCompleteOnce(t *testing.T, api *fakellm.Server) {
	t.Helper()
	r.verify(t, 0)
	for id, record := range r.records(t) {
		mustAnswer(t, record, r.prompts[id])
	}
	prompts := len(r.prompts)
	if bill := api.Ledger(); bill.Billed != prompts || !maps.Equal(bill.CompletedPerPrompt, map[int]int{1: prompts}) {
		t.Errorf("%d prompts, and the bill is %+v", prompts, bill)
	}
}

// Two keys, of which one runs out of money midway: the other does what is left, and what was refused is no more than was in flight. Both
// run out: the run pauses, as often as it is tried, and once one is topped up the same command goes on, and answers each prompt once.
func TestKeysRunOut(t *testing.T) {
	const prompts, paid, inFlight = 200, 50, 8
	keys := []string{"-api-key-env", keyEnv + "," + otherEnv, "-max-in-flight", fmt.Sprint(inFlight)}
	latency := fakellm.Range{Min: 2 * time.Millisecond, Max: 12 * time.Millisecond}
	t.Run("one", func(t *testing.T) {
		api := fake(t, fakellm.Config{Keys: []string{theKey, otherKey}, Accounts: map[string]int{theKey: paid, otherKey: prompts}, Latency: latency})
		r := twoKeys(t, api.BaseURL(), prompts)
		r.run(t, exitDone, keys...)
		r.mustHideKeys(t)
		mustWaste(t, api, map[string]fakellm.Account{}, inFlight, theKey)
		r.mustCompleteOnce(t, api)
		if a, b := api.Account(theKey), api.Account(otherKey); a.Paid != paid || b.Paid != prompts-paid {
			t.Errorf("%+v, %+v", a, b)
		}
	})
	t.Run("both", func(t *testing.T) {
		api := fake(t, fakellm.Config{Keys: []string{theKey, otherKey}, Accounts: map[string]int{theKey: paid, otherKey: paid}, Latency: latency})
		r := twoKeys(t, api.BaseURL(), prompts)
		before := map[string]fakellm.Account{}
		for range 2 { // the second time, neither has anything from the start
			r.again(t, exitPaused, keys...)
			r.mustHideKeys(t)
			mustWaste(t, api, before, inFlight, theKey, otherKey)
			mustSum(t, r.stdout.String(), map[string]int64{"answered": 2 * paid, "left": prompts - 2*paid})
			if n := len(r.records(t)); n != 2*paid {
				t.Errorf("%d lines", n)
			}
			r.verify(t, 2)
			if _, err := os.Stat(r.out + ".journal"); err != nil {
				t.Error(err)
			}
			for _, words := range []string{
				"no API key is left", keyEnv + ": out_of_money: HTTP 429", otherEnv + ": out_of_money: HTTP 429", "100 of 200 prompts are left",
				"go on with: llmbatch " + shell(r.args(keys...)...),
			} {
				if !strings.Contains(r.stderr.String(), words) {
					t.Errorf("%q is not said:\n%s", words, r.stderr)
				}
			}
		}
		api.TopUp(otherKey, prompts)
		r.again(t, exitDone, keys...)
		r.mustHideKeys(t)
		mustWaste(t, api, before, inFlight, theKey)
		r.mustCompleteOnce(t, api)
	})
}
