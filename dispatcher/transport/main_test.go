package transport_test

import (
	"testing"

	"go.uber.org/goleak"
)

// No test leaves a goroutine behind. Importing ants starts two, for the life of the process: hence IgnoreCurrent.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}
