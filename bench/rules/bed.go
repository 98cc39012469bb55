package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// bed is a copy of the root module in a directory of its own, in which bugs are planted one at a time. It has one owner.
type bed struct {
	dir string
}

// newBed copies the root module as it stands in the tree, committed or not. The caller removes it.
func newBed(root string) (*bed, error) {
	dir, err := os.MkdirTemp("", "planted-")
	if err != nil {
		return nil, err
	}
	b := &bed{dir: dir}
	if err := b.fill(root); err != nil {
		return nil, errors.Join(err, b.remove())
	}
	return b, nil
}

func (b *bed) fill(root string) error {
	for _, file := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(root, file))
		if errors.Is(err, fs.ErrNotExist) && file == "go.sum" {
			continue // a module that needs no other has none
		}
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(b.dir, file), text, 0o644); err != nil {
			return err
		}
	}
	for _, pkg := range packages {
		if err := os.CopyFS(filepath.Join(b.dir, pkg), os.DirFS(filepath.Join(root, pkg))); err != nil {
			return err
		}
	}
	return nil
}

func (b *bed) remove() error { return os.RemoveAll(b.dir) }

// apply plants a bug, or, with "-R", takes it out again. All of a patch applies or nothing of it.
//
// Inside a repository git would take paths as relative to its root and silently skip those elsewhere, so it must not find
// one around the copy; and nobody's settings about white space are asked.
func (b *bed) apply(ctx context.Context, p *patch, options ...string) (output string, ok bool, err error) {
	dir, err := filepath.EvalSymlinks(b.dir)
	if err != nil {
		return "", false, err
	}
	cmd := exec.CommandContext(ctx, "git", append(append([]string{"apply", "--whitespace=nowarn"}, options...), "-")...)
	cmd.Stdin = bytes.NewReader(p.text)
	for _, setting := range os.Environ() {
		if !strings.HasPrefix(setting, "GIT_") {
			cmd.Env = append(cmd.Env, setting)
		}
	}
	cmd.Env = append(cmd.Env, "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull)
	return b.run(ctx, cmd)
}

// build builds the whole module, and vets the packages named, tests included.
func (b *bed) build(ctx context.Context, pkgs ...string) (output string, ok bool, err error) {
	output, ok, err = b.golang(ctx, "build", "./...")
	if !ok || err != nil {
		return output, ok, err
	}
	return b.golang(ctx, append([]string{"vet"}, pkgs...)...)
}

// test runs one test, and nothing beside it but what shares its function.
func (b *bed) test(ctx context.Context, t test, timeout time.Duration) (testRun, error) {
	output, _, err := b.golang(ctx, "test", "-json", "-count=1", "-vet=off", "-timeout", timeout.String(), "-run", pattern(t.name), "./"+t.pkg)
	return judge([]byte(output), t.name), err
}

// pattern returns what -run must be told to run exactly the test of that name.
func pattern(name string) string {
	levels := strings.Split(name, "/")
	for i := range levels {
		levels[i] = "^" + regexp.QuoteMeta(levels[i]) + "$"
	}
	return strings.Join(levels, "/")
}

func (b *bed) golang(ctx context.Context, args ...string) (output string, ok bool, err error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "GOWORK=off")
	return b.run(ctx, cmd)
}

// run returns what the command printed, and whether it left with exit code 0. It is an error if it could not be run, or
// ctx ended before it did.
func (b *bed) run(ctx context.Context, cmd *exec.Cmd) (output string, ok bool, err error) {
	cmd.Dir = b.dir
	cmd.WaitDelay = 5 * time.Second // a test that outlives the go command holds its output open
	text, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return "", false, context.Cause(ctx)
	}
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		return "", false, fmt.Errorf("%s: %w", cmd, err)
	}
	return string(text), err == nil, nil
}
