package sdk

import (
	"net/http"

	goopenai "github.com/sashabaranov/go-openai"
)

// NewGoOpenAI returns a client of sashabaranov/go-openai that sends through a client of yours: whose Transport should be a
// transport.Transport. It has no retries of its own.
func NewGoOpenAI(baseURL, key string, client *http.Client) *goopenai.Client {
	cfg := goopenai.DefaultConfig(key)
	cfg.BaseURL = baseURL
	cfg.HTTPClient = client // this is all that changes
	return goopenai.NewClientWithConfig(cfg)
}

// NewAzure is NewGoOpenAI for Azure, whose models are deployments.
func NewAzure(endpoint, key string, client *http.Client) *goopenai.Client {
	cfg := goopenai.DefaultAzureConfig(key, endpoint)
	cfg.HTTPClient = client // this is all that changes
	return goopenai.NewClientWithConfig(cfg)
}
