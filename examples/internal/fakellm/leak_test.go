package fakellm

import (
	"testing"

	"go.uber.org/goleak"
)

// No test leaves a goroutine behind. Those that run before the first are of packages that start some when imported.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}
