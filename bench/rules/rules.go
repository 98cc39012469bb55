package main

import (
	"bufio"
	"cmp"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// semanticsFile has the rules.
const semanticsFile = "scheduler/SEMANTICS.md"

// owing are the sections whose rules each owe a test and a planted bug: all but T, which is about the tests.
const owing = "ALRBCFO"

// exempt are the rules of those sections that owe nothing, with the reason. Only what SEMANTICS.md calls "Not yet" may
// stand here; see [book.missing].
var exempt = map[string]string{"S-C2": "not built yet"}

// titleLength is how many characters of a rule its title has at most.
const titleLength = 80

// rule is one numbered promise.
type rule struct {
	id     string // as it is cited: S-B3
	title  string // its first words
	notYet bool   // SEMANTICS.md says so
}

// owes reports whether the rule must have a test and a planted bug.
func (r rule) owes() bool {
	return strings.Contains(owing, r.id[2:3]) && exempt[r.id] == ""
}

var (
	ruleLine = regexp.MustCompile(`^- ([A-Z][0-9]+)\. (.*)`)
	ruleID   = regexp.MustCompile(`^S-([A-Z])([0-9]+)$`)
)

// readRules reads SEMANTICS.md: a rule begins with "- B3. ", goes on in indented lines, and ends with one in italics that
// says whether it is kept.
func readRules(text io.Reader) ([]rule, error) {
	var rules []rule
	var words strings.Builder // of the rule that is being read
	finish := func() {
		if len(rules) > 0 {
			rules[len(rules)-1].title = titleOf(words.String())
		}
		words.Reset()
	}
	inRule := false
	lines := bufio.NewScanner(text)
	for lines.Scan() {
		line := lines.Text()
		if begin := ruleLine.FindStringSubmatch(line); begin != nil {
			finish()
			rules = append(rules, rule{id: "S-" + begin[1]})
			words.WriteString(begin[2])
			inRule = true
			continue
		}
		inRule = inRule && strings.HasPrefix(line, "  ")
		switch word := strings.TrimSpace(line); {
		case !inRule:
		case strings.HasPrefix(word, "*Not yet"):
			rules[len(rules)-1].notYet = true
		default:
			words.WriteString(" " + word)
		}
	}
	finish()
	return rules, lines.Err()
}

// titleOf returns the first sentence, cut between two words when it is long.
func titleOf(text string) string {
	first, _, _ := strings.Cut(text, ". ")
	first = strings.TrimSuffix(first, ".")
	letters := []rune(first)
	if len(letters) <= titleLength {
		return first
	}
	short := string(letters[:titleLength])
	if end := strings.LastIndex(short, " "); end >= 0 {
		short = short[:end]
	}
	return strings.TrimRight(short, " ,:;") + " …"
}

// number returns the section and the number of a rule's id.
func number(id string) (section string, n int) {
	parts := ruleID.FindStringSubmatch(id)
	if parts == nil {
		return id, 0
	}
	n, _ = strconv.Atoi(parts[2])
	return parts[1], n
}

// compareIDs puts rules in the order of SEMANTICS.md: A, L, R, B, C, F, O, then the others; by number in each.
func compareIDs(x, y string) int {
	sx, nx := number(x)
	sy, ny := number(y)
	rank := func(section string) int {
		if i := strings.Index(owing, section); i >= 0 {
			return i
		}
		return len(owing)
	}
	return cmp.Or(cmp.Compare(rank(sx), rank(sy)), strings.Compare(sx, sy), cmp.Compare(nx, ny))
}
