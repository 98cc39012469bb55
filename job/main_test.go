package job_test

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails the package when somebody who waited for a future is left behind.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}
