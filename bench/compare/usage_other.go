//go:build !linux

package main

import "runtime"

// residentBytes is how much the Go runtime has of the system, which is what this process keeps in memory at most, but for
// its code.
func residentBytes() (uint64, error) {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.Sys - stats.HeapReleased, nil
}
