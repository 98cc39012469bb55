package fakellm

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// An account pays for what is billed, and for nothing else; then its key is refused, and no other one, until it is topped up.
func TestAccounts(t *testing.T) {
	api, err := New(Config{
		Accounts: map[string]int{"poor": 2},
		Rules:    []Rule{{Prompt: "fails", Fault: Status500}, {Prompt: "is lost", Fault: Empty}},
	})
	if err != nil {
		t.Fatal(err)
	}
	steps := []struct {
		key, prompt string
		topUp       int
		status      int
		want        Account // of poor, afterwards
	}{
		{"poor", "fails", 0, 500, Account{Left: 2}},
		{"poor", "is lost", 0, 200, Account{Left: 1, Paid: 1}},
		{"rich", "goes well", 0, 200, Account{Left: 1, Paid: 1}},
		{"poor", "goes well", 0, 200, Account{Left: 0, Paid: 2}},
		{"poor", "fails", 0, 429, Account{Left: 0, Paid: 2, Refused: 1}},
		{"poor", "goes well", -1, 429, Account{Left: 0, Paid: 2, Refused: 2}},
		{"rich", "goes well", 0, 200, Account{Left: 0, Paid: 2, Refused: 2}},
		{"poor", "goes well", 1, 200, Account{Left: 0, Paid: 3, Refused: 2}},
		{"poor", "goes well", 0, 429, Account{Left: 0, Paid: 3, Refused: 3}},
	}
	for n, step := range steps {
		api.TopUp("poor", step.topUp)
		api.TopUp("rich", step.topUp) // which has no account
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodPost, "/v1/chat/completions", strings.NewReader(chat(step.prompt)))
		r.Header.Set("Authorization", "Bearer "+step.key)
		api.ServeHTTP(w, r)
		quota := strings.Contains(w.Body.String(), "insufficient_quota")
		if got := api.Account("poor"); w.Code != step.status || quota != (step.status == 429) || got != step.want {
			t.Errorf("step %d: status %d, %+v, want %d, %+v; %s", n, w.Code, got, step.status, step.want, w.Body)
		}
	}
	l := api.Ledger()
	if fmt.Sprint(l.Faults) != fmt.Sprint(map[Fault]int{Status500: 1, Empty: 1, NoQuota: 3}) || l.Throttled() != 0 || l.Received != l.Settled() {
		t.Errorf("%+v", l)
	}
	if got := api.Account("rich"); got != (Account{}) {
		t.Errorf("%+v", got)
	}
}
