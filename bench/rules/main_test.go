package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestUsage(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want int
		says string
	}{
		{[]string{"-h"}, exitGood, "usage:"},
		{[]string{"-plant", "-write"}, exitUsage, "usage:"},
		{[]string{"S-R2"}, exitUsage, "usage:"},
		{[]string{"-write", "S-R2"}, exitUsage, "usage:"},
		{[]string{"-pant"}, exitUsage, "flag provided but not defined: -pant"},
		{[]string{"-plant", "S-Z99"}, exitBad, "rules: no patch S-Z99"},
	} {
		var out, errs bytes.Buffer
		assert.Equal(t, tt.want, run(t.Context(), tt.args, &out, &errs), "%v", tt.args)
		assert.Contains(t, errs.String(), tt.says, "%v", tt.args)
		assert.Empty(t, out.String(), "%v", tt.args)
	}
	t.Chdir(t.TempDir())
	var out, errs bytes.Buffer
	assert.Equal(t, exitUsage, run(t.Context(), nil, &out, &errs))
	assert.Contains(t, errs.String(), "no bench/go.mod in")
}
