package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"golang.org/x/sync/errgroup"
)

// group is what one writes first: a goroutine for each prompt, so many at a time, and no second try. keepGoing makes a line of an
// error; else the first one cancels the rest, as in the documentation of package errgroup.
func group(ctx context.Context, t task, keepGoing bool) error {
	out, err := newSheet(t.out)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: t.transport()}
	defer client.CloseIdleConnections()

	g, groupCtx := errgroup.WithContext(ctx)
	g.SetLimit(inFlight)
	for _, p := range t.prompts {
		g.Go(func() error {
			if groupCtx.Err() != nil { // Go has no way to say that there is no point any more
				return groupCtx.Err()
			}
			body, err := ask(groupCtx, client, t.chat(), p.body)
			switch {
			case err == nil:
				out.answered(p, body)
			case keepGoing:
				out.gaveUp(p, err)
				return nil
			}
			return err
		})
	}
	_ = g.Wait() // the first error: what it leaves behind is what is compared
	if err := out.close(); err != nil {
		return err
	}
	return ctx.Err()
}

// ask posts a prompt and returns the body of the answer, which is a completion.
func ask(ctx context.Context, client *http.Client, url string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %s: %s", response.Status, answer)
	}
	var completion struct {
		Choices []struct{ Message struct{ Content string } }
	}
	if err := json.Unmarshal(answer, &completion); err != nil {
		return nil, err
	}
	if len(completion.Choices) == 0 {
		return nil, fmt.Errorf("no choices: %s", answer)
	}
	return answer, nil
}
