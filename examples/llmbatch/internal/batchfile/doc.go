// Package batchfile is the files of llmbatch: it reads the input, writes the output, and proves that one answers the other.
// It neither talks to the network nor schedules anything.
//
//	sum, err := batchfile.Check("prompts.jsonl", opt) // a first pass: every line is sound, or nothing is sent
//	r, err := batchfile.Open("prompts.jsonl", opt)    // a second pass, one item at a time
//	for {
//		item, err := r.Next() // io.EOF after the last
//		…
//		err = w.Write(batchfile.Record{CustomID: item.ID, Response: &batchfile.Response{…}})
//	}
//	report, err := batchfile.Verify("prompts.jsonl", "results.jsonl", batchfile.Options{})
//
// # Input
//
// One item a line, in one of four forms; the first three may share a file, plain text may not share one with objects:
//
//	{"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {…}}   OpenAI Batch: the body is kept byte for byte
//	{"messages": […], "metadata": {…}}                                               a bare body, kept byte for byte
//	{"prompt": "Why?", "custom_id": "b"}                                             an object that holds a prompt (Options.PromptField)
//	Why?                                                                             plain text
//
// A line without custom_id gets its line number for an id: "line-17". Blank lines are skipped; a byte order mark and CRLF are
// tolerated. A name that ends in ".gz" is gzip, in and out; "-" is standard input or output. A body that asks for a stream is
// refused: answers are read whole.
//
// # Concurrency
//
// A [Reader] and a [Writer] each belong to one goroutine at a time. The functions share no state.
//
// # Errors
//
// A fault of a line is a [*LineError] that wraps one of the sentinels (ErrDuplicateID, ErrURL, …); [Read] and [Check] gather
// the first ten of them in an [*InputError]. An output that exists already is an [*ExistsError], which Is fs.ErrExist. A failure of
// the system (a missing file, a broken gzip stream, a full disk) is passed on, wrapped.
//
// # Cost
//
// [Check], [Reader] and [Verify] keep one line in memory, and 15 to 24 bytes for each line they have seen (BenchmarkCheck and
// BenchmarkVerify measure it); ids are kept as 64-bit hashes with a seed of the process. For five million lines the chance
// that two different ids are taken for the same one is below one in a million, and another run draws another seed.
// [Read] keeps everything.
package batchfile
