package main

import (
	"errors"
	"strconv"
	"strings"

	"github.com/toller-go/toller/policy/api"
)

// price is what tokens cost, in US dollars for a million of them. The zero price is unknown.
type price struct {
	known           bool
	in, cached, out float64
}

var errPrice = errors.New("allowed: in=USD,out=USD[,cached=USD], for a million tokens each, such as in=0.15,out=0.60")

// parsePrice reads the value of -price. What comes from a cache costs as much as other input unless it is said.
func parsePrice(text string) (price, error) {
	named := make(map[string]float64)
	for part := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(part, "=")
		usd, err := strconv.ParseFloat(value, 64)
		if _, twice := named[name]; twice || err != nil || !(usd >= 0 && usd <= 1e6) {
			return price{}, errPrice
		}
		named[name] = usd
	}
	in, hasIn := named["in"]
	out, hasOut := named["out"]
	cached, hasCached := named["cached"]
	if !hasCached {
		cached = in
		delete(named, "cached")
	}
	if !hasIn || !hasOut || len(named) > 3 || len(named) == 3 && !hasCached {
		return price{}, errPrice
	}
	return price{known: true, in: in, out: out, cached: cached}, nil
}

const million = 1e6

// estimated is what a request will cost at most, in dollars, as far as its tokens are known.
func (p price) estimated(e api.Estimate) float64 {
	return (e.Input*max(p.in, p.cached) + e.Output*p.out) / million
}

// billed is what an answer has cost, in dollars.
func (p price) billed(u api.Usage) float64 {
	return (float64(u.Input-u.Cached)*p.in + float64(u.Cached)*p.cached + float64(u.Output)*p.out) / million
}
