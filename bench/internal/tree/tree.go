// Package tree finds the repository that the commands of bench work on.
package tree

import (
	"fmt"
	"os"
	"path/filepath"
)

// Root returns the directory of the repository that the current directory is in. The error says where it was looked for.
func Root() (string, error) {
	from, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := from; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "bench", "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no bench/go.mod in %s or above it", from)
		}
	}
}
