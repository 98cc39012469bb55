package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// residentBytes is how much of this process is in memory.
func residentBytes() (uint64, error) {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text)) // in pages: all, resident, …
	if len(fields) < 2 {
		return 0, fmt.Errorf("/proc/self/statm has %d fields", len(fields))
	}
	pages, err := strconv.ParseUint(fields[1], 10, 64)
	return pages * uint64(os.Getpagesize()), err
}
