//go:build !unix

package main

import (
	"errors"
	"time"
)

// cpuTime is known on Unix only.
func cpuTime() (time.Duration, error) {
	return 0, errors.New("the CPU time of this process can be asked for on Unix only")
}
