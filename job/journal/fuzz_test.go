package journal_test

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/job/journal"
)

// seal makes a line of text, with a checksum that is right.
func seal(text string) []byte {
	sum := crc32.Checksum([]byte(text), crc32.MakeTable(crc32.Castagnoli))
	return fmt.Appendf(nil, "%s,\"c\":\"%08x\"}\n", text, sum)
}

// Whatever the reader accepts can be written again, byte for byte; what Open makes of any file, it opens again to the same effect.
// With sealed set, each line is given a right checksum, so that the fuzzer gets behind it.
func FuzzRead(f *testing.F) {
	data, ends := sample(f)
	f.Add(data, false)
	f.Add(data[:len(data)-5], false)
	begin := 0
	var texts []byte
	for _, end := range ends {
		texts = append(texts, data[begin:end-len(`,"c":"00000000"}`)-1]...)
		texts = append(texts, '\n')
		begin = end
	}
	f.Add(texts, true)
	f.Fuzz(func(t *testing.T, data []byte, sealed bool) {
		if sealed {
			var lines []byte
			for line := range bytes.SplitSeq(bytes.TrimSuffix(data, []byte("\n")), []byte("\n")) {
				lines = append(lines, seal(string(line))...)
			}
			data = lines
		}
		var again []byte
		report, err := journal.Scan(bytes.NewReader(data), func(r journal.Record) error {
			again = append(again, journal.Encode(r)...)
			return nil
		})
		require.Equal(t, string(data[:report.Bytes]), string(again))
		if err == nil {
			require.Equal(t, int64(len(data)), report.Bytes+report.Torn)
		}
		for _, repair := range []bool{false, true} {
			reopen(t, put(data), journal.Options{Repair: repair}, err)
		}
	})
}

// reopen opens a journal, compacts it, and opens it again.
func reopen(t *testing.T, d *disk, opts journal.Options, scanned error) {
	before := bytes.Clone(d.names[at].data)
	j, err := journal.Open(at, opts.On(d))
	if err != nil {
		require.Error(t, scanned, "Open refuses what Scan accepts")
		require.Equal(t, before, d.names[at].data)
		return
	}
	want, counts, meta := statuses(j), j.Counts(), j.Meta()
	require.NoError(t, j.Compact())
	require.NoError(t, j.Close())
	j = open(t, at, journal.Options{}.On(d))
	require.Equal(t, want, statuses(j))
	require.Equal(t, counts, j.Counts())
	require.Equal(t, meta, j.Meta())
	require.Zero(t, j.Report().Torn)
	require.NoError(t, j.Close())
}
