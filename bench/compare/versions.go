package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
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

// processor names the CPU.
func processor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err == nil {
		for line := range strings.Lines(string(text)) {
			if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
				return strings.TrimSpace(value)
			}
		}
	}
	return "unknown CPU (" + runtime.GOARCH + ")"
}

// loadAverage is how many processes wanted to run, on average over the last minute; empty where that is not known.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	last, _, _ := strings.Cut(string(text), " ")
	return last
}
