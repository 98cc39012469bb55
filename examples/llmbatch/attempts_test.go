package main

import "testing"

// None begins once the end of the last is waited for, and the wait is over with that end.
func TestAttempts(t *testing.T) {
	var none attempts
	mustBeClosed(t, none.lastEnded(), true)

	var two attempts
	for range 2 {
		if !two.begin() {
			t.Fatal("an attempt may not begin")
		}
	}
	two.end()
	ended := two.lastEnded()
	if two.begin() {
		t.Error("an attempt begins after the end")
	}
	mustBeClosed(t, ended, false)
	two.end()
	mustBeClosed(t, ended, true)
}

func mustBeClosed(t *testing.T, c <-chan struct{}, want bool) {
	t.Helper()
	select {
	case <-c:
		if !want {
			t.Error("it is closed while one is under way")
		}
	default:
		if want {
			t.Error("it is not closed, and none is under way")
		}
	}
}
