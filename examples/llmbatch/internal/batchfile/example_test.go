package batchfile_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/toller-go/toller/examples/llmbatch/internal/batchfile"
)

func Example() {
	dir, err := os.MkdirTemp("", "batchfile")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary directory, whatever happens
	in, out := filepath.Join(dir, "prompts.jsonl"), filepath.Join(dir, "results.jsonl")
	if err := os.WriteFile(in, []byte("{\"question\": \"Why?\"}\n{\"question\": \"How?\"}\n"), 0o600); err != nil {
		panic(err)
	}

	items, err := batchfile.Read(in, batchfile.Options{PromptField: "question", Model: "gpt-4o-mini"})
	if err != nil {
		panic(err)
	}
	w, err := batchfile.Create(out)
	if err != nil {
		panic(err)
	}
	for _, item := range items {
		fmt.Println(item.ID, string(item.Body))
		answer := &batchfile.Response{StatusCode: 200, RequestID: "req_1", Body: []byte(`{"choices": []}`)}
		if err := w.Write(batchfile.Record{CustomID: item.ID, Response: answer}); err != nil {
			panic(err)
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}

	report, err := batchfile.Verify(in, out, batchfile.Options{})
	fmt.Println(report.OK(), report.Succeeded, err)
	// Output:
	// line-1 {"model":"gpt-4o-mini","messages":[{"role":"user","content":"Why?"}]}
	// line-2 {"model":"gpt-4o-mini","messages":[{"role":"user","content":"How?"}]}
	// true 2 <nil>
}
