package main

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// No test leaves a goroutine behind. Those that run before the first are of packages that start some when imported.
func TestMain(m *testing.M) {
	if os.Getenv(childCommand) != "" {
		main() // which exits
	}
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}
