package batchfile

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func response(id string, status int, body string) Record {
	return Record{CustomID: id, Response: &Response{StatusCode: status, RequestID: "req-" + id, Body: []byte(body)}}
}

func failure(id, code string) Record {
	return Record{CustomID: id, Error: &Failure{Code: code, Message: "no answer"}}
}

func TestAppendRecord(t *testing.T) {
	const head = `{"id":"batch_req_ca978112ca1bbdcafac231b39a23dc4d","custom_id":"a",`
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, test := range []struct {
		name   string
		record Record
		want   string
	}{
		{"answer, body verbatim", response("a", 200, `{ "n":1e400,"s":"\u00e9<é>"}`),
			head + `"response":{"status_code":200,"request_id":"req-a","body":{ "n":1e400,"s":"\u00e9<é>"}},"error":null}`},
		{"refusal", response("a", 400, `{"error":{"code":"x"}}`),
			head + `"response":{"status_code":400,"request_id":"req-a","body":{"error":{"code":"x"}}},"error":null}`},
		{"body over lines", response("a", 200, "\r\n{\n  \"a\": \"b c\",\r\n  \"d\": 1.0\n}\n"),
			head + `"response":{"status_code":200,"request_id":"req-a","body":{"a":"b c","d":1.0}},"error":null}`},
		{"body over old Mac lines", response("a", 200, "{\"a\":\r1}"),
			head + `"response":{"status_code":200,"request_id":"req-a","body":{"a":1}},"error":null}`},
		{"line end after the body alone", response("a", 200, "{ }\n"), head + `"response":{"status_code":200,"request_id":"req-a","body":{ }},"error":null}`},
		{"HTML", response("a", 502, "<html>\n\"&\xff\x00"),
			head + `"response":{"status_code":502,"request_id":"req-a","body":"<html>\n\"&` + "\ufffd" + `\u0000"},"error":null}`},
		{"truncated", response("a", 200, `{"a":`), head + `"response":{"status_code":200,"request_id":"req-a","body":"{\"a\":"},"error":null}`},
		{"no body", response("a", 200, ""), head + `"response":{"status_code":200,"request_id":"req-a","body":""},"error":null}`},
		{"bad UTF-8 in JSON", response("a", 200, "{\"a\":\"\xff\"}"),
			head + `"response":{"status_code":200,"request_id":"req-a","body":{"a":"` + "\ufffd" + `"}},"error":null}`},
		{"deepest body", response("a", 200, deep(9998)), head + `"response":{"status_code":200,"request_id":"req-a","body":` + deep(9998) + `},"error":null}`},
		{"body too deep", response("a", 200, deep(9999)), head + `"response":{"status_code":200,"request_id":"req-a","body":"` + deep(9999) + `"},"error":null}`},
		{"no answer", failure("a", "timeout"), head + `"response":null,"error":{"code":"timeout","message":"no answer"}}`},
		{"id given", Record{ID: "batch_req_1", CustomID: "é\"\n", Error: &Failure{}},
			`{"id":"batch_req_1","custom_id":"é\"\n","response":null,"error":{"code":"","message":""}}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := AppendRecord([]byte("before "), test.record)
			if err != nil || string(got) != "before "+test.want+"\n" {
				t.Fatalf("got  %s %v\nwant %s", got, err, test.want)
			}
			if _, err := ParseRecord([]byte(test.want)); err != nil {
				t.Error(err)
			}
		})
	}
	for want, record := range map[string]Record{
		`not in the output format: custom_id is empty`:                                    response("", 200, "{}"),
		`not in the output format: custom_id "\xff" is not valid UTF-8`:                   response("\xff", 200, "{}"),
		`not in the output format: custom_id "a" has status code 0; allowed: 100 to 599`:  response("a", 0, "{}"),
		`not in the output format: custom_id "b" must have either a response or an error`: {CustomID: "b"},
		`not in the output format: custom_id "c" must have either a response or an error`: {CustomID: "c", Response: &Response{}, Error: &Failure{}},
	} {
		got, err := AppendRecord([]byte("x"), record)
		if string(got) != "x" || !errors.Is(err, ErrFormat) || err.Error() != want {
			t.Errorf("got %q, %v, want %s", got, err, want)
		}
	}
}

func TestWriterFiles(t *testing.T) {
	dir := t.TempDir()
	records := []Record{response("a", 200, "{}"), failure("b", "timeout")}
	var want []byte
	for _, r := range records {
		want, _ = AppendRecord(want, r)
	}
	for _, name := range []string{"r.jsonl", "r.jsonl.gz"} {
		path := filepath.Join(dir, name)
		for _, open := range []func(string) (*Writer, error){Create, Overwrite} {
			w, err := open(path)
			if err != nil {
				t.Fatal(err)
			}
			if info, err := os.Stat(path); err != nil || info.Size() != 0 {
				t.Errorf("%s is not empty at first: %v", name, err)
			}
			for _, r := range records {
				if err := w.Write(r); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Write(Record{}); !errors.Is(err, ErrFormat) {
				t.Errorf("a bad record: %v", err)
			}
			if err := errors.Join(w.Sync(), w.Close(), w.Close()); err != nil {
				t.Fatal(err)
			}
			if err := w.Write(records[0]); !errors.Is(err, fs.ErrClosed) || !errors.Is(w.Sync(), fs.ErrClosed) {
				t.Errorf("a closed writer: %v", err)
			}
			in, _, err := OpenInput(path, nil)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(in)
			if err = errors.Join(err, in.Close()); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: got %s %v, want %s", name, got, err, want)
			}
		}

		before := readFile(t, path)
		_, err := Create(path)
		var exists *ExistsError
		text := path + " exists already, without a journal to go on by, and is not overwritten; remove it, or choose another output with -o"
		if !errors.Is(err, fs.ErrExist) || !errors.As(err, &exists) || err.Error() != text || readFile(t, path) != before {
			t.Errorf("an output that exists: %v", err)
		}
	}
	if _, err := Create(filepath.Join(dir, "none", "r.jsonl")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory that is missing: %v", err)
	}
}

// TestSync: after Sync a killed process has lost nothing, compressed or not.
func TestSync(t *testing.T) {
	for _, name := range []string{"r.jsonl", "r.jsonl.gz"} {
		path := filepath.Join(t.TempDir(), name)
		w, err := Create(path)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		if err := errors.Join(w.Write(response("a", 200, "{}")), w.Sync()); err != nil {
			t.Fatal(err)
		}
		report, err := Verify(writeFile(t, "p.jsonl", `{"custom_id":"a"}`), path, Options{})
		if err != nil || report.Succeeded != 1 || report.Torn != isGzip(name) {
			t.Errorf("%s: %+v, %v", name, report, err)
		}
	}
}

// calls counts what reaches the output.
type calls struct{ lines []string }

func (c *calls) Write(p []byte) (int, error) {
	c.lines = append(c.lines, string(p))
	return len(p), nil
}

func TestOneCallALine(t *testing.T) {
	var out calls
	w := NewWriter(&out, "out")
	big := response("b", 200, `{"a":"`+strings.Repeat("x", 3*keepBuffer)+`"}`)
	if err := errors.Join(w.Write(response("a", 200, "{}")), w.Write(big), w.Write(failure("c", "x")), w.Sync(), w.Close()); err != nil {
		t.Fatal(err)
	}
	if len(out.lines) != 3 {
		t.Fatalf("%d calls", len(out.lines))
	}
	for _, line := range out.lines {
		if strings.Index(line, "\n") != len(line)-1 {
			t.Errorf("not one line: %.80q", line)
		}
	}
}

// fullDisk is a file on a disk that takes room more bytes.
type fullDisk struct {
	*os.File
	room int
}

func (d *fullDisk) Write(p []byte) (int, error) {
	if len(p) <= d.room {
		d.room -= len(p)
		return d.File.Write(p)
	}
	n, _ := d.File.Write(p[:d.room])
	return n, syscall.ENOSPC
}

// TestFullDisk: the line that did not fit leaves nothing behind, and nothing is written after it, room or not.
func TestFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.jsonl")
	w, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	first, _ := AppendRecord(nil, response("a", 200, "{}"))
	disk := &fullDisk{File: w.file.(*os.File), room: len(first) + 10}
	w.out, w.file = disk, disk
	if err := w.Write(response("a", 200, "{}")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		err := w.Write(response("b", 200, "{}"))
		if want := "writing " + path + ": no space left on device"; !errors.Is(err, syscall.ENOSPC) || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
		disk.room = 1 << 20
	}
	if err := w.Close(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Close: %v", err)
	}
	if got := readFile(t, path); got != string(first) {
		t.Errorf("the file holds %q", got)
	}
}

// shortWriter breaks the contract of io.Writer.
type shortWriter struct{}

func (shortWriter) Write(p []byte) (int, error) { return len(p) - 1, nil }

func TestShortWrite(t *testing.T) {
	if err := NewWriter(shortWriter{}, "out").Write(failure("a", "x")); !errors.Is(err, io.ErrShortWrite) {
		t.Error(err)
	}
}

// badClose is a file whose last step fails, as on a network file system over its quota.
type badClose struct {
	*os.File
	sync, close error
}

func (f badClose) Sync() error { return f.sync }
func (f badClose) Close() error {
	return errors.Join(f.File.Close(), f.close)
}

func TestCloseReports(t *testing.T) {
	for _, fail := range []badClose{{sync: syscall.EIO}, {close: syscall.EIO}} {
		for _, name := range []string{"r.jsonl", "r.jsonl.gz"} {
			w, err := Create(filepath.Join(t.TempDir(), name))
			if err != nil {
				t.Fatal(err)
			}
			fail.File = w.file.(*os.File)
			w.file = fail
			if err := w.Close(); !errors.Is(err, syscall.EIO) {
				t.Errorf("%s: %v", name, err)
			}
			if err := fail.File.Close(); !errors.Is(err, os.ErrClosed) {
				t.Errorf("%s: left open: %v", name, err)
			}
		}
	}
}
