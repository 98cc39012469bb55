package main

import (
	"runtime/debug"
	"slices"
)

// peers are the modules that the dispatcher is compared with, and what it stands on.
var peers = []string{
	"github.com/panjf2000/ants/v2",
	"github.com/alitto/pond/v2",
	"github.com/sourcegraph/conc",
	"github.com/gammazero/workerpool",
	"github.com/failsafe-go/failsafe-go",
	"github.com/sony/gobreaker/v2",
	"github.com/cenkalti/backoff/v5",
	"golang.org/x/sync",
	"golang.org/x/time",
}

// versions returns the peers with the versions that this program was built with.
func versions() []string {
	var found []string
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return nil
	}
	for _, dep := range info.Deps {
		if dep.Replace != nil {
			dep = dep.Replace
		}
		if slices.Contains(peers, dep.Path) {
			found = append(found, dep.Path+" "+dep.Version)
		}
	}
	return found
}
