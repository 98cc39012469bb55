package dispatcher_test

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails the package when a dispatcher leaves a goroutine behind. Importing ants starts two of its own, for the
// life of the process; they are there already, hence IgnoreCurrent.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}
