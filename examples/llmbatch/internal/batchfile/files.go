package batchfile

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// isGzip goes by the name, as gzip itself does.
func isGzip(path string) bool { return strings.HasSuffix(path, ".gz") }

// OpenInput opens a file to read, and gives the name to call it by: gzip by its name, and "-" is stdin, or standard input if that is nil.
func OpenInput(path string, stdin io.Reader) (in io.ReadCloser, name string, err error) {
	if path == "-" {
		if stdin == nil {
			stdin = os.Stdin
		}
		return io.NopCloser(stdin), "stdin", nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, path, err
	}
	if !isGzip(path) {
		return f, path, nil
	}
	z, err := gzip.NewReader(f)
	if errors.Is(err, io.EOF) {
		return f, path, nil // no byte at all: an empty file, which is for the caller to judge
	}
	if err != nil {
		return nil, path, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	return gzipFile{z, f}, path, nil
}

// gzipFile reads a compressed file, and closes it with its decompressor.
type gzipFile struct {
	*gzip.Reader
	file *os.File
}

func (g gzipFile) Close() error { return errors.Join(g.Reader.Close(), g.file.Close()) }
