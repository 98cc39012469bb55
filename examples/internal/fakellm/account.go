package fakellm

import (
	"errors"
	"strconv"
	"strings"
)

// Account is what a key has paid for.
type Account struct {
	Left    int // answers it can still pay for
	Paid    int // answers it has paid for
	Refused int // requests that met NoQuota because nothing was left
}

// accounts are those of the keys that have one, by key.
type accounts map[string]*Account

func newAccounts(answers map[string]int) accounts {
	all := make(accounts, len(answers))
	for key, left := range answers {
		all[key] = &Account{Left: left}
	}
	return all
}

// broke reports whether a key has nothing left, and counts a request that it cannot pay for.
func (a accounts) broke(key string) bool {
	account := a[key]
	if account == nil || account.Left > 0 {
		return false
	}
	account.Refused++
	return true
}

// pay takes an answer from the account of a key. Only after broke has returned false.
func (a accounts) pay(key string) {
	if account := a[key]; account != nil {
		account.Left--
		account.Paid++
	}
}

// Account returns how a key stands; all zero for one without an account in Config.Accounts.
func (s *Server) Account(key string) Account {
	s.mu.Lock()
	defer s.mu.Unlock()
	if account := s.desk.accounts[key]; account != nil {
		return *account
	}
	return Account{}
}

// TopUp has a key pay for so many more answers, from the next request on. A key without an account, or a number that is not
// positive, changes nothing.
func (s *Server) TopUp(key string, answers int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if account := s.desk.accounts[key]; account != nil && answers > 0 {
		account.Left += answers
	}
}

// parseAccount reads the account of a key, such as demo=40, into all.
func parseAccount(s string, all map[string]int) error {
	at := strings.LastIndexByte(s, '=')
	if at > 0 {
		if answers, err := strconv.Atoi(s[at+1:]); err == nil {
			all[s[:at]] = answers
			return nil
		}
	}
	return errors.New("allowed: KEY=N, a key and how many answers it pays for, such as demo=40")
}
