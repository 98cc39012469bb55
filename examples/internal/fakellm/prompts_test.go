package fakellm

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"testing"
)

// The prompts that the demo ships: each line is a request this API takes, and no two are the same.
func TestShippedPrompts(t *testing.T) {
	file, err := os.Open("../../llmbatch/prompts.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	ids, prompts := map[string]bool{}, map[string]bool{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var line struct {
			CustomID string `json:"custom_id"`
			Method   string `json:"method"`
			URL      string `json:"url"`
			Body     json.RawMessage
		}
		strict := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		strict.DisallowUnknownFields()
		if err := strict.Decode(&line); err != nil {
			t.Fatalf("%s: %v", lines.Bytes(), err)
		}
		r, err := parse(line.Body, "")
		if err != nil || line.Method != http.MethodPost || line.URL != "/v1/chat/completions" || r.allowance() < 20 || r.prompt() == "" {
			t.Errorf("%s: %v", line.CustomID, err)
		}
		if ids[line.CustomID] || prompts[r.prompt()] {
			t.Errorf("%s is not the first of its kind", line.CustomID)
		}
		ids[line.CustomID], prompts[r.prompt()] = true, true
	}
	if len(prompts) < 240 {
		t.Errorf("%d prompts", len(prompts))
	}
}
