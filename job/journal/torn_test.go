package journal_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/job/journal"
)

// sample returns the contents of a journal with records of each kind, and where each line ends.
func sample(t testing.TB) (data []byte, ends []int) {
	d := newDisk()
	j := open(t, at, journal.Options{Meta: json.RawMessage(`{"input":"f00d"}`), Sync: journal.Off}.On(d))
	for item := range 4 {
		require.NoError(t, j.Start(item, uint64(item+1), json.RawMessage(fmt.Sprintf(`{"id":"item %d"}`, item))))
	}
	require.NoError(t, j.Done(2, json.RawMessage(`[1,2,3]`)))
	require.NoError(t, j.Retry(0, nil))
	require.NoError(t, j.Fail(1, json.RawMessage(`"é"`)))
	require.NoError(t, j.SetMeta(json.RawMessage(`2`)))
	require.NoError(t, j.Reset(1))
	require.NoError(t, j.Start(0, 0, nil))
	require.NoError(t, j.Close())
	data = d.names[at].data
	for i, b := range data {
		if b == '\n' {
			ends = append(ends, i+1)
		}
	}
	return data, ends
}

// put makes a disk that has data as the journal.
func put(data []byte) *disk {
	d := newDisk()
	d.names[at] = &node{data: bytes.Clone(data), synced: bytes.Clone(data)}
	d.durable[at] = d.names[at]
	return d
}

// whole returns how many of the lines end within the first cut bytes, and where the last of them does.
func whole(ends []int, cut int) (lines, end int) {
	for _, e := range ends {
		if e <= cut {
			lines, end = lines+1, e
		}
	}
	return lines, end
}

// recovered opens what is left of data and checks that it is its first lines, then appends, reopens, and checks again.
func recovered(t *testing.T, name string, d *disk, data []byte, ends []int, cut int) {
	t.Helper()
	lines, end := whole(ends, cut)
	found := len(d.names[at].data)
	j := open(t, at, journal.Options{}.On(d))
	if lines == 0 {
		require.True(t, j.Report().Created, name)
	} else {
		require.Equal(t, journal.Report{Records: lines, Bytes: int64(end), Torn: int64(found - end)}, j.Report(), name)
		require.Equal(t, data[:end], d.names[at].data, name)
	}
	want := statuses(j)
	require.NoError(t, j.Start(9, 9, nil), name)
	want[9] = journal.Status{State: journal.InFlight, Hash: 9, Starts: 1}
	require.NoError(t, j.Close(), name)

	j = open(t, at, journal.Options{}.On(d))
	require.Equal(t, journal.Report{Records: max(lines, 1) + 1, Bytes: int64(len(d.names[at].data))}, j.Report(), name)
	require.Equal(t, want, statuses(j), name)
	require.NoError(t, j.Close(), name)
}

func TestTornAtEveryByte(t *testing.T) {
	data, ends := sample(t)
	for cut := range len(data) + 1 {
		recovered(t, fmt.Sprintf("cut at byte %d", cut), put(data[:cut]), data, ends, cut)
	}
}

// A power cut can leave the length of a file, and zeros where its contents had not got to the disk: at its end, or before a
// block that did get there.
func TestZerosAtEveryByte(t *testing.T) {
	data, ends := sample(t)
	for cut := range len(data) + 1 {
		for _, zeros := range []int{1, 5000} {
			torn := append(bytes.Clone(data[:cut]), make([]byte, zeros)...)
			recovered(t, fmt.Sprintf("%d zeros from byte %d", zeros, cut), put(torn), data, ends, cut)
		}
		_, end := whole(ends, cut)
		next := bytes.IndexByte(data[end:], '\n') + end + 1
		if end == 0 || next-cut < 3 {
			continue // of the header, it is told from another file by its beginning
		}
		hole := bytes.Clone(data[:next]) // the line's end is there, and its middle is not
		clear(hole[cut : next-2])
		recovered(t, fmt.Sprintf("zeros from byte %d to the line's end", cut), put(hole), data, ends, end)
	}
}

// Whatever byte of a whole journal is changed, it is an error that says where, and the file stays as it is; or, with Repair,
// the rest survives.
func TestDamageAtEveryByte(t *testing.T) {
	data, ends := sample(t)
	for i := range data {
		bad := bytes.Clone(data)
		bad[i] ^= 1 << (i % 7) // the newlines, too: two lines become one
		if i == len(data)-1 {
			continue // a last line without its newline is a torn one
		}
		before, begin := whole(ends, i)
		d := put(bad)
		_, err := journal.Open(at, journal.Options{}.On(d))
		var e *journal.Error
		require.ErrorAs(t, err, &e, "byte %d", i)
		require.Equal(t, bad, d.names[at].data, "byte %d: the file must be left alone", i)
		if before == 0 {
			require.True(t, errors.Is(err, journal.ErrDamaged) || errors.Is(err, journal.ErrNotJournal), "byte %d: %v", i, err)
			continue
		}
		require.ErrorIs(t, err, journal.ErrDamaged, "byte %d", i)
		require.Equal(t, before+1, e.Line, "byte %d: %v", i, err)
		require.Equal(t, int64(begin), e.Offset, "byte %d: %v", i, err)
		require.Equal(t, at, e.Path)

		j := open(t, at, journal.Options{Repair: true}.On(d))
		damaged := 1
		if bad[i] == '\n' { // one line became two
			damaged = 2
		}
		require.Equal(t, damaged, j.Report().Damaged, "byte %d", i)
		require.NoError(t, j.Close())
		require.Equal(t, bad, d.names[at+".damaged"].data, "byte %d: the damaged file is kept", i)
		report, err := journal.Scan(bytes.NewReader(d.names[at].data), func(journal.Record) error { return nil })
		require.NoError(t, err, "byte %d", i)
		lost := 1
		if data[i] == '\n' {
			lost = 2
		}
		metas := 1 // the record of new metadata goes into the header
		if before == 8 || before == 7 && lost == 2 {
			metas = 0
		}
		require.Equal(t, len(ends)-lost-metas, report.Records, "byte %d", i)
	}
}

func TestRepairTakesTheRecordBefore(t *testing.T) {
	data, _ := sample(t)
	lines := bytes.SplitAfter(data, []byte("\n"))
	lines[5][20] = 'X' // item 2 is done
	d := put(bytes.Join(lines, nil))
	d.names[at].data = append(d.names[at].data, "torn"...)
	_, err := journal.Open(at, journal.Options{}.On(d))
	assert.EqualError(t, err, fmt.Sprintf("journal %s, line 6 at byte %d: damaged: its checksum is wrong; restore the file from a "+
		"copy, or take the line out, and what it records is forgotten", at, len(bytes.Join(lines[:5], nil))))

	j := open(t, at, journal.Options{Repair: true}.On(d))
	assert.Equal(t, journal.InFlight, j.Status(2).State)
	assert.Equal(t, int64(4), j.Report().Torn)
	assert.Equal(t, "2", string(j.Meta()))
	require.NoError(t, j.Done(2, nil))
	require.NoError(t, j.Close())
	j = open(t, at, journal.Options{Repair: true}.On(d))
	assert.Equal(t, journal.Done, j.Status(2).State)
	assert.Zero(t, j.Report().Damaged)
	require.NoError(t, j.Close())
}

func TestOnDiskForReal(t *testing.T) {
	data, ends := sample(t)
	path := filepath.Join(t.TempDir(), "run.journal")
	lines := bytes.SplitAfter(data, []byte("\n"))
	lines[3][20] = 'X'
	require.NoError(t, os.WriteFile(path, append(bytes.Join(lines, nil), "torn"...), 0o600))
	j := open(t, path, journal.Options{Repair: true})
	assert.Equal(t, 1, j.Report().Damaged)
	require.NoError(t, j.Compact())
	require.NoError(t, j.Start(9, 0, nil))
	require.NoError(t, j.Close())
	j = open(t, path, journal.Options{})
	assert.Equal(t, map[int]journal.Status{
		0: {State: journal.InFlight, Hash: 1, Starts: 2},
		2: {State: journal.Done, Hash: 3, Starts: 1},
		3: {State: journal.InFlight, Hash: 4, Starts: 1},
		9: {State: journal.InFlight, Starts: 1},
	}, statuses(j))
	assert.Equal(t, 5, j.Report().Records)
	require.NoError(t, j.Close())
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	assert.Equal(t, []string{"run.journal", "run.journal.damaged"}, names)
	assert.Len(t, ends, len(lines)-1)
}

// A path that was mixed up must not cost the file that is there.
func TestNotAJournal(t *testing.T) {
	record := string(journal.Encode(journal.Record{Kind: journal.KindStart, Item: 1}))
	header := string(journal.Encode(journal.Record{Kind: journal.KindHeader}))
	for _, c := range []struct {
		name, data string
		want       error
		line       int
	}{
		{"text", "hello", journal.ErrNotJournal, 1},
		{"prompts", "{\"custom_id\":\"a\"}\n{\"custom_id\":\"b\"}\n", journal.ErrNotJournal, 1},
		{"an empty line", "\n", journal.ErrNotJournal, 1},
		{"zeros and more", "\x00\x00gzip", journal.ErrNotJournal, 1},
		{"a line of zeros", "\x00\x00\n", journal.ErrNotJournal, 1},
		{"many zeros and more", strings.Repeat("\x00", journal.MaxData+1000) + "x", journal.ErrNotJournal, 1},
		{"a damaged header", "{\"k\":\"journal\",\"v\":2,\"c\":\"00000000\"}\n", journal.ErrDamaged, 1},
		{"a damaged header and a record", "{\"k\":\"journal\",\"v\":2,\"c\":\"00000000\"}\n" + record, journal.ErrDamaged, 1},
		{"no header", record, journal.ErrDamaged, 1},
		{"two headers", header + record + header, journal.ErrDamaged, 3},
		{"a line that is too long", header + strings.Repeat("x", journal.MaxData+1000) + "\n", journal.ErrDamaged, 2},
	} {
		for _, repair := range []bool{false, true} {
			if repair && (c.line == 2 || len(c.data) > journal.MaxData) {
				continue
			}
			d := put([]byte(c.data))
			_, err := journal.Open(at, journal.Options{Repair: repair}.On(d))
			assert.ErrorIs(t, err, c.want, c.name)
			var e *journal.Error
			if assert.ErrorAs(t, err, &e, c.name) {
				assert.Equal(t, c.line, e.Line, c.name)
			}
			if c.data != string(d.names[at].data) { // some are too long to be compared by reflection
				t.Errorf("%s: it is not left as it was", c.name)
			}
		}
	}
}

// What has a right checksum and is not understood was written by a later version: it is neither damage nor a torn tail.
func TestLaterVersion(t *testing.T) {
	header := journal.Encode(journal.Record{Kind: journal.KindHeader})
	for _, line := range []string{
		`{"k":"journal","v":2`, `{"k":"later","i":1`, `{"k":"start","i":1,"n":1,"x":2`, `{"k":"start","i":01,"n":1`, `{"k":"start","i":1`,
		`{"k":"start","i":1073741824,"n":1`, `{"k":"start","i":1,"n":65536`, `{"k":"start","i":1,"n":1,"u":0`, `{"k":"start","i":,"n":1`,
		`{"k":"start","i":1,"n":1,"h":"0000000000000000"`, `{"k":"start","i":1,"n":1,"h":"000000000000000G"`, `{"k":"start","i":1,"n":1,"h":"01"`,
		`{"k":"start","i":1,"n":1,"d":`, `{"k":"start","i":1,"n":1,"d":{`, `{"k":"reset","i":1,"n":1`, `{"k":"start`, `{"k":"meta","i":1`, ``,
	} {
		for _, first := range []bool{false, true} {
			data := seal(line)
			if !first {
				data = append(bytes.Clone(header), data...)
			}
			d := put(data)
			_, err := journal.Open(at, journal.Options{Repair: true}.On(d))
			assert.ErrorIs(t, err, journal.ErrVersion, line)
			assert.Equal(t, data, d.names[at].data)
		}
	}
}
