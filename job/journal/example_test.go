package journal_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/toller-go/toller/job/journal"
)

// A batch that can be run again and again until it is done.
func Example() {
	dir, _ := os.MkdirTemp("", "journal")
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "run.journal")
	prompts := []string{"one", "two", "three"}

	run := func(send func(string) error) error {
		j, err := journal.Open(path, journal.Options{})
		if err != nil {
			return err
		}
		defer j.Close()
		for i, prompt := range prompts {
			hash := journal.Hash([]byte(prompt))
			switch s := j.Status(i); {
			case s.Changed(hash):
				return fmt.Errorf("prompt %d is not what it was", i)
			case s.State == journal.Done:
				continue
			case s.State == journal.InFlight:
				fmt.Println(prompt, "may have been billed already")
			}
			if err := j.Start(i, hash, nil); err != nil {
				return err // it was not sent
			}
			if err := send(prompt); err != nil {
				return err // as in a crash, nothing is recorded of it
			}
			if err := j.Done(i, nil); err != nil {
				return err
			}
			fmt.Println(prompt, "is answered")
		}
		return nil
	}

	fmt.Println(run(func(prompt string) error {
		if prompt == "two" {
			return errors.New("the power is gone")
		}
		return nil
	}))
	fmt.Println(run(func(string) error { return nil }))
	prompts[1] = "deux"
	fmt.Println(run(func(string) error { return nil }))
	// Output:
	// one is answered
	// the power is gone
	// two may have been billed already
	// two is answered
	// three is answered
	// <nil>
	// prompt 1 is not what it was
}

// What the caller needs to know again, it puts into the records.
func ExampleOptions_replay() {
	dir, _ := os.MkdirTemp("", "journal")
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "run.journal")

	j, _ := journal.Open(path, journal.Options{})
	for item, cents := range []int{3, 4, 5} {
		_ = j.Start(item, 0, nil)
		_ = j.Done(item, fmt.Appendf(nil, `{"cents":%d}`, cents))
	}
	_ = j.Close()

	spent := 0
	j, err := journal.Open(path, journal.Options{Replay: func(r journal.Record) error {
		if r.Kind != journal.KindDone {
			return nil
		}
		var cost struct{ Cents int }
		err := json.Unmarshal(r.Data, &cost)
		spent += cost.Cents
		return err
	}})
	fmt.Println(spent, err)
	_ = j.Close()
	// Output: 12 <nil>
}

func ExampleJournal_Append() {
	dir, _ := os.MkdirTemp("", "journal")
	defer func() { _ = os.RemoveAll(dir) }()
	j, _ := journal.Open(filepath.Join(dir, "run.journal"), journal.Options{})
	defer j.Close()

	_ = j.Start(0, 0, nil)
	// The connection broke after the request had gone out. It will be tried again, but may have been billed.
	_ = j.Append(journal.Entry{Kind: journal.KindRetry, Item: 0, Ambiguous: true})
	fmt.Printf("%+v\n", j.Status(0))
	fmt.Printf("%+v\n", j.Counts())
	// Output:
	// {State:pending Hash:0 Starts:1 Ambiguous:1}
	// {Pending:1 InFlight:0 Done:0 Failed:0 Starts:1 Ambiguous:1}
}

func ExampleJournal_Compact() {
	dir, _ := os.MkdirTemp("", "journal")
	defer func() { _ = os.RemoveAll(dir) }()
	j, _ := journal.Open(filepath.Join(dir, "run.journal"), journal.Options{})
	defer j.Close()
	for item := range 100 {
		_ = j.Start(item, 0, nil)
		_ = j.Done(item, nil)
	}
	if records, _ := j.Size(); records > 2*j.Counts().Done {
		fmt.Println("before:", records)
		fmt.Println(j.Compact())
	}
	records, _ := j.Size()
	fmt.Println("after:", records)
	// Output:
	// before: 201
	// <nil>
	// after: 101
}

func ExampleScan() {
	const text = `{"k":"journal","v":1,"d":{"input":"f00d"},"c":"997050e4"}
{"k":"start","i":17,"n":1,"h":"000000000000001f","c":"fd05dfd8"}
{"k":"done","i":17,"n":1,"h":"000000000000001f","d":{"cost":3},"c":"cb28e755"}
{"k":"start","i":18,"n":1,"h":"00000`
	report, err := journal.Scan(strings.NewReader(text), func(r journal.Record) error {
		if r.Kind == journal.KindHeader {
			return nil
		}
		fmt.Printf("%v of %d, now %v; %q\n", r.Kind, r.Item, r.Status.State, r.Data)
		return nil
	})
	fmt.Println(report.Records, "records, torn:", report.Torn, "bytes", err)
	// Output:
	// start of 17, now in flight; ""
	// done of 17, now done; "{\"cost\":3}"
	// 3 records, torn: 36 bytes <nil>
}
