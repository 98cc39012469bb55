package sdk

import (
	"net/http"

	"github.com/anthropics/anthropic-sdk-go/v2"
	"github.com/anthropics/anthropic-sdk-go/v2/option"
)

// NewAnthropic returns a client of anthropic-sdk-go that sends through a client of yours, once each: whose Transport should
// be a transport.Transport. Its base URL has no /v1.
func NewAnthropic(baseURL, key string, client *http.Client) anthropic.Client {
	return anthropic.NewClient(
		option.WithBaseURL(baseURL), option.WithAPIKey(key),
		option.WithHTTPClient(client), option.WithMaxRetries(0), // these two are all that changes
	)
}
