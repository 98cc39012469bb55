package sdk

import (
	"net/http"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

// NewOpenAI returns a client of openai-go that sends through a client of yours, once each: whose Transport should be a
// transport.Transport.
func NewOpenAI(baseURL, key string, client *http.Client) openai.Client {
	return openai.NewClient(
		option.WithBaseURL(baseURL), option.WithAPIKey(key),
		option.WithHTTPClient(client), option.WithMaxRetries(0), // these two are all that changes
	)
}
