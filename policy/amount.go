package policy

import (
	"fmt"
	"math"
	"strconv"
)

// tokenUnit is how many units of Amount make one token: costs and rates are kept to a millionth, so that sums of
// fractions are exact and don't drift (S-L8).
const tokenUnit = 1_000_000

// maxTokens is the largest rate, burst or cost, in tokens: a full bucket and the debt of one such cost fit into an Amount
// with room to spare.
const maxTokens = 1e12

// Amount is a number of tokens, in millionths. It is exact: sums and differences carry no rounding error.
type Amount int64

// AmountOf converts a cost to an Amount, rounding to the nearest millionth; a cost which is not zero never becomes free. It
// refuses what is negative, not a number, infinite, or above 10¹² tokens; field names the cost in the error, which is a
// [*FieldError].
func AmountOf(field string, tokens float64) (Amount, error) {
	if !(tokens >= 0 && tokens <= maxTokens) { // also catches NaN
		return 0, &FieldError{Field: field, Value: tokens, Allowed: fmt.Sprintf("a number of tokens from 0 to %g", float64(maxTokens))}
	}
	return amountOf(tokens), nil
}

// amountOf is AmountOf for a value that Validate has accepted. Bursts and costs must round alike, or a cost equal to the
// burst would exceed it.
func amountOf(tokens float64) Amount {
	if tokens == 0 {
		return 0
	}
	return max(1, Amount(math.Round(tokens*tokenUnit)))
}

// Tokens returns a as a plain number of tokens.
func (a Amount) Tokens() float64 { return float64(a) / tokenUnit }

// String formats a as a number of tokens, such as "2.5".
func (a Amount) String() string { return strconv.FormatFloat(a.Tokens(), 'f', -1, 64) }
