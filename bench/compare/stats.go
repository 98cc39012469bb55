package main

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// spread is what several measurements of the same thing have found.
type spread struct {
	median, least, most float64
}

// spreadOf summarises at least one value. The median of an even number is the mean of the two in the middle.
func spreadOf(values []float64) spread {
	sorted := slices.Sorted(slices.Values(values))
	half := len(sorted) / 2
	median := sorted[half]
	if len(sorted)%2 == 0 {
		median = (sorted[half-1] + sorted[half]) / 2
	}
	return spread{median: median, least: sorted[0], most: sorted[len(sorted)-1]}
}

// String is the median and, if there is more than one value, the least and the greatest.
func (s spread) String() string {
	if s.least == s.most {
		return number(s.median)
	}
	return number(s.median) + " (" + number(s.least) + "…" + number(s.most) + ")"
}

// length writes a duration with a space before its unit.
func length(d time.Duration) string {
	text := d.String()
	at := strings.LastIndexAny(text, "0123456789") + 1
	return text[:at] + " " + text[at:]
}

// number writes a value with two digits behind the point if it is small, and commas if it is large. Whole numbers are left whole.
func number(value float64) string {
	magnitude := math.Abs(value)
	digits := 0
	switch {
	case magnitude == math.Trunc(magnitude): // as it is
	case magnitude < 0.0995:
		digits = 3
	case magnitude < 9.995:
		digits = 2
	case magnitude < 99.95:
		digits = 1
	}
	text := strconv.FormatFloat(magnitude, 'f', digits, 64)
	whole, fraction, _ := strings.Cut(text, ".")
	for at := len(whole) - 3; at > 0; at -= 3 {
		whole = whole[:at] + "," + whole[at:]
	}
	if fraction != "" {
		whole += "." + fraction
	}
	if value < 0 {
		whole = "−" + whole
	}
	return whole
}
