//go:build unix

package main

import (
	"syscall"
	"time"
)

// cpuTime is the time that all cores together have spent on this process, in it and on its behalf.
func cpuTime() (time.Duration, error) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0, err
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), nil
}
