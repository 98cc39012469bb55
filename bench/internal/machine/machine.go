// Package machine says what a measurement was made on.
package machine

import (
	"os"
	"runtime"
	"strings"
)

// Processor names the CPU.
func Processor() string {
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

// LoadAverage is how many processes wanted to run, on average over the last minute; empty where that is not known.
func LoadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	last, _, _ := strings.Cut(string(text), " ")
	return last
}

// Descriptors is how many files, sockets and the like this process has open; negative where that is not known.
func Descriptors() int {
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return -1
	}
	return len(open) - 1 // one of them is that of the directory
}
