package batchfile

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"reflect"
	"strings"
	"testing"
)

// verifyInput has the items a, line-3 and c on the lines 1, 3 and 4. Neither is a request: only ids matter here.
const verifyInput = "{\"custom_id\":\"a\",\"x\":1}\n\n{\"anything\":[]}\n{\"custom_id\":\"c\"}\n"

func line(t testing.TB, r Record) string {
	t.Helper()
	b, err := AppendRecord(nil, r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestVerify(t *testing.T) {
	a, b, c := line(t, response("a", 200, "{}")), line(t, response("line-3", 200, "{}")), line(t, response("c", 200, "{}"))
	one := func(n int, id, reason string) Finding {
		return Finding{Count: 1, Examples: []Example{{Line: n, ID: id, Reason: reason}}}
	}
	lacksB := one(3, "line-3", "no line in the output")
	malformed := func(l, reason string) (string, Report) {
		return a + l + "\n" + c, Report{Lines: 3, Succeeded: 2, Missing: lacksB, Malformed: one(2, "", reason)}
	}
	type test struct {
		name, out string
		want      Report
		ok        bool
	}
	tests := []test{
		{"complete", a + b + c, Report{Lines: 3, Succeeded: 3}, true},
		{"any order", c + a + b, Report{Lines: 3, Succeeded: 3}, true},
		{"CRLF", strings.ReplaceAll(a+b+c, "\n", "\r\n"), Report{Lines: 3, Succeeded: 3}, true},
		{"refused", a + line(t, response("line-3", 400, `{"error":{}}`)) + c,
			Report{Lines: 3, Succeeded: 2, Failed: one(2, "line-3", "status 400")}, true},
		{"server error, nothing said", a + line(t, response("line-3", 500, `{}`)) + c,
			Report{Lines: 3, Succeeded: 2, Failed: one(2, "line-3", "status 500")}, true},
		{"failed", a + line(t, failure("line-3", "timeout")) + c,
			Report{Lines: 3, Succeeded: 2, Failed: one(2, "line-3", `error "timeout"`)}, true},
		{"error with status 200", a + line(t, response("line-3", 200, `{"error":{"code":1}}`)) + c,
			Report{Lines: 3, Succeeded: 2, Failed: one(2, "line-3", "status 200, but the body is no answer")}, true},
		{"body cut short", a + line(t, response("line-3", 200, `{"choices":`)) + c,
			Report{Lines: 3, Succeeded: 2, Failed: one(2, "line-3", "status 200, but the body is no answer")}, true},
		{"null error in the body", a + line(t, response("line-3", 200, `{"error":null}`)) + c, Report{Lines: 3, Succeeded: 3}, true},

		{"missing", a + c, Report{Lines: 2, Succeeded: 2, Missing: lacksB}, false},
		{"duplicate", a + b + c + a, Report{Lines: 4, Succeeded: 3, Duplicate: one(4, "a", "answered on line 1 already")}, false},
		{"duplicate of a failure", a + line(t, failure("c", "x")) + b + c,
			Report{Lines: 4, Succeeded: 2, Failed: one(2, "c", `error "x"`), Duplicate: one(4, "c", "answered on line 2 already")}, false},
		{"foreign", a + b + c + line(t, response("line-2", 200, "{}")),
			Report{Lines: 4, Succeeded: 3, Foreign: one(4, "line-2", "no such id in the input")}, false},
		{"torn", a + c + b[:len(b)/2], Report{Lines: 3, Succeeded: 2, Missing: lacksB, Torn: true,
			Malformed: one(3, "", "malformed JSON at byte 76: unexpected end of JSON input")}, false},
		{"torn before its last byte", a + c + b[:len(b)-1], Report{Lines: 3, Succeeded: 3, Torn: true}, false},
		{"empty", "", Report{Missing: Finding{Count: 3, Examples: []Example{
			{Line: 1, ID: "a", Reason: "no line in the output"}, lacksB.Examples[0], {Line: 4, ID: "c", Reason: "no line in the output"}}}}, false},
	}
	for _, bad := range [][2]string{
		{"", "a blank line"},
		{"[1]", "the line must be an object, not an array"},
		{`{"id":"x",}`, "malformed JSON at byte 11: invalid character '}' looking for beginning of object key string"},
		{"{\"id\":\"\xff\"}", "byte 8 is not valid UTF-8"},
		{`{"id":"x","response":null,"error":null}`, "custom_id is missing"},
		{`{"id":"x","id":"y","custom_id":"line-3","response":null,"error":null}`, "id is there twice"},
		{`{"id":"x","custom_id":3,"response":null,"error":null}`, "custom_id must be a string, not a number"},
		{`{"id":"","custom_id":"line-3","response":null,"error":null}`, "neither id nor custom_id may be empty"},
		{`{"id":"x","custom_id":"line-3","response":null,"error":null}`, "one of response and error must be null, and the other must not"},
		{`{"id":"x","custom_id":"line-3","response":{},"error":{}}`, "one of response and error must be null, and the other must not"},
		{`{"id":"x","custom_id":"line-3","response":[],"error":null}`, "response must be an object, not an array"},
		{`{"id":"x","custom_id":"line-3","response":{"status_code":200,"request_id":""},"error":null}`, "response.body is missing"},
		{`{"id":"x","custom_id":"line-3","response":{"status_code":"200","request_id":"","body":1},"error":null}`,
			"response.status_code must be a whole number from 100 to 599, not a string"},
		{`{"id":"x","custom_id":"line-3","response":{"status_code":2e2,"request_id":"","body":1},"error":null}`,
			"response.status_code must be a whole number from 100 to 599, not 2e2"},
		{`{"id":"x","custom_id":"line-3","response":{"status_code":600,"request_id":"","body":1},"error":null}`,
			"response.status_code must be a whole number from 100 to 599, not 600"},
		{`{"id":"x","custom_id":"line-3","response":{"status_code":200,"request_id":null,"body":1},"error":null}`,
			"response.request_id must be a string, not null"},
		{`{"id":"x","custom_id":"line-3","response":null,"error":{"code":1,"message":""}}`, "error.code must be a string, not a number"},
		{`{"id":"x","custom_id":"line-3","response":null,"error":{"code":""}}`, "error.message is missing"},
	} {
		out, want := malformed(bad[0], bad[1])
		tests = append(tests, test{"malformed: " + bad[1], out, want, false})
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			in, out := writeFile(t, "p.jsonl", verifyInput), writeFile(t, "r.jsonl", test.out)
			test.want.In, test.want.Out, test.want.Inputs = in, out, 3
			got, err := Verify(in, out, Options{})
			if err != nil || !reflect.DeepEqual(got, test.want) {
				t.Errorf("got  %+v %v\nwant %+v", got, err, test.want)
			}
			if got.OK() != test.ok {
				t.Errorf("OK is %v", got.OK())
			}
		})
	}
}

// TestVerifyTornGzip cuts a compressed output at every byte: none of the pieces is proven, none is an error.
func TestVerifyTornGzip(t *testing.T) {
	in := writeFile(t, "p.jsonl", "{\"custom_id\":\"a\"}\n")
	whole := zipped(t, line(t, response("a", 200, "{}")))
	out := writeFile(t, "r.jsonl.gz", whole)
	for n := range len(whole) + 1 {
		if err := os.WriteFile(out, []byte(whole[:n]), 0o600); err != nil {
			t.Fatal(err)
		}
		report, err := Verify(in, out, Options{})
		if err != nil || report.OK() != (n == len(whole)) || report.Torn != (n > 0 && n < len(whole)) {
			t.Errorf("%d of %d bytes: %+v, %v", n, len(whole), report, err)
		}
	}
}

func TestVerifyExamples(t *testing.T) {
	var in, out strings.Builder
	for i := range 9 {
		fmt.Fprintf(&in, "{\"custom_id\":\"m%d\"}\n", i)
		out.WriteString(line(t, response(fmt.Sprintf("f%d", i), 200, "{}")))
	}
	path := writeFile(t, "r.jsonl", out.String())
	for _, source := range []string{writeFile(t, "p.jsonl", in.String()), "-"} {
		report, err := Verify(source, path, Options{Stdin: strings.NewReader(in.String())})
		if err != nil || report.Missing.Count != 9 || len(report.Missing.Examples) != 5 || report.Foreign.Count != 9 || len(report.Foreign.Examples) != 5 {
			t.Fatalf("%+v, %v", report, err)
		}
		want := Example{Line: 5, ID: "m4", Reason: "no line in the output"}
		if source == "-" {
			want.ID = "" // standard input can't be read twice
		}
		if got := report.Missing.Examples[4]; got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

// An input may be a pipe, as <(zcat …) of a shell is: that can be read but once.
func TestVerifyPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	in := fmt.Sprintf("/dev/fd/%d", r.Fd())
	if _, err := os.Stat(in); err != nil {
		t.Skip("a pipe has no name there")
	}
	if _, err := w.WriteString(verifyInput); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	var stdout, stderr strings.Builder
	code := VerifyMain([]string{"-i", in, "-o", writeFile(t, "r.jsonl", line(t, response("a", 200, "{}"))+line(t, response("c", 200, "{}")))}, &stdout, &stderr)
	if want := in + ":3: no line in the output"; code != exitNotProven || !strings.Contains(stdout.String(), want) || !strings.Contains(stdout.String(), ": 1 missing\n") {
		t.Errorf("exit %d, want %q\n%s%s", code, want, &stdout, &stderr)
	}
}

// TestVerifyAdds mixes lines at random: each line and each item is counted in exactly one class, and OK is true exactly when the output is the
// input's ids in some order.
func TestVerifyAdds(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		n := 1 + rng.IntN(4)
		var in, out strings.Builder
		for i := range n {
			fmt.Fprintf(&in, "{\"custom_id\":\"%d\"}\n", i)
		}
		seen, lines := map[int]int{}, rng.IntN(7)
		ok := lines == n
		for range lines {
			switch id := rng.IntN(n + 1); {
			case rng.IntN(12) == 0:
				out.WriteString("{}\n")
				ok = false
			default:
				out.WriteString(line(t, response(fmt.Sprint(id), 200+rng.IntN(2)*300, "{}")))
				seen[id]++
				ok = ok && id < n && seen[id] == 1
			}
		}
		r, err := Verify("-", writeFile(t, "r.jsonl", out.String()), Options{Stdin: strings.NewReader(in.String())})
		if err != nil || r.OK() != ok || r.Inputs != n || r.Lines != lines ||
			r.Lines != r.Succeeded+r.Failed.Count+r.Duplicate.Count+r.Foreign.Count+r.Malformed.Count ||
			r.Inputs != r.Succeeded+r.Failed.Count+r.Missing.Count {
			t.Fatalf("want %v, got %+v, %v\n%s\n%s", ok, r, err, in.String(), out.String())
		}
	}
}

func TestVerifyErrors(t *testing.T) {
	in, out := writeFile(t, "p.jsonl", verifyInput), writeFile(t, "r.jsonl", "")
	faulty := writeFile(t, "p.jsonl", `{"custom_id":"a"}`+"\n"+`{"custom_id":"a"}`)
	for _, test := range []struct {
		in, out string
		is      error
	}{
		{in + "x", out, fs.ErrNotExist},
		{in, out + "x", fs.ErrNotExist},
		{faulty, out, ErrDuplicateID},
		{writeFile(t, "p.jsonl", ""), out, ErrEmptyFile},
	} {
		if report, err := Verify(test.in, test.out, Options{}); !errors.Is(err, test.is) || !reflect.DeepEqual(report, Report{}) {
			t.Errorf("got %+v, %v", report, err)
		}
	}
	if _, err := Verify("-", "-", Options{}); err == nil || err.Error() != "only one of the input and the output can be standard input" {
		t.Errorf("got %v", err)
	}
	if (Report{}).OK() {
		t.Error("a report of nothing proves something")
	}
}

func TestVerifyMain(t *testing.T) {
	in := writeFile(t, "p.jsonl", verifyInput)
	good := writeFile(t, "r.jsonl", line(t, failure("a", "timeout"))+line(t, response("line-3", 200, "{}"))+line(t, response("c", 200, "{}")))
	bad := writeFile(t, "r.jsonl", line(t, response("a\x1b", 200, "{}"))+line(t, failure("c", "timeout"))+strings.Repeat("{}\n", 6)+"{")
	const allowed = "\nallowed: -i IN, -o OUT, -prompt-field NAME, -model M; -h explains them\n"
	for _, test := range []struct {
		name           string
		args           []string
		code           int
		stdout, stderr string
	}{
		{"proven", []string{"-i", in, "-o", good, "-prompt-field", "q", "-model", "m"}, 0, `input              3  IN
output             3  GOOD
succeeded          2
failed             1
    GOOD:1: "a": error "timeout"
missing            0
duplicate          0
foreign            0
malformed          0
proven: every input has exactly one line, and there is no other line
`, ""},
		{"not proven", []string{"-i", in, "-o", bad}, 2, `input              3  IN
output             9  BAD
succeeded          0
failed             1
    BAD:2: "c": error "timeout"
missing            2
    IN:1: "a": no line in the output
    IN:3: "line-3": no line in the output
duplicate          0
foreign            1
    BAD:1: "a\x1b": no such id in the input
malformed          7
    BAD:3: id is missing
    BAD:4: id is missing
    BAD:5: id is missing
    BAD:6: id is missing
    BAD:7: id is missing
    and 2 more
not proven: 2 missing, 1 foreign, 7 malformed, the last line is torn
`, ""},
		{"help", []string{"-h"}, 0, verifyHelp, ""},
		{"unknown flag", []string{"-x"}, 4, "", "llmbatch verify: flag provided but not defined: -x" + allowed},
		{"argument", []string{"-i", in, "more"}, 4, "", `llmbatch verify: unexpected argument "more"` + allowed},
		{"no input", nil, 4, "", "llmbatch verify: -i is missing" + allowed},
		{"no output", []string{"-i", in, "-o", ""}, 4, "", "llmbatch verify: -o is empty" + allowed},
		{"both stdin", []string{"-i", "-", "-o", "-"}, 4, "", "llmbatch verify: only one of -i and -o can be standard input" + allowed},
		{"unreadable", []string{"-i", in, "-o", "none.jsonl"}, 4, "", "llmbatch verify: open none.jsonl: no such file or directory\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var stdout, stderr strings.Builder
			code := VerifyMain(test.args, &stdout, &stderr)
			names := strings.NewReplacer(in, "IN", good, "GOOD", bad, "BAD")
			if code != test.code || names.Replace(stdout.String()) != test.stdout || stderr.String() != test.stderr {
				t.Errorf("exit %d\n%s%s", code, names.Replace(stdout.String()), stderr.String())
			}
		})
	}
	if rows := strings.Count(verifyHelp, "\n"); rows > 24 {
		t.Errorf("the help has %d rows", rows)
	}
}
