package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// plantedDir has the patches.
const plantedDir = "scheduler/planted"

// patch is one planted bug. It is immutable once read.
type patch struct {
	name  string // of the file, without .patch: S-B3 or S-B3-2
	rule  string // S-B3
	test  test   // the one that kills it
	bug   string // what is wrong with it, for people
	files []string
	text  []byte // all of the file; git skips what stands before the diff
}

var (
	patchName  = regexp.MustCompile(`^(S-[A-Z][0-9]+)(?:-([0-9]+))?$`)
	headerLine = regexp.MustCompile(`^([A-Z][a-z]+): (.*\S)\s*$`)
	testName   = regexp.MustCompile(`^(?:Test|Fuzz)\w*(?:/\S+)?$`)
	diffFiles  = regexp.MustCompile(`(?m)^--- (\S+).*\n\+\+\+ (\S+)`)
)

// readPatches reads all patches of a directory, in the order of their rules; without the directory there are none.
// What is wrong with single ones is returned as faults, one line each.
func readPatches(dir string) (patches []patch, faults []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	for _, entry := range entries {
		name, isPatch := strings.CutSuffix(entry.Name(), ".patch")
		if !isPatch {
			if entry.Name() != "README.md" {
				faults = append(faults, fmt.Sprintf("%s/%s: not a .patch", plantedDir, entry.Name()))
			}
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			return nil, nil, err
		}
		p, err := parsePatch(name, text)
		if err != nil {
			faults = append(faults, fmt.Sprintf("%s/%s.patch: %v", plantedDir, name, err))
			continue
		}
		patches = append(patches, p)
	}
	slices.SortFunc(patches, comparePatches)
	return patches, faults, nil
}

func comparePatches(x, y patch) int {
	return cmp.Or(compareIDs(x.rule, y.rule), cmp.Compare(len(x.name), len(y.name)), strings.Compare(x.name, y.name))
}

// parsePatch reads the header, and which files the diff changes.
func parsePatch(name string, text []byte) (patch, error) {
	p := patch{name: name, text: text}
	parts := patchName.FindStringSubmatch(name)
	if parts == nil {
		return p, errors.New("the name is not that of a rule, S-B3 or S-B3-2")
	}
	if err := p.parseHeader(); err != nil {
		return p, err
	}
	if p.rule != parts[1] {
		return p, fmt.Errorf("its name and its Rule, %s, differ", p.rule)
	}
	return p, p.parseFiles()
}

// parseHeader reads what stands before the diff: Rule, Test and Bug, each once, and nothing else.
func (p *patch) parseHeader() error {
	fields := make(map[string]string)
	for line := range bytes.Lines(p.text) {
		if bytes.HasPrefix(line, []byte("diff ")) || bytes.HasPrefix(line, []byte("--- ")) {
			break
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		field := headerLine.FindSubmatch(line)
		if field == nil {
			return fmt.Errorf("%q before the diff is not of the form \"Name: text\"", bytes.TrimSpace(line))
		}
		key := string(field[1])
		if fields[key] != "" || !slices.Contains([]string{"Rule", "Test", "Bug"}, key) {
			return fmt.Errorf("%q twice, or none of Rule, Test and Bug", key)
		}
		fields[key] = string(field[2])
	}
	for _, key := range []string{"Rule", "Test", "Bug"} {
		if fields[key] == "" {
			return fmt.Errorf("no line \"%s: …\" before the diff", key)
		}
	}
	pkg, name, _ := strings.Cut(fields["Test"], " ")
	pkg, relative := strings.CutPrefix(pkg, "./")
	if !relative || !slices.Contains(packages, pkg) || !testName.MatchString(name) {
		return fmt.Errorf("the test %s is not of the form \"./policy TestName\" or \"./policy TestName/case\"",
			strconv.Quote(fields["Test"]))
	}
	p.rule, p.bug, p.test = fields["Rule"], fields["Bug"], test{pkg: pkg, name: name}
	return nil
}

// parseFiles reads which files the diff changes. A bug is in the code, so a changed test or golden file proves nothing; and
// a whole new file is no small mistake.
func (p *patch) parseFiles() error {
	for _, pair := range diffFiles.FindAllSubmatch(p.text, -1) {
		before, after := string(pair[1]), string(pair[2])
		file, ok := strings.CutPrefix(after, "b/")
		if !ok || before != "a/"+file {
			return fmt.Errorf("changes %s into %s, not a/FILE into b/FILE", before, after)
		}
		if !slices.Contains(packages, path.Dir(file)) || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return fmt.Errorf("changes %s, which is no code of %s", file, strings.Join(packages, ", "))
		}
		p.files = append(p.files, file)
	}
	if len(p.files) == 0 {
		return errors.New("no diff with lines \"--- a/FILE\" and \"+++ b/FILE\"")
	}
	return nil
}

// touched returns the packages that the bug is in and the one of its test, as arguments for the go command.
func (p *patch) touched() []string {
	dirs := []string{"./" + p.test.pkg}
	for _, file := range p.files {
		dirs = append(dirs, "./"+path.Dir(file))
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}

// choose returns the patches that the words name: a rule, for all of its bugs, or one file; "S-" may be left out. Without
// words it returns all.
func choose(patches []patch, words []string) ([]patch, error) {
	if len(words) == 0 {
		return patches, nil
	}
	chosen := make(map[string]bool)
	for _, word := range words {
		word = "S-" + strings.TrimPrefix(strings.TrimSuffix(path.Base(word), ".patch"), "S-")
		known := false
		for _, p := range patches {
			if p.name == word || p.rule == word {
				chosen[p.name], known = true, true
			}
		}
		if !known {
			return nil, fmt.Errorf("no patch %s in %s", word, plantedDir)
		}
	}
	return slices.DeleteFunc(slices.Clone(patches), func(p patch) bool { return !chosen[p.name] }), nil
}
