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
	"path"
	"path/filepath"
	"sync"
	"time"
)

// verdict is what became of a mutant.
type verdict uint8

const (
	notTried verdict = iota
	killed
	timedOut
	survived
	notCompiled
	numVerdicts
)

// trial tries mutants, several at a time.
type trial struct {
	root  string
	o     *options
	out   io.Writer
	began time.Time
}

// testers returns the packages whose tests look at the code of a package: its own first.
func testers(pkg string) []string {
	if pkg == "policy" {
		return []string{"policy", "scheduler"}
	}
	return []string{pkg}
}

// run tries all, or as many as there is time for, and says every now and then how far it is.
func (t *trial) run(ctx context.Context, chosen []mutant) ([]verdict, error) {
	for _, pkg := range t.o.packages { // or every mutant would count as killed
		for _, tester := range testers(pkg) {
			if output, err := t.test(ctx, tester, ""); err != nil {
				return nil, fmt.Errorf("the tests of %s fail without a mutant: %w\n%s", tester, err, output)
			}
		}
	}
	verdicts := make([]verdict, len(chosen))
	var mu sync.Mutex
	next, failure := 0, error(nil)
	var working sync.WaitGroup
	for range t.o.workers {
		working.Go(func() {
			for {
				mu.Lock()
				i := next
				if next++; i >= len(chosen) || failure != nil || ctx.Err() != nil || t.o.span > 0 && time.Since(t.began) > t.o.span {
					mu.Unlock()
					return
				}
				if i > 0 && i%25 == 0 {
					say(t.out, "%v: %d of %d\n", time.Since(t.began).Round(time.Second), i, len(chosen))
				}
				mu.Unlock()
				v, err := t.try(ctx, &chosen[i])
				mu.Lock()
				verdicts[i] = v
				if err != nil && failure == nil {
					failure = err
				}
				mu.Unlock()
			}
		})
	}
	working.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return verdicts, failure
}

// try plants one mutant, as an overlay of the build.
func (t *trial) try(ctx context.Context, m *mutant) (verdict, error) {
	dir, err := os.MkdirTemp("", "mutant-")
	if err != nil {
		return notTried, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(t.root, filepath.FromSlash(m.file))
	source, err := os.ReadFile(file)
	if err != nil {
		return notTried, err
	}
	changed, listing := filepath.Join(dir, "mutant.go"), filepath.Join(dir, "overlay.json")
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {file: changed}})
	if err != nil {
		return notTried, err
	}
	if err := errors.Join(os.WriteFile(changed, m.apply(source), 0o644), os.WriteFile(listing, overlay, 0o644)); err != nil {
		return notTried, err
	}
	for _, tester := range testers(path.Dir(m.file)) {
		output, err := t.test(ctx, tester, listing)
		_, failed := errors.AsType[*exec.ExitError](err)
		switch {
		case err == nil:
		case !failed:
			return notTried, err
		case bytes.Contains(output, []byte("[build failed]")):
			return notCompiled, nil
		case bytes.Contains(output, []byte("test timed out")) || bytes.Contains(output, []byte("signal: killed")):
			return timedOut, nil
		default:
			return killed, nil
		}
	}
	return survived, nil
}

// test runs the tests of a package.
func (t *trial) test(ctx context.Context, pkg, overlay string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*t.o.timeout) // a build takes its time, too
	defer cancel()
	args := []string{"test", "-short", "-failfast", "-count=1", "-vet=off", "-timeout", t.o.timeout.String()}
	if overlay != "" {
		args = append(args, "-overlay", overlay)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "./"+pkg)...)
	cmd.Dir = t.root
	cmd.Env = append(os.Environ(), "GOWORK=off")
	cmd.WaitDelay = 5 * time.Second
	return cmd.CombinedOutput()
}
