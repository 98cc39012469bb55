package journal_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/job/journal"
)

// victimVariable makes the test binary a victim: the path of the journal, which it works on until it is killed.
const victimVariable = "TOLLER_JOURNAL_VICTIM"

// victimItems is how many items a victim goes through; victimWorkers, how many at once.
const (
	victimItems   = 100_000_000
	victimWorkers = 4
)

// victim does items as a program would that resumes: what is done it leaves alone. It says what it has recorded on standard output,
// a line each, after the journal has it: so whatever was said must be there afterwards. It compacts now and then.
func victim(path string) error {
	j, err := journal.Open(path, journal.Options{})
	if err != nil {
		return err
	}
	var say sync.Mutex
	said := func(word string, item int) {
		say.Lock()
		defer say.Unlock()
		fmt.Println(word, item)
	}
	said("open", 0)
	errs := make(chan error, victimWorkers)
	for worker := range victimWorkers {
		go func() { errs <- work(j, worker, said) }()
	}
	return <-errs
}

// work does every fourth item.
func work(j *journal.Journal, worker int, said func(string, int)) error {
	for item := worker; item < victimItems; item += victimWorkers {
		if j.Status(item).State == journal.Done {
			continue
		}
		said("about", item)
		if err := j.Start(item, uint64(item)+1, nil); err != nil {
			return err
		}
		said("start", item)
		if err := j.Done(item, nil); err != nil {
			return err
		}
		said("done", item)
		if item%1000 == 0 {
			if err := j.Compact(); err != nil {
				return err
			}
		}
	}
	return nil
}

// A process is killed again and again, at random moments, and goes on each time: nothing that it has recorded is lost, nothing is
// done twice, only what was in flight is begun again, and the lock is free at once. It is quick, so it has more than one round a
// second; the length for which it lives is the only thing that depends on the machine.
func TestKill(t *testing.T) {
	rounds := 10
	if n, err := strconv.Atoi(os.Getenv("TOLLER_JOURNAL_KILLS")); err == nil {
		rounds = n
	}
	path := filepath.Join(t.TempDir(), "run.journal")
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	known := map[int]journal.Status{}
	killedInFlight := 0
	for round := range rounds {
		said := runVictim(t, path, time.Duration(rnd.IntN(40_000))*time.Microsecond, rnd.IntN(3000))
		maybe := map[int]bool{}
		for line := range strings.Lines(said) {
			if !strings.HasSuffix(line, "\n") {
				break // cut off with the process
			}
			word, number, _ := strings.Cut(strings.TrimSpace(line), " ")
			item, err := strconv.Atoi(number)
			require.NoError(t, err)
			s := known[item]
			switch word {
			case "about":
				require.NotEqual(t, journal.Done, s.State, "round %d: item %d was done before", round, item)
				maybe[item] = true
			case "start":
				if s.State == journal.InFlight {
					s.Ambiguous++
				}
				s.State, s.Hash, s.Starts = journal.InFlight, uint64(item)+1, s.Starts+1
				known[item] = s
			case "done":
				s.State = journal.Done
				known[item] = s
				delete(maybe, item)
			}
		}
		j := open(t, path, journal.Options{})
		for item, want := range known {
			got := j.Status(item)
			if !maybe[item] { // its last word may not have been heard
				require.Equal(t, want, got, "round %d, item %d", round, item)
			}
			require.GreaterOrEqual(t, got.Starts, want.Starts, "round %d, item %d", round, item)
		}
		for item, got := range j.All() {
			if _, ok := known[item]; !ok {
				require.True(t, maybe[item], "round %d: item %d comes from nowhere", round, item)
			}
			known[item] = got
		}
		inFlight := j.Counts().InFlight
		require.LessOrEqual(t, inFlight, victimWorkers)
		killedInFlight += inFlight
		require.NoError(t, j.Close())
	}
	t.Logf("%d kills, %d items, %d in flight at a kill", rounds, len(known), killedInFlight)
	assert.NotEmpty(t, known)
}

// runVictim starts a victim, kills it after so many lines and then some time, and returns what it said.
func runVictim(t *testing.T, path string, after time.Duration, lines int) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), victimVariable+"="+path)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var said bytes.Buffer
	reader := bufio.NewReader(out)
	for n := 0; ; n++ {
		line, err := reader.ReadString('\n')
		said.WriteString(line)
		if err != nil {
			break
		}
		if n == lines {
			time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		}
	}
	require.Error(t, cmd.Wait(), "it ended by itself")
	require.NoError(t, ctx.Err(), "it was not killed in time")
	require.Empty(t, stderr.String())
	return said.String()
}
