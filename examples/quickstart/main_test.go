package main

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
)

// Every question is answered, within what the limit allows: 20 at once and the other 80, and their retries, at 50 a second.
func TestQuickstart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		if err := run(&out, 100); err != nil {
			t.Fatal(err)
		}
		if got := out.String(); !strings.HasPrefix(got, "100 of 100 questions answered in ") {
			t.Error(got)
		}
	})
}
