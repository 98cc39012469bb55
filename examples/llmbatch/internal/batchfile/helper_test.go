package batchfile

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// writeFile puts content into a file of a directory of the test's own.
func writeFile(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// readFile is the content of a file.
func readFile(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// zipped is content, compressed.
func zipped(t testing.TB, content string) string {
	t.Helper()
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	if _, err := z.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

// readString reads an input called prompts.jsonl from memory, as Read does.
func readString(content string, opt Options) ([]Item, error) {
	var items []Item
	err := NewReader(strings.NewReader(content), "prompts.jsonl", opt).each(func(item Item) { items = append(items, item) })
	return items, err
}
