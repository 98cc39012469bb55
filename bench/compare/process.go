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
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// measurementTimeout is how long one measurement may take. What it tells apart is one that works and one that hangs.
const measurementTimeout = 5 * time.Minute

// measureCommand is the first argument of the processes that measure.
const measureCommand = "measure"

// apart has an entrant measured in a process of its own: nothing that an earlier one has left behind, be it a goroutine or a
// heap, has an influence.
func apart(ctx context.Context, o options, w workload, e entrant) (sample, error) {
	self, err := os.Executable()
	if err != nil {
		return sample{}, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, measurementTimeout, fmt.Errorf("it took longer than %v", measurementTimeout))
	defer cancel()
	procs := o.cpus
	if e.procs > 0 {
		procs = e.procs
	}
	cmd := exec.CommandContext(ctx, self, measureCommand, strconv.FormatBool(o.quick), w.title, e.name, o.profiles)
	cmd.Env = append(os.Environ(), "GOMAXPROCS="+strconv.Itoa(procs))
	cmd.WaitDelay = 5 * time.Second // for the go command of one workload
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return sample{}, fmt.Errorf("%w\n%s", err, complaints.Bytes())
	}
	var s sample
	if err := json.Unmarshal(out.Bytes(), &s); err != nil {
		return sample{}, fmt.Errorf("the answer %q: %w", out.Bytes(), err)
	}
	if s.Procs != procs {
		return sample{}, fmt.Errorf("it was measured with GOMAXPROCS %d instead of %d", s.Procs, procs)
	}
	return s, nil
}

// measureOne is what such a process does: it measures, and writes the sample.
func measureOne(ctx context.Context, args []string, stdout io.Writer) error {
	const wanted = 4
	if len(args) != wanted {
		return fmt.Errorf("%s needs %d arguments: whether it is quick, workload, contender, and where profiles go", measureCommand, wanted)
	}
	quick, err := strconv.ParseBool(args[0])
	if err != nil {
		return err
	}
	for _, w := range scaleOf(quick).workloads() {
		if w.title != args[1] {
			continue
		}
		e, err := w.entrant(args[2])
		if err != nil {
			return err
		}
		atLeast := profiledFor
		if quick {
			atLeast = 0
		}
		s, err := profiled(args[3], w.title+" "+e.name, atLeast, func() (sample, error) { return e.measure(ctx) })
		if err != nil {
			return err
		}
		s.Procs = runtime.GOMAXPROCS(0)
		return json.NewEncoder(stdout).Encode(s)
	}
	return fmt.Errorf("no workload %q", args[1])
}

// profiledFor is how long a profile takes at least: the profiler looks a hundred times a second.
const profiledFor = 5 * time.Second

// profiled measures, and leaves a CPU profile of that in a directory, unless that is empty. For the profile it measures over and over.
func profiled(dir, name string, atLeast time.Duration, measure func() (sample, error)) (sample, error) {
	if dir == "" {
		return measure()
	}
	file, err := os.Create(filepath.Join(dir, profileName(name)))
	if err != nil {
		return sample{}, err
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return sample{}, errors.Join(err, file.Close())
	}
	s, err := measure()
	for began := time.Now(); err == nil && time.Since(began) < atLeast; {
		s, err = measure()
	}
	pprof.StopCPUProfile()
	return s, errors.Join(err, file.Close())
}

// profileName makes a file name of a title: its letters and digits, and a dash for what is between them.
func profileName(title string) string {
	words := strings.FieldsFunc(strings.ToLower(title), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	return strings.Join(words, "-") + ".pprof"
}
