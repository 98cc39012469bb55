package api

// maxUsage is more tokens than any answer has: what claims more is not believed.
const maxUsage = 1_000_000_000_000

// Usage is what an answer was billed, in tokens. What the server does not say is zero.
type Usage struct {
	Input  int64 // all of it, what came from a cache included
	Cached int64 // the part of Input that came from a cache
	Output int64 // reasoning included
}

// Known reports whether the server has said anything. An answer without tokens has none that could be believed.
func (u Usage) Known() bool { return u.Input > 0 || u.Output > 0 }

// Total is Input and Output.
func (u Usage) Total() int64 { return u.Input + u.Output }

// Max is the larger of each. The events of a stream tell the same figures again, or as far as they have come.
func (u Usage) Max(v Usage) Usage {
	return Usage{Input: max(u.Input, v.Input), Cached: max(u.Cached, v.Cached), Output: max(u.Output, v.Output)}
}

// usageBody is the member usage, in the words of all dialects.
type usageBody struct{ Usage }

// UnmarshalJSON never fails: what is odd, negative or beyond belief is as good as missing.
func (u *usageBody) UnmarshalJSON(data []byte) error {
	var b struct {
		Prompt     count `json:"prompt_tokens"` // chat completions, embeddings
		Completion count `json:"completion_tokens"`
		Total      count `json:"total_tokens"`
		Details    struct {
			Cached count `json:"cached_tokens"`
		} `json:"prompt_tokens_details"`

		Input        count `json:"input_tokens"` // responses, messages
		Output       count `json:"output_tokens"`
		InputDetails struct {
			Cached count `json:"cached_tokens"`
		} `json:"input_tokens_details"`
		CacheRead    count `json:"cache_read_input_tokens"` // messages, beside input_tokens
		CacheCreated count `json:"cache_creation_input_tokens"`

		GeminiPrompt    count `json:"promptTokenCount"`
		GeminiCached    count `json:"cachedContentTokenCount"`
		GeminiCandidate count `json:"candidatesTokenCount"`
		GeminiThoughts  count `json:"thoughtsTokenCount"`
	}
	if !readsObject(data, &b) {
		return nil
	}
	for _, n := range []count{
		b.Prompt, b.Completion, b.Input, b.Output, b.CacheRead, b.CacheCreated, b.GeminiPrompt, b.GeminiCandidate, b.GeminiThoughts,
	} {
		if n < 0 {
			return nil // one that is out of its mind is not believed in the rest
		}
	}
	// What is said twice, be it in two dialects, counts once: the larger. What came from a cache is a part of prompt_tokens, even
	// where it is told in the words of messages, in which it is beside input_tokens.
	u.Usage = Usage{
		Input:  int64(max(b.Prompt, b.Input+b.CacheRead+b.CacheCreated, b.GeminiPrompt)),
		Cached: int64(max(0, b.Details.Cached, b.InputDetails.Cached, b.CacheRead, b.GeminiCached)),
		Output: int64(max(b.Completion, b.Output, b.GeminiCandidate+b.GeminiThoughts)),
	}
	if u.Input > 0 { // some count what the model has thought in the total alone
		u.Output = max(u.Output, int64(b.Total)-u.Input)
	}
	u.Cached = min(u.Cached, u.Input)
	return nil
}

func (b *goodBody) usage() Usage { return b.Usage.Usage.Max(b.UsageMetadata.Usage) }

// count is a number of tokens; -1 for what is none.
type count int64

// UnmarshalJSON never fails.
func (c *count) UnmarshalJSON(data []byte) error {
	var n float64
	if !decodes(data, &n) || !(n >= 0 && n < maxUsage) {
		*c = -1
		return nil
	}
	*c = count(n)
	return nil
}
