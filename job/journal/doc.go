// Package journal is a durable record of how far each of many items has come, so that a program that ends in the midst of them, however
// it ends, goes on where it was.
//
// Items are numbered from 0, such as by the lines of an input. Begin nothing that is not recorded, and show nothing that is not
// recorded:
//
//	j, err := journal.Open("run.journal", journal.Options{Meta: fingerprint})
//	…
//	defer j.Close()
//	for i, line := range lines {
//		hash := journal.Hash(line)
//		switch s := j.Status(i); {
//		case s.Changed(hash):          // refuse, or j.Reset(i) and run it anew
//		case s.State == journal.Done:  // has its result; never send it again
//		case s.State == journal.InFlight:
//			// it was cut off, and may have taken effect: send it again, or j.Fail(i, nil)
//		}
//		if err := j.Start(i, hash, nil); err != nil {
//			return err // it was not sent
//		}
//		answer, err := send(line)
//		…
//		if err := j.Done(i, nil); err != nil {
//			return err
//		}
//		show(answer)
//	}
//
// A record may carry data of the caller's, any JSON value, such as what an attempt has cost. Options.Replay gets it back.
//
// # What it survives
//
// The end of the process, at any moment and by any means, loses nothing that a call has returned for. A power cut, or a crash of the
// system, loses nothing that was forced to the disk, which [Sync] decides: with [Always] that is the same, with [Interval] it is what
// is older than that. A write that a crash has cut off leaves a torn tail, which Open cuts off; so do blocks that have not got to the
// disk and read as zeros. A record that was changed later, be it one bit, is an error that names the line: the journal does not
// guess. A full disk is an error of the call that it fails, and of all later ones: no record is missing between two that are there.
//
// [Journal.Compact] drops what later records have overtaken, [Journal.Renumber] does so where the input has been rearranged, and a crash
// in the midst of either is none the worse.
//
// # The file
//
// It is a line of JSON for each record, with a CRC-32C at its end, and can be read with any tool that knows JSON. Each record has all
// that is known of its item, so that the last one counts and the others could be missing:
//
//	{"k":"journal","v":1,"d":{"input":"f00d"},"c":"997050e4"}
//	{"k":"start","i":17,"n":1,"h":"000000000000001f","c":"fd05dfd8"}
//	{"k":"done","i":17,"n":1,"h":"000000000000001f","d":{"cost":3},"c":"cb28e755"}
//
// k is the kind, i the item, n how often it was begun, u (if not 0) how many of these attempts were ambiguous, h the hash of its input,
// d the caller's data. A header comes first, with the version of the format, v. [Scan] reads a journal, also one in use.
//
// # Concurrency
//
// All methods may be called from any goroutine. A record is written with one write, under a lock; fsync runs outside it, so that with
// Always the callers that come meanwhile share the next fsync. Interval has a timer, and no goroutine while nothing is to be forced.
// Compact and Renumber hold up the others. A journal has one owner, whatever symbolic links it is called by: while it is open, a file of its name
// and ".lock" is locked, and a second Open fails with [ErrLocked], in this process or another. The lock goes with its process, except
// on systems without flock (Windows, Plan 9, Solaris): there it must be removed by hand after a crash, as the error says. Whoever
// deletes that file while it is locked opens the door to a second owner.
//
// # Errors
//
// All of them can be matched, by the variables of this package. An argument that makes no sense is a [*FieldError], anything else an
// [*Error], which says which file, line and item, and what to do. [ErrDone] and [ErrChanged] refuse one entry. [ErrUnwritable] stays:
// nothing more can be recorded, so nothing more should be begun. An fsync that failed is never tried again, since the second would
// succeed without having written what the first has lost.
//
// # Cost
//
// An item takes 14 bytes of memory, be there room up to the highest number: items should be numbered without large gaps. Five million
// are 70 MB, and 76 MB resident. A record is about 70 bytes on the disk and data, two for an item that is done at once. To record
// an item costs little more than two writes, and allocates nothing; with Always, an fsync for each record, or a share in one.
//
// Open reads the whole file, some two million records a second. bbolt, which has its pages in order, resumes several times faster, and
// records several times slower, save where many callers share an fsync or a transaction: there it is about even. These compare:
//
//	TOLLER_JOURNAL_LARGE=1 go test -run '^$' -bench . ./job/journal
//	go run ./bench/journal
package journal
