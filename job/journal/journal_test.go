package journal_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/job/journal"
)

// at is the path of journals on a disk in memory.
const at = "dir/run.journal"

// open opens a journal and fails the test if that fails.
func open(t testing.TB, path string, opts journal.Options) *journal.Journal {
	t.Helper()
	j, err := journal.Open(path, opts)
	require.NoError(t, err)
	return j
}

// statuses returns what j has of each item.
func statuses(j *journal.Journal) map[int]journal.Status {
	return maps.Collect(j.All())
}

func TestLifeOfAnItem(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.journal")
	j := open(t, path, journal.Options{Meta: json.RawMessage(`{"input":"a"}`)})
	assert.True(t, j.Report().Created)
	assert.Equal(t, journal.Status{}, j.Status(7))

	steps := []struct {
		name  string
		entry journal.Entry
		want  journal.Status
	}{
		{"start", journal.Entry{Kind: journal.KindStart, Hash: 9}, journal.Status{State: journal.InFlight, Hash: 9, Starts: 1}},
		{"retry", journal.Entry{Kind: journal.KindRetry}, journal.Status{State: journal.Pending, Hash: 9, Starts: 1}},
		{"start again", journal.Entry{Kind: journal.KindStart, Hash: 9}, journal.Status{State: journal.InFlight, Hash: 9, Starts: 2}},
		{"ambiguous retry", journal.Entry{Kind: journal.KindRetry, Ambiguous: true}, journal.Status{State: journal.Pending, Hash: 9, Starts: 2, Ambiguous: 1}},
		{"nothing in flight", journal.Entry{Kind: journal.KindRetry, Ambiguous: true}, journal.Status{State: journal.Pending, Hash: 9, Starts: 2, Ambiguous: 1}},
		{"third start", journal.Entry{Kind: journal.KindStart}, journal.Status{State: journal.InFlight, Hash: 9, Starts: 3, Ambiguous: 1}},
		{"start over an open one", journal.Entry{Kind: journal.KindStart}, journal.Status{State: journal.InFlight, Hash: 9, Starts: 4, Ambiguous: 2}},
		{"ambiguous failure", journal.Entry{Kind: journal.KindFailed, Ambiguous: true}, journal.Status{State: journal.Failed, Hash: 9, Starts: 4, Ambiguous: 3}},
		{"start after failure", journal.Entry{Kind: journal.KindStart}, journal.Status{State: journal.InFlight, Hash: 9, Starts: 5, Ambiguous: 3}},
		{"done is not ambiguous", journal.Entry{Kind: journal.KindDone, Ambiguous: true}, journal.Status{State: journal.Done, Hash: 9, Starts: 5, Ambiguous: 3}},
	}
	for _, step := range steps {
		step.entry.Item = 7
		require.NoError(t, j.Append(step.entry), step.name)
		require.Equal(t, step.want, j.Status(7), step.name)
		require.NoError(t, j.Close(), step.name)
		j = open(t, path, journal.Options{Meta: json.RawMessage(`{"input":"b"}`)})
		require.Equal(t, step.want, j.Status(7), "after reopening: %s", step.name)
	}
	assert.JSONEq(t, `{"input":"a"}`, string(j.Meta()), "an existing journal keeps its own")
	assert.Equal(t, journal.Counts{Done: 1, Starts: 5, Ambiguous: 3}, j.Counts())
	assert.False(t, j.Report().Created)

	require.NoError(t, j.Reset(7))
	assert.Equal(t, journal.Status{}, j.Status(7))
	assert.Equal(t, journal.Counts{}, j.Counts())
	assert.Empty(t, statuses(j))
	require.NoError(t, j.Close())
	require.NoError(t, j.Close(), "a second Close does nothing")
}

func TestRefusals(t *testing.T) {
	d := newDisk()
	j := open(t, at, journal.Options{Sync: journal.Off}.On(d))
	require.NoError(t, j.Start(0, 5, nil))
	require.NoError(t, j.Start(1, 5, nil))
	require.NoError(t, j.Done(1, nil))
	before := len(d.writes)

	for _, c := range []struct {
		name  string
		entry journal.Entry
		want  error
		text  string
	}{
		{"start of a done item", journal.Entry{Kind: journal.KindStart, Item: 1, Hash: 5}, journal.ErrDone, "item 1: already done"},
		{"done twice", journal.Entry{Kind: journal.KindDone, Item: 1}, journal.ErrDone, "reset the item first"},
		{"failure of a done item", journal.Entry{Kind: journal.KindFailed, Item: 1}, journal.ErrDone, "item 1"},
		{"retry of a done item", journal.Entry{Kind: journal.KindRetry, Item: 1}, journal.ErrDone, "item 1"},
		{"changed input", journal.Entry{Kind: journal.KindStart, Item: 0, Hash: 6}, journal.ErrChanged, "item 0: changed"},
		{"negative item", journal.Entry{Kind: journal.KindStart, Item: -1}, journal.ErrInvalid, "Entry.Item is -1"},
		{"item too high", journal.Entry{Kind: journal.KindStart, Item: journal.MaxItem + 1}, journal.ErrInvalid, "Entry.Item is 1073741824"},
		{"no kind", journal.Entry{}, journal.ErrInvalid, "Entry.Kind"},
		{"not about an item", journal.Entry{Kind: journal.KindMeta}, journal.ErrInvalid, "Entry.Kind is meta"},
		{"unknown kind", journal.Entry{Kind: 99}, journal.ErrInvalid, "Kind(99)"},
		{"not JSON", journal.Entry{Kind: journal.KindStart, Data: json.RawMessage(`{`)}, journal.ErrInvalid, `Entry.Data is "{"`},
		{"empty data", journal.Entry{Kind: journal.KindStart, Data: json.RawMessage{}}, journal.ErrInvalid, "Entry.Data"},
		{"much data", journal.Entry{Kind: journal.KindStart, Data: make([]byte, journal.MaxData+1)}, journal.ErrInvalid, "at most 67108864"},
	} {
		err := j.Append(c.entry)
		assert.ErrorIs(t, err, c.want, c.name)
		assert.ErrorContains(t, err, c.text, c.name)
	}
	assert.Len(t, d.writes, before, "a refused entry is not written")
	assert.NoError(t, j.Err())
	require.NoError(t, j.Reset(0))
	require.NoError(t, j.Start(0, 6, nil), "after a reset the hash is a new one")
	require.NoError(t, j.Close())
	assert.ErrorIs(t, j.Start(3, 0, nil), journal.ErrClosed)
	assert.ErrorIs(t, j.Flush(), journal.ErrClosed)
	assert.ErrorIs(t, j.Compact(), journal.ErrClosed)
	assert.ErrorIs(t, j.SetMeta(nil), journal.ErrClosed)
	assert.Equal(t, journal.InFlight, j.Status(0).State, "what was known can still be asked for")
	assert.Equal(t, journal.Status{}, j.Status(-1))

	for _, opts := range []journal.Options{{Sync: 3}, {Every: -1}, {Meta: json.RawMessage(`nul`)}} {
		_, err := journal.Open("x", opts.On(d))
		assert.ErrorIs(t, err, journal.ErrInvalid)
	}
	_, err := journal.Open("", journal.Options{}.On(d))
	assert.ErrorIs(t, err, journal.ErrInvalid)
}

func TestDataComesBack(t *testing.T) {
	d := newDisk()
	j := open(t, at, journal.Options{Meta: json.RawMessage("[\n1]")}.On(d))
	require.NoError(t, j.Start(3, journal.Hash([]byte("body")), json.RawMessage("{\n\t\"id\": \"x\"\n}")))
	require.NoError(t, j.Done(3, json.RawMessage(`{"c":"00000000"}`)))
	require.NoError(t, j.SetMeta(json.RawMessage(`"other"`)))
	require.NoError(t, j.Close())
	assert.Len(t, d.writes, 4, "one write a record")

	want := []journal.Record{
		{Kind: journal.KindHeader, Data: json.RawMessage(`[1]`)},
		{Kind: journal.KindStart, Item: 3, Status: journal.Status{State: journal.InFlight, Hash: journal.Hash([]byte("body")), Starts: 1}, Data: json.RawMessage(`{"id":"x"}`)},
		{Kind: journal.KindDone, Item: 3, Status: journal.Status{State: journal.Done, Hash: journal.Hash([]byte("body")), Starts: 1}, Data: json.RawMessage(`{"c":"00000000"}`)},
		{Kind: journal.KindMeta, Data: json.RawMessage(`"other"`)},
	}
	var got []journal.Record
	keep := func(r journal.Record) error {
		r.Data = bytes.Clone(r.Data)
		got = append(got, r)
		return nil
	}
	report, err := journal.Scan(bytes.NewReader(d.names[at].data), keep)
	require.NoError(t, err)
	assert.Equal(t, want, got)
	assert.Equal(t, journal.Report{Records: 4, Bytes: int64(len(d.names[at].data))}, report)

	got = nil
	j = open(t, at, journal.Options{Replay: keep}.On(d))
	assert.Equal(t, want, got)
	assert.JSONEq(t, `"other"`, string(j.Meta()))
	require.NoError(t, j.Close())

	for line := range strings.Lines(string(d.names[at].data)) {
		assert.True(t, json.Valid([]byte(line)), "not JSON: %s", line)
	}
}

func TestReplayRefuses(t *testing.T) {
	d := newDisk()
	j := open(t, at, journal.Options{}.On(d))
	require.NoError(t, j.Close())
	d.names[at].data = append(d.names[at].data, "torn"...)
	before := string(d.names[at].data)
	mine := errors.New("another input")
	_, err := journal.Open(at, journal.Options{Replay: func(journal.Record) error { return mine }}.On(d))
	assert.Equal(t, mine, err)
	assert.Equal(t, before, string(d.names[at].data), "the file is as it was")
	require.NoError(t, open(t, at, journal.Options{}.On(d)).Close(), "and is not locked")
}

func TestFormat(t *testing.T) {
	// The file format is a promise: what is written today must be read by later versions.
	d := newDisk()
	j := open(t, at, journal.Options{Meta: json.RawMessage(`{"input":"f00d"}`)}.On(d))
	require.NoError(t, j.Start(17, 0x1f, nil))
	require.NoError(t, j.Start(17, 0x1f, json.RawMessage(`{"id":"a"}`)))
	require.NoError(t, j.Append(journal.Entry{Kind: journal.KindDone, Item: 17}))
	require.NoError(t, j.Append(journal.Entry{Kind: journal.KindFailed, Item: 0}))
	require.NoError(t, j.Retry(0, nil))
	require.NoError(t, j.Reset(17))
	require.NoError(t, j.SetMeta(nil))
	require.NoError(t, j.Close())
	golden, err := os.ReadFile("testdata/version1.journal")
	require.NoError(t, err)
	assert.Equal(t, string(golden), string(d.names[at].data))
}

func TestHash(t *testing.T) {
	assert.Equal(t, uint64(0x2cf24dba5fb0a30e), journal.Hash([]byte("hello")), "the first 8 bytes of SHA-256")
	assert.Equal(t, journal.Hash([]byte("hello")), journal.Hash([]byte("he"), nil, []byte("llo")))
	s := journal.Status{Hash: 1}
	assert.True(t, s.Changed(2))
	assert.False(t, s.Changed(1))
	assert.False(t, s.Changed(0), "no hash, no change")
	assert.False(t, journal.Status{}.Changed(1), "not on record")
}

func TestCountsSaturate(t *testing.T) {
	d := newDisk()
	j := open(t, at, journal.Options{Sync: journal.Off}.On(d))
	for range 65_540 {
		require.NoError(t, j.Start(0, 0, nil))
	}
	want := journal.Status{State: journal.InFlight, Starts: 65_535, Ambiguous: 65_535}
	assert.Equal(t, want, j.Status(0))
	require.NoError(t, j.Close())
	j = open(t, at, journal.Options{}.On(d))
	assert.Equal(t, want, j.Status(0))
	require.NoError(t, j.Close())
}

func TestItemsFarApart(t *testing.T) {
	d := newDisk()
	j := open(t, at, journal.Options{Sync: journal.Off}.On(d)) // whose timer would hold these pages when TestMemory measures
	want := map[int]journal.Status{}
	for _, item := range []int{0, journal.PageItems - 1, journal.PageItems, 5*journal.PageItems + 1, journal.MaxItem} {
		require.NoError(t, j.Start(item, uint64(item)+1, nil))
		want[item] = journal.Status{State: journal.InFlight, Hash: uint64(item) + 1, Starts: 1}
	}
	assert.Equal(t, want, statuses(j))
	for range j.All() {
		break
	}
	for item := range j.All() { // the loop may use the journal
		require.NoError(t, j.Done(item, nil))
	}
	assert.Equal(t, journal.Counts{Done: 5, Starts: 5}, j.Counts())
	require.NoError(t, j.Compact())
	require.NoError(t, j.Close())
	j = open(t, at, journal.Options{}.On(d))
	assert.Equal(t, journal.Counts{Done: 5, Starts: 5}, j.Counts())
	require.NoError(t, j.Close())
}

func TestStickyWriteError(t *testing.T) {
	for _, c := range []struct {
		name  string
		trunc error
	}{{"the rest can be cut off", nil}, {"it cannot", errIO}} {
		t.Run(c.name, func(t *testing.T) {
			d := newDisk()
			j := open(t, at, journal.Options{Sync: journal.Off}.On(d))
			require.NoError(t, j.Start(0, 1, nil))
			whole := len(d.names[at].data)
			d.room, d.truncErr = 10, c.trunc
			err := j.Done(0, nil)
			assert.ErrorIs(t, err, journal.ErrUnwritable)
			assert.ErrorIs(t, err, errFull)
			assert.ErrorContains(t, err, at)
			assert.Equal(t, journal.InFlight, j.Status(0).State, "what was not written has not happened")
			if c.trunc == nil {
				assert.Len(t, d.names[at].data, whole)
			} else {
				assert.ErrorIs(t, err, errIO)
				assert.Len(t, d.names[at].data, whole+10)
			}

			d.room, d.truncErr = -1, nil // there is room again, but the journal does not try
			steps := d.steps
			for _, again := range []error{j.Done(0, nil), j.Start(1, 0, nil), j.SetMeta(nil), j.Compact(), j.Flush(), j.Err()} {
				assert.ErrorIs(t, again, journal.ErrUnwritable)
			}
			assert.Equal(t, steps, d.steps)
			assert.ErrorIs(t, j.Close(), journal.ErrUnwritable)

			j = open(t, at, journal.Options{}.On(d))
			assert.Equal(t, journal.Counts{InFlight: 1, Starts: 1}, j.Counts())
			require.NoError(t, j.Done(0, nil))
			require.NoError(t, j.Close())
		})
	}
}

func TestShortWriteWithoutError(t *testing.T) {
	d := newDisk()
	j := open(t, at, journal.Options{Sync: journal.Off}.On(short{d}))
	assert.ErrorIs(t, j.Start(0, 1, nil), journal.ErrUnwritable)
	require.ErrorIs(t, j.Close(), journal.ErrUnwritable)
	j = open(t, at, journal.Options{}.On(d))
	assert.Zero(t, j.Report().Torn, "it was cut off at once")
	require.NoError(t, j.Close())
}

// short is a disk whose files say that all is well after half of a record about an item.
type short struct{ *disk }

func (s short) Open(path string, fresh bool) (journal.File, error) {
	f, err := s.disk.Open(path, fresh)
	return shortFile{f}, err
}

type shortFile struct{ journal.File }

func (f shortFile) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte(`"i"`)) {
		b = b[:len(b)/2]
	}
	return f.File.Write(b)
}
