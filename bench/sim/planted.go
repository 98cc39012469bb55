package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/toller-go/toller/bench/internal/tree"
)

const plantedDir = "scheduler/planted"

// stuck is how long a build of the simulation with a planted bug may run before it counts as one that hangs.
const stuck = 2 * time.Minute

var changedFile = regexp.MustCompile(`(?m)^\+\+\+ b/(\S+)`)

// plantAll builds the simulation with each planted bug that is in the core, and says which of them it finds.
func plantAll(ctx context.Context, o options, out io.Writer) error {
	root, err := tree.Root()
	if err != nil {
		return err
	}
	patches, err := filepath.Glob(filepath.Join(root, plantedDir, "*.patch"))
	if err != nil {
		return err
	}
	tried, found := 0, 0
	for _, patch := range patches {
		name := strings.TrimSuffix(filepath.Base(patch), ".patch")
		if len(o.names) > 0 && !slices.ContainsFunc(o.names, func(n string) bool {
			n = "S-" + strings.TrimPrefix(n, "S-")
			return name == n || strings.HasPrefix(name, n+"-")
		}) {
			continue
		}
		text, err := os.ReadFile(patch)
		if err != nil {
			return err
		}
		bug, _, _ := strings.Cut(string(text[bytes.Index(text, []byte("Bug: "))+len("Bug: "):]), "\n")
		files := filesOf(text)
		if files == nil {
			continue // not in the core
		}
		began := time.Now()
		verdict, err := plant(ctx, root, text, files, o)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		tried++
		if verdict != "" {
			found++
		} else {
			verdict = "not found"
		}
		say(out, "%-9s %s\n          %s (%.0f s)\n", name, bug, verdict, time.Since(began).Seconds())
	}
	say(out, "%d bugs planted in the core, %d found in %d stories\n", tried, found, o.seeds)
	if tried == 0 {
		return errors.New("no such bug in " + plantedDir)
	}
	return nil
}

// filesOf returns the files that a patch changes; nil when one is not of the core.
func filesOf(patch []byte) (files []string) {
	for _, found := range changedFile.FindAllSubmatch(patch, -1) {
		file := string(found[1])
		if dir := filepath.Dir(file); dir != "scheduler" && dir != "policy" {
			return nil
		}
		files = append(files, file)
	}
	return files
}

// plant returns what the simulation says when it is built with a patch: the first line of its complaint, or nothing. The tree is
// left alone: the changed files go over it as an overlay of the build.
func plant(ctx context.Context, root string, patch []byte, files []string, o options) (verdict string, err error) {
	dir, err := os.MkdirTemp("", "sim-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return "", err
	}
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for _, file := range files {
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			return "", err
		}
		copied := filepath.Join(dir, file)
		overlay.Replace[filepath.Join(root, file)] = copied
		if err := errors.Join(os.MkdirAll(filepath.Dir(copied), 0o755), os.WriteFile(copied, text, 0o644)); err != nil {
			return "", err
		}
	}
	apply := exec.CommandContext(ctx, "git", "apply", "--whitespace=nowarn", "-")
	apply.Dir, apply.Stdin = dir, bytes.NewReader(patch)
	apply.Env = append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir))
	if output, err := apply.CombinedOutput(); err != nil {
		return "", fmt.Errorf("git apply: %w: %s", err, output)
	}
	description, err := json.Marshal(overlay)
	if err != nil {
		return "", err
	}
	binary, listing := filepath.Join(dir, "sim.exe"), filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(listing, description, 0o644); err != nil {
		return "", err
	}
	build := exec.CommandContext(ctx, "go", "build", "-overlay", listing, "-o", binary, "./bench/sim")
	build.Dir = root
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, output)
	}
	ctx, cancel := context.WithTimeout(ctx, stuck)
	defer cancel()
	output, err := exec.CommandContext(ctx, binary, "-seeds", fmt.Sprint(o.seeds), "-workers", fmt.Sprint(o.workers)).Output()
	_, failed := errors.AsType[*exec.ExitError](err)
	switch {
	case ctx.Err() != nil:
		return "the simulation hangs", nil
	case err == nil:
		return "", nil
	case !failed:
		return "", err
	}
	line, _, _ := strings.Cut(string(output), "\n")
	return line, nil
}
