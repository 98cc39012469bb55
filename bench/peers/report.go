package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"
)

// defect is one way to go wrong.
type defect struct {
	name  string // what goes wrong
	rule  string // of scheduler/SEMANTICS.md, which forbids it
	setup string // what is done, the same on both sides
	peer  string // module path
	avoid string // how the peer's own means avoid it, or that they don't
	peers func(*testing.T) finding
	ours  func(*testing.T) finding
}

// finding is what one side did.
type finding struct {
	did   string
	shown bool // the defect
}

// row is a defect and what both sides did.
type row struct {
	defect    defect
	peer, our finding
}

// ours returns the defects that our side shows.
func ours(rows []row) (bad []string) {
	for _, r := range rows {
		if r.our.shown {
			bad = append(bad, r.defect.name)
		}
	}
	return bad
}

// version returns the version of a module that this program was built with.
func version(path string) string {
	info, ok := debug.ReadBuildInfo()
	if ok {
		for _, dep := range info.Deps {
			if dep.Path == path {
				return dep.Version
			}
		}
	}
	return "unknown version"
}

// short is how a peer is named: the last of its path that is no version.
func short(path string) string {
	parts := strings.Split(path, "/")
	for len(parts) > 1 && strings.HasPrefix(parts[len(parts)-1], "v") {
		parts = parts[:len(parts)-1]
	}
	if strings.HasPrefix(path, "golang.org") {
		return strings.Join(parts[1:], "/")
	}
	return strings.Join(parts[max(0, len(parts)-1):], "/")
}

func (r *row) verdict() string {
	switch {
	case r.our.shown:
		return "**ours, too**"
	case r.peer.shown:
		return "shown"
	default:
		return "does not show it at " + version(r.defect.peer)
	}
}

// table returns the rows as Markdown.
func table(rows []row) string {
	var b strings.Builder
	b.WriteString("| defect | peer | what it did | ours | verdict on the peer |\n|---|---|---|---|---|\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s (S-%s) | %s %s | %s | %s | %s |\n", r.defect.name, r.defect.rule, short(r.defect.peer), version(r.defect.peer), r.peer.did, r.our.did, r.verdict())
	}
	return b.String()
}

// write writes the report.
func write(w io.Writer, rows []row, at time.Time) {
	say(w, `# Defects of peers, run

Each rule of [SEMANTICS.md](../scheduler/SEMANTICS.md) came from a defect. This table runs those that can be run in a few lines, on
the library in which they were found and on ours. `+"`go run ./bench/peers`"+` wrote it on %s with %s; the
versions are those of bench/go.mod. Time is virtual (testing/synctest), so that waits are exact and no machine's mood is in them;
where chance has a part, many tries are made and the worst is told.

%s
What was done, and how one avoids it with the peer's own means:

`, at.Format("2 January 2006"), runtime.Version(), table(rows))
	for _, r := range rows {
		say(w, "- **%s.** %s %s\n", r.defect.name, r.defect.setup, r.defect.avoid)
	}
	say(w, `
The peers do other things than these, and do them well; most are in use by thousands of programs. A defect that is shown here says
nothing about code that does not meet it.
`)
}
