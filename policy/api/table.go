package api

import (
	"net/http"
	"slices"
	"strings"
)

// What the codes and types of errors say, matched as a whole.
var (
	moneyCodes = []string{
		"insufficient_quota", "credit_balance_exhausted", "organization_spend_limit_exceeded", "project_spend_limit_exceeded",
		"organization_usage_limit_exceeded", "billing_hard_limit_reached", "billing_not_active", "enforced_spend_limit_reached",
	}
	sizeCodes   = []string{"context_length_exceeded", "string_above_max_length"}
	filterCodes = []string{"content_filter", "content_policy_violation"}
	// throttleCodes are those of an error inside a 200, where there is no status to go by. Numbers are OpenRouter's.
	throttleCodes = []string{"rate_limit_exceeded", "rate_limit_error", "overloaded_error", "slow_down", "429", "529"}
)

// statusOverloaded is Anthropic's: the server has too much to do, whoever sent it.
const statusOverloaded = 529

// classify is the table for answers that are not 2xx. The order matters: money is money, whatever the status.
func classify(status int, shape Shape, f fault) Class {
	word := f.word()
	switch {
	case f.inFlightBudget():
		return Throttled
	case slices.Contains(moneyCodes, word) || f.spent(status):
		return OutOfMoney
	case status == http.StatusPaymentRequired:
		return aboutKey(shape, OutOfMoney)
	case status == http.StatusRequestEntityTooLarge || status/100 == 4 && slices.Contains(sizeCodes, word):
		return NeverFits
	case status == http.StatusTooManyRequests:
		if f.exceedsLimit() {
			return NeverFits
		}
		return Throttled
	case status == statusOverloaded, status == http.StatusServiceUnavailable && word == "slow_down":
		return Throttled
	case status == http.StatusForbidden && f.flagged:
		return Filtered
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return aboutKey(shape, BadKey)
	case status == http.StatusRequestTimeout, status == http.StatusConflict, status == http.StatusTooEarly:
		return Conflict
	case status >= 500:
		return Server
	case slices.Contains(filterCodes, word):
		return Filtered
	default:
		return BadRequest
	}
}

// aboutKey is c, which is about the whole key, or what it means where the key is none of an LLM API.
func aboutKey(shape Shape, c Class) Class {
	if shape == Any {
		return BadRequest
	}
	return c
}

// classifyInside is the table for an error inside a 2xx.
func classifyInside(f fault) Class {
	switch word := f.name(); {
	case f.inFlightBudget(), slices.Contains(throttleCodes, word):
		return Throttled
	case slices.Contains(moneyCodes, word), word == "402":
		return OutOfMoney
	case slices.Contains(filterCodes, word):
		return Filtered
	default:
		return BadAnswer
	}
}

// billedFor says whether an answer that is not 2xx was paid for. One that was refused at the door was not. Azure charges for a
// prompt that it has filtered or found too long, since it has read it.
func billedFor(status int, c Class) Billed {
	switch c {
	case Throttled, OutOfMoney, BadKey, BadRequest:
		return BilledNo
	case NeverFits:
		if status != http.StatusBadRequest {
			return BilledNo
		}
	default:
	}
	return BilledMaybe
}

// spent reports whether the account has used up what it may have: Anthropic says so with a type that it uses for every bad
// request, so that the text has to tell; Gemini by a quota that counts days.
func (f *fault) spent(status int) bool {
	switch status {
	case http.StatusBadRequest:
		return f.kind == "invalid_request_error" && (strings.Contains(f.message, "reached your specified API usage limits") ||
			strings.Contains(f.message, "reached your specified workspace API usage limits") ||
			strings.HasPrefix(f.message, "Your credit balance is too low"))
	case http.StatusTooManyRequests:
		return f.perDay
	default:
		return false
	}
}

// exceedsLimit reports whether the request alone asks for more than the limit ever has: "Limit 30000, Requested 40000". Only
// where the code says that it is about a rate limit.
func (f *fault) exceedsLimit() bool {
	if f.code != "rate_limit_exceeded" && f.kind != "tokens" && f.kind != "requests" {
		return false
	}
	limit, ok := numberAfter(f.message, "Limit")
	requested, known := numberAfter(f.message, "Requested")
	return ok && known && requested > limit
}
