package journal_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/job/journal"
)

func TestLockedBySelf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.journal")
	j := open(t, path, journal.Options{})
	_, err := journal.Open(path, journal.Options{})
	require.ErrorIs(t, err, journal.ErrLocked)
	var e *journal.Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, os.Getpid(), e.PID)
	assert.Equal(t, path, e.Path)
	require.NoError(t, j.Start(0, 0, nil))
	require.NoError(t, j.Compact())
	_, err = journal.Open(path, journal.Options{})
	require.ErrorIs(t, err, journal.ErrLocked, "a compaction keeps the lock")
	require.NoError(t, j.Close())
	assert.NoFileExists(t, path+".lock")
	require.NoError(t, open(t, path, journal.Options{}).Close())
}

// Another process is refused while one lives, is told its number, and gets the journal as soon as that is killed.
func TestLockedByAnother(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.journal")
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), victimVariable+"="+path)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	_, err = bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)

	before, err := os.Stat(path)
	require.NoError(t, err)
	_, err = journal.Open(path, journal.Options{})
	require.ErrorIs(t, err, journal.ErrLocked)
	var e *journal.Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, cmd.Process.Pid, e.PID)
	assert.ErrorContains(t, err, path)
	assert.NotZero(t, before.Size())

	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	assert.FileExists(t, path+".lock", "a crash leaves it, unlocked")
	require.NoError(t, open(t, path, journal.Options{}).Close())
}
