package batchfile

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReadPlaces(t *testing.T) {
	const content = "\ufeff\r\n{\"prompt\":\"a\"}\r\n \n{\"custom_id\":\"z\",\"prompt\":\"b\"}"
	opt := Options{Model: "g", Stdin: strings.NewReader(content)}
	for _, path := range []string{
		writeFile(t, "p.jsonl", content),
		writeFile(t, "p.jsonl.gz", zipped(t, content)),
		writeFile(t, "two members.gz", zipped(t, content[:20])+zipped(t, content[20:])),
		"-",
	} {
		items, err := Read(path, opt)
		got := ""
		for _, item := range items {
			got += fmt.Sprintf("%d %d %s %s %s;", item.Index, item.Line, item.ID, item.Prompt, item.Form)
		}
		if want := "0 2 line-2 a prompt;1 4 z b prompt;"; err != nil || got != want {
			t.Errorf("%s: got %s %v, want %s", path, got, err, want)
		}
	}
}

func keepBody(i int) string {
	return fmt.Sprintf(`{"model":"m%d","pad":"%s"}`, i, strings.Repeat("x", i%700))
}

// TestReaderItemsKeep: an item stays what it was when the reader goes on.
func TestReaderItemsKeep(t *testing.T) {
	var content strings.Builder
	for i := range 5000 {
		content.WriteString(batchLine(fmt.Sprint(i), keepBody(i)) + "\n")
	}
	items, err := readString(content.String(), Options{})
	if err != nil || len(items) != 5000 {
		t.Fatal(len(items), err)
	}
	for i, item := range items {
		if item.Index != i || item.ID != fmt.Sprint(i) || string(item.Body) != keepBody(i) {
			t.Fatalf("item %d is %+v", i, item)
		}
	}
}

func TestLongLines(t *testing.T) {
	const most = 3 * readBuffer
	exact := func(n int) string { return `{"prompt":"` + strings.Repeat("y", n-len(`{"prompt":""}`)) + `"}` }
	for _, test := range []struct {
		name, content string
		ids, fault    string
	}{
		{"at the limit", exact(most) + "\n" + exact(20), "line-1 line-2 ", ""},
		{"at the limit, CRLF", exact(most) + "\r\n" + exact(20) + "\r\n", "line-1 line-2 ", ""},
		{"at the limit, no end", exact(20) + "\n" + exact(most), "line-1 line-2 ", ""},
		{"one above", exact(20) + "\n" + exact(most+1) + "\n" + exact(20), "line-1 line-3 ", "p:2: the line is longer than 786432 bytes, which is the limit"},
		{"one above, CRLF", exact(most+1) + "\r\n" + exact(20), "line-2 ", "p:1: the line is longer than 786432 bytes, which is the limit"},
		{"one above, no end", exact(20) + "\n" + exact(most+1), "line-1 ", "p:2: the line is longer than 786432 bytes, which is the limit"},
		{"far above", exact(20) + "\n" + exact(4*most) + "\n" + exact(20), "line-1 line-3 ", "p:2: the line is longer than 786432 bytes, which is the limit"},
		{"about the buffer", exact(readBuffer-1) + "\n" + exact(readBuffer) + "\n" + exact(readBuffer+1) + "\n", "line-1 line-2 line-3 ", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			ids := ""
			err := NewReader(strings.NewReader(test.content), "p", Options{Model: "g", MaxLine: most}).each(func(item Item) { ids += item.ID + " " })
			if text := fmt.Sprint(err); ids != test.ids || (err == nil) != (test.fault == "") || err != nil && text != test.fault {
				t.Errorf("got %s, %v; want %s, %s", ids, err, test.ids, test.fault)
			}
		})
	}
}

// TestDefaultMaxLine reads a line of just below, and one of just above 64 MiB.
func TestDefaultMaxLine(t *testing.T) {
	if testing.Short() {
		t.Skip("reads 128 MiB")
	}
	line := strings.Repeat("z", DefaultMaxLine)
	items, err := readString(line+"\n"+line+"z\nshort", Options{IDsOnly: true})
	if want := "prompts.jsonl:2: the line is longer than 67108864 bytes, which is the limit"; len(items) != 2 || err == nil || err.Error() != want {
		t.Errorf("got %d items, %v", len(items), err)
	}
}

func TestFirstTenFaults(t *testing.T) {
	content := strings.Repeat("{}\n", 10)
	var want []string
	for i := range 10 {
		want = append(want, fmt.Sprintf(`prompts.jsonl:%d: no field "prompt"; the object is empty`, i+1))
	}
	text := strings.Join(want, "\n")
	for more, tail := range []string{"", "\nand 1 more fault", "\nand 2 more faults"} {
		_, err := readString(content+strings.Repeat("text\n", more), Options{Model: "g"})
		var all *InputError
		if !errors.As(err, &all) || all.More != more || err.Error() != text+tail || !errors.Is(err, ErrNoPrompt) {
			t.Errorf("%d more: got %v", more, err)
		}
	}
}

func TestReadErrors(t *testing.T) {
	opt := Options{Model: "g"}
	if _, err := Read(filepath.Join(t.TempDir(), "none.jsonl"), opt); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	for _, test := range []struct {
		name, path string
		is         error
		want       string
	}{
		{"not gzip", writeFile(t, "p.gz", "{\"prompt\":\"a\"}\n"), gzip.ErrHeader, "$: gzip: invalid header"},
		{"empty gzip file", writeFile(t, "p.gz", ""), ErrEmptyFile, "$: the file is empty; one prompt or request a line is expected"},
		{"gzip of nothing", writeFile(t, "p.gz", zipped(t, "")), ErrEmptyFile, "$: the file is empty; one prompt or request a line is expected"},
		{"gzip cut short", writeFile(t, "p.gz", zipped(t, "a\nb\n")[:20]), io.ErrUnexpectedEOF, "$: after line 2: unexpected EOF"},
	} {
		items, err := Read(test.path, opt)
		if want := strings.ReplaceAll(test.want, "$", test.path); items != nil || !errors.Is(err, test.is) || err.Error() != want {
			t.Errorf("%s: got %v, %v, want %s", test.name, items, err, want)
		}
	}

	// A disk that fails outweighs the faults before, and is final.
	broken := errors.New("broken disk")
	r := NewReader(io.MultiReader(strings.NewReader("a\nb\nc"), iotest.ErrReader(broken)), "p", opt)
	var err error
	for range 2 {
		if _, err = r.Next(); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if _, err = r.Next(); !errors.Is(err, broken) || err.Error() != "p: after line 2: broken disk" {
			t.Errorf("got %v", err)
		}
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func TestNextAtEnd(t *testing.T) {
	r := NewReader(strings.NewReader("a\n"), "p", Options{IDsOnly: true})
	for i, want := range []error{nil, io.EOF, io.EOF} {
		if _, err := r.Next(); !errors.Is(err, want) {
			t.Errorf("call %d: %v, want %v", i, err, want)
		}
	}
	r = NewReader(strings.NewReader(""), "p", Options{IDsOnly: true})
	for i, want := range []error{ErrEmptyFile, io.EOF, io.EOF} {
		if _, err := r.Next(); !errors.Is(err, want) {
			t.Errorf("empty, call %d: %v, want %v", i, err, want)
		}
	}
}

func TestSkipDuplicates(t *testing.T) {
	items, err := readString(batchLine("a", "{}")+"\n"+batchLine("a", "{}"), Options{Model: "g", SkipDuplicates: true})
	if err != nil || len(items) != 2 {
		t.Error(items, err)
	}
}

func TestCheck(t *testing.T) {
	path := writeFile(t, "p.jsonl", batchLine("a", `{"model":"m"}`)+"\n\n"+batchLine("b", `{"model":"m"}`)+"\n")
	if sum, err := Check(path, Options{}); err != nil || sum != (Summary{Items: 2, Bytes: 26}) {
		t.Error(sum, err)
	}
	if err := os.WriteFile(path, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if sum, err := Check(path, Options{}); !errors.Is(err, ErrNoPrompt) || sum != (Summary{}) {
		t.Error(sum, err)
	}
}

func TestIDTable(t *testing.T) {
	const n = 100_000
	table := newIDTable()
	for i := uint32(1); i <= n; i++ {
		if _, fresh := table.insert(lineID(int(i)), i); !fresh {
			t.Fatalf("%d is not fresh", i)
		}
	}
	slots := 0
	for i := range table.shards {
		slots += len(table.shards[i].lines)
	}
	if perID := float64(slots*12) / n; perID > 20 {
		t.Errorf("%.1f bytes an id, want at most 20", perID)
	}
	for i := uint32(1); i <= n; i++ {
		if first, fresh := table.insert(lineID(int(i)), n+i); fresh || first != i || table.find(lineID(int(i))) != i {
			t.Fatalf("%d: got %d, %v", i, first, fresh)
		}
	}
	if got := table.find("other"); got != 0 || newIDTable().find("a") != 0 {
		t.Errorf("found %d", got)
	}
}
