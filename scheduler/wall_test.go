package scheduler_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// The wall: decisions (scheduler) and rules (policy) are told the time and the random numbers, and leave goroutines,
// channels, locks and clocks to dispatcher, and never go by the order of a map. That is what makes the core replayable: the same events give the same
// effects (S-T1). job holds the caller's words and imports nothing but the standard library; none of the three knows
// dispatcher. These tests keep the wall without any tool; the linter's configuration repeats it for editors.
//
// Test files are free: an example may show a rule at work behind a dispatcher.

// purePackages are the parts of the standard library that scheduler may import.
var purePackages = []string{
	"cmp", "container/heap", "container/list", "errors", "fmt", "hash/maphash", "iter", "maps", "math", "math/bits", "slices", "sort",
	"strconv", "strings", "time",
}

// impurePackages are those that policy may not import, with the packages below them: they lock, ask the system, draw
// random numbers, or reach behind the type system.
var impurePackages = []string{
	"crypto/rand", "hash/maphash", "log", "math/rand", "os", "reflect", "runtime", "sync", "testing", "unique", "unsafe", "weak",
}

// printing writes to the process's standard output, or reads its input.
var printing = regexp.MustCompile(`^(Print|Scan)`)

var schedulerRoom = room{
	name: "scheduler",
	pure: true,
	may: func(target string) bool {
		return slices.Contains(purePackages, target) || target == module+"policy"
	},
	only: map[string]*regexp.Regexp{
		// Instants are policy.Time, told by the caller; only lengths come from package time.
		"time": regexp.MustCompile(`^(Duration|Nanosecond|Microsecond|Millisecond|Second|Minute|Hour)$`),
	},
	never: map[string]*regexp.Regexp{
		"fmt": printing,
		// A seed is chance, and so is a hash by it: for finding things, never for their order.
		"hash/maphash": regexp.MustCompile(`^(Hash|Bytes|Comparable|WriteComparable)$`),
	},
}

var policyRoom = room{
	name: "policy",
	pure: true,
	may: func(target string) bool {
		return std(target) && !slices.ContainsFunc(impurePackages, func(root string) bool { return within(target, root) })
	},
	only: map[string]*regexp.Regexp{
		// To classify errors and answers (policy/api) one must name them; nothing here may wait, dial or send.
		"context":  regexp.MustCompile(`^(Canceled|DeadlineExceeded)$`),
		"net":      regexp.MustCompile(`Error$|^Err`),
		"net/http": regexp.MustCompile(`^(Header|ParseTime|CanonicalHeaderKey|TimeFormat)$|^Status|^Err`),
	},
	never: map[string]*regexp.Regexp{
		"fmt": printing,
		// Local and LoadLocation read the machine's time zone.
		"time": regexp.MustCompile(`^(Now|Since|Until|Sleep|After|AfterFunc|NewTimer|NewTicker|Tick|Timer|Ticker|Local|LoadLocation)$`),
	},
}

var jobRoom = room{name: "job", may: std}

func TestWall(t *testing.T) {
	for _, r := range []room{schedulerRoom, policyRoom, jobRoom} {
		t.Run(r.name, func(t *testing.T) {
			found, err := checkTree(os.DirFS("../"+r.name), r) // a test runs in its package's directory
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range found {
				t.Errorf("%v", b)
			}
		})
	}
}

// TestWallCheck plants each kind of breach and wants it named with its line: a check that cannot fail is none.
func TestWallCheck(t *testing.T) {
	for _, tt := range []struct {
		name string
		room room
		src  string   // the lines after the package clause; the first of them is line 2
		want []string // as printed, without the file's name
	}{
		{
			name: "go statement", room: schedulerRoom,
			src:  "func f() {\n\tgo f()\n}",
			want: []string{"3: scheduler starts a goroutine"},
		},
		{
			name: "channel types", room: policyRoom,
			src:  "type t struct {\n\tdone <-chan struct{}\n}\nfunc f() { _ = make(chan int) }",
			want: []string{"3: policy names a channel type", "5: policy names a channel type"},
		},
		{
			name: "send, receive and select", room: schedulerRoom,
			src: "import \"github.com/toller-go/toller/policy\"\nfunc f() {\n\tpolicy.C <- 1\n\t<-policy.C\n" +
				"\tselect {\n\tdefault:\n\t}\n}",
			want: []string{
				"4: scheduler sends on a channel", "5: scheduler receives from a channel",
				"6: scheduler selects over channels",
			},
		},
		{
			name: "scheduler's imports", room: schedulerRoom,
			src: "import (\n\t\"sync\"\n\t\"math/rand/v2\"\n\t\"github.com/panjf2000/ants/v2\"\n\t_ \"net\"\n" +
				"\t\"github.com/toller-go/toller/job\"\n\t\"C\"\n\t\"github.com/toller-go/toller/policy/api\"\n)",
			want: []string{
				"3: scheduler may not import sync", "4: scheduler may not import math/rand/v2",
				"5: scheduler may not import github.com/panjf2000/ants/v2", "6: scheduler may not import net",
				"7: scheduler may not import github.com/toller-go/toller/job", "8: scheduler may not import C",
				"9: scheduler may not import github.com/toller-go/toller/policy/api",
			},
		},
		{
			name: "policy's imports", room: policyRoom,
			src: "import (\n\t\"sync/atomic\"\n\t\"os\"\n\t\"math/rand\"\n\t\"math/rand/v2\"\n\t\"unsafe\"\n" +
				"\t\"golang.org/x/time/rate\"\n\t\"github.com/toller-go/toller/scheduler\"\n)",
			want: []string{
				"3: policy may not import sync/atomic", "4: policy may not import os", "5: policy may not import math/rand",
				"6: policy may not import math/rand/v2", "7: policy may not import unsafe",
				"8: policy may not import golang.org/x/time/rate",
				"9: policy may not import github.com/toller-go/toller/scheduler",
			},
		},
		{
			name: "job's imports", room: jobRoom,
			src: "import (\n\t\"sync\"\n\t\"github.com/toller-go/toller/job/journal\"\n" +
				"\t\"github.com/toller-go/toller/policy\"\n)\nvar n int\nfunc f() { go f() }",
			want: []string{"5: job may not import github.com/toller-go/toller/policy"},
		},
		{
			name: "import of dispatcher", room: jobRoom,
			src: "import \"github.com/toller-go/toller/dispatcher/transport\"",
			want: []string{
				"2: job imports github.com/toller-go/toller/dispatcher/transport: the arrow points the other way",
			},
		},
		{
			name: "clock, renamed", room: policyRoom,
			src:  "import clock \"time\"\nvar _ = clock.Second\nfunc f() clock.Time { return clock.Now() }\nvar _ = clock.AfterFunc",
			want: []string{"4: policy may not use time.Now", "5: policy may not use time.AfterFunc"},
		},
		{
			name: "clock, as a value", room: schedulerRoom,
			src:  "import \"time\"\nfunc f() any {\n\treturn time.Since\n}",
			want: []string{"4: scheduler may not use time.Since"},
		},
		{
			name: "instants of package time", room: schedulerRoom,
			src:  "import \"time\"\ntype t struct{ at time.Time }",
			want: []string{"3: scheduler may not use time.Time"},
		},
		{
			name: "import with a dot", room: policyRoom,
			src:  "import . \"time\"\nfunc f() Time { return Now() }",
			want: []string{"2: import of time with a dot hides whose names are used"},
		},
		{
			name: "context, net and printing", room: policyRoom,
			src: "import (\n\t\"context\"\n\t\"fmt\"\n\t\"net\"\n)\nvar errAny = context.Canceled\n" +
				"func f(ctx context.Context, _ net.Error) { net.Dial(\"\", \"\") }\nfunc g() { fmt.Println() }",
			want: []string{
				"8: policy may not use context.Context", "8: policy may not use net.Dial", "9: policy may not use fmt.Println",
			},
		},
		{
			name: "package variables", room: schedulerRoom,
			src: "var a int\nvar (\n\tb, c = 1, 2\n\td = map[string]int{}\n\te = func() {}\n\tg = &t{1}\n\terrNone error\n)",
			want: []string{
				"2: scheduler keeps the package variable a", "4: scheduler keeps the package variable b",
				"4: scheduler keeps the package variable c", "5: scheduler keeps the package variable d",
				"6: scheduler keeps the package variable e", "7: scheduler keeps the package variable g",
				"8: scheduler keeps the package variable errNone",
			},
		},
		{
			name: "order of maps", room: schedulerRoom,
			src: "import (\n\t\"maps\"\n\t\"slices\"\n)\ntype t struct{ lanes index }\ntype index map[string]*t\nfunc f(x *t) {\n" +
				"\tfor range x.lanes {\n\t}\n\tfor k := range maps.Keys(x.lanes) {\n\t\t_ = k\n\t}\n" +
				"\t_ = slices.Sorted(maps.Keys(x.lanes))\n\tfor range slices.SortedFunc(maps.Values(x.lanes), nil) {\n\t}\n}",
			want: []string{
				"9: scheduler ranges over a map, whose order differs from run to run",
				"11: scheduler takes maps.Keys unsorted, whose order differs from run to run",
			},
		},
		{
			name: "nothing wrong", room: schedulerRoom,
			src: "import (\n\t\"errors\"\n\t\"fmt\"\n\t\"time\"\n\t\"github.com/toller-go/toller/policy\"\n)\n" +
				"var _ fmt.Stringer = t{}\nvar ErrFull, ended = errors.New(\"full\"), fmt.Errorf(\"ended\")\n" +
				"var names = [...]string{\"a\", \"b\"}\nconst wait = 3 * time.Second\n" +
				"type t struct{ Now, After policy.Time } // go func() { time.Now() <- ch }\n" +
				"func (t t) String() string { var n int; defer func() { n++ }(); return fmt.Sprint(t.Now, -t.After, \"go f()\") }",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			found, err := checkPackage(tt.room, source{"planted.go", []byte("package planted\n" + tt.src)})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, b := range found {
				got = append(got, strings.TrimPrefix(b.String(), "planted.go:"))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got:\n\t%s\nwant:\n\t%s", strings.Join(got, "\n\t"), strings.Join(tt.want, "\n\t"))
			}
		})
	}
}

func TestWallCheckWalksTheTree(t *testing.T) {
	bad := &fstest.MapFile{Data: []byte("package p\nvar n int\n")}
	tree := fstest.MapFS{
		"a.go": bad, "a_test.go": bad, "a.txt": bad, "_a.go": bad, "below/deep/b.go": bad, "testdata/c.go": bad, "_d/d.go": bad,
		"other/go.mod": &fstest.MapFile{Data: []byte("module other\n")}, "other/e.go": bad,
	}
	found, err := checkTree(tree, schedulerRoom)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, b := range found {
		got = append(got, b.String())
	}
	want := []string{
		"scheduler/a.go:2: scheduler keeps the package variable n",
		"scheduler/below/deep/b.go:2: scheduler keeps the package variable n",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}

	if _, err := checkTree(fstest.MapFS{"a_test.go": bad}, schedulerRoom); err == nil {
		t.Error("a tree with nothing to check passed")
	}
	if _, err := checkTree(fstest.MapFS{"a.go": {Data: []byte("packag p")}}, schedulerRoom); err == nil {
		t.Error("a file that does not parse passed")
	}
}
