package main

import (
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// A pipe whose name ends in .gz is gzip, like a file.
func TestPipeOfGzip(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("a pipe has no name")
	}
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	path := filepath.Join(t.TempDir(), "in.jsonl.gz")
	if err := os.Symlink(fmt.Sprintf("/proc/self/fd/%d", out.Fd()), path); err != nil {
		t.Fatal(err)
	}
	zip := gzip.NewWriter(in)
	for n := range 3 {
		_, _ = fmt.Fprintln(zip, batchLine(fmt.Sprint("id-", n), "Question"))
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	src, err := openSource(&settings{in: path}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer src.close()
	if src.sum.Items != 3 {
		t.Errorf("%+v", src.sum)
	}
}
