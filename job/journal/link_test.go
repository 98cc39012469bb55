package journal_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/job/journal"
)

// link makes name stand for to.
func link(t *testing.T, to, name string) {
	t.Helper()
	if err := os.Symlink(to, name); err != nil {
		t.Skipf("no symbolic links here: %v", err)
	}
}

// However a journal is called, it has one owner, and it stays where it is.
func TestSymbolicLinks(t *testing.T) {
	for _, test := range []struct {
		name string
		make func(t *testing.T, dir, file string) (path string)
	}{
		{"of a file", func(t *testing.T, dir, file string) string {
			path := filepath.Join(dir, "link")
			link(t, file, path)
			return path
		}},
		{"of a link, relative", func(t *testing.T, dir, _ string) string {
			link(t, filepath.Join("..", "there", "run.journal"), filepath.Join(dir, "one"))
			link(t, "one", filepath.Join(dir, "two"))
			return filepath.Join(dir, "two")
		}},
		{"of a directory", func(t *testing.T, dir, file string) string {
			link(t, filepath.Dir(file), filepath.Join(dir, "link"))
			return filepath.Join(dir, "link", "run.journal")
		}},
		{"in a linked directory, upwards", func(t *testing.T, dir, file string) string {
			deep := filepath.Join(filepath.Dir(file), "deep")
			require.NoError(t, os.Mkdir(deep, 0o700))
			link(t, deep, filepath.Join(dir, "down"))
			link(t, filepath.Join("..", "run.journal"), filepath.Join(deep, "up"))
			return filepath.Join(dir, "down", "up")
		}},
		{"upwards from a linked directory", func(t *testing.T, dir, file string) string {
			deep := filepath.Join(filepath.Dir(file), "deep")
			require.NoError(t, os.Mkdir(deep, 0o700))
			link(t, deep, filepath.Join(dir, "down"))
			link(t, filepath.FromSlash("down/../run.journal"), filepath.Join(dir, "up"))
			return filepath.Join(dir, "up")
		}},
	} {
		for _, exists := range []bool{true, false} {
			name := test.name
			if !exists {
				name += ", which is yet to be made"
			}
			t.Run(name, func(t *testing.T) {
				root := t.TempDir()
				dir, file := filepath.Join(root, "here"), filepath.Join(root, "there", "run.journal")
				require.NoError(t, os.Mkdir(dir, 0o700))
				require.NoError(t, os.Mkdir(filepath.Dir(file), 0o700))
				if exists {
					require.NoError(t, open(t, file, journal.Options{}).Close())
				}
				oneOwner(t, test.make(t, dir, file), file)
			})
		}
	}
}

// oneOwner uses the journal at file by the name of path.
func oneOwner(t *testing.T, path, file string) {
	t.Helper()
	before, unmade := os.Lstat(path)
	j := open(t, path, journal.Options{})
	assert.Equal(t, path, j.Path(), "as it was given")
	assert.FileExists(t, file+".lock")
	for _, name := range []string{path, file} {
		_, err := journal.Open(name, journal.Options{})
		require.ErrorIs(t, err, journal.ErrLocked)
		assert.ErrorContains(t, err, name)
	}
	require.NoError(t, j.Start(7, 0, nil))
	require.NoError(t, j.Compact())
	require.NoError(t, j.Done(7, nil))
	require.NoError(t, j.Close())
	after, err := os.Lstat(path)
	require.NoError(t, err)
	if unmade == nil {
		assert.Equal(t, before.Mode().Type(), after.Mode().Type(), "it is still what it was")
	}
	j = open(t, file, journal.Options{})
	assert.Equal(t, journal.Done, j.Status(7).State)
	require.NoError(t, j.Close())
	files, err := os.ReadDir(filepath.Dir(file))
	require.NoError(t, err)
	for _, f := range files {
		assert.Contains(t, []string{"run.journal", "deep"}, f.Name())
	}
}

// A link that leads nowhere, or round in a circle, is refused by what the system says.
func TestLinksToNowhere(t *testing.T) {
	dir := t.TempDir()
	link(t, filepath.Join(dir, "no", "such"), filepath.Join(dir, "dangling"))
	link(t, "circle", filepath.Join(dir, "circle"))
	for _, name := range []string{"dangling", "circle", filepath.Join("neither", "this")} {
		path := filepath.Join(dir, name)
		_, err := journal.Open(path, journal.Options{})
		var e *journal.Error
		require.ErrorAs(t, err, &e, name)
		assert.Equal(t, path, e.Path)
	}
}

// linked is a disk on which run.journal stands for one in another directory. It notes which directories are forced to the disk.
type linked struct {
	*disk
	dirs []string
}

func (l *linked) Resolve(path string) string { return filepath.Join("elsewhere", path) }

func (l *linked) SyncDir(dir string) error {
	l.dirs = append(l.dirs, dir)
	return l.disk.SyncDir(dir)
}

// The directory that is forced to the disk is the one that the file is in.
func TestLinkedDirectoryIsSynced(t *testing.T) {
	data, _ := sample(t)
	l := &linked{disk: newDisk()}
	l.names[filepath.Join("elsewhere", at)] = &node{data: data}
	j := open(t, at, journal.Options{}.On(l))
	require.NoError(t, j.Compact())
	require.NoError(t, j.Close())
	dir := filepath.Join("elsewhere", filepath.Dir(at))
	assert.Equal(t, []string{dir, dir}, l.dirs)
	assert.Len(t, l.names, 1)
}
