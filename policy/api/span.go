package api

import (
	"math"
	"time"

	"github.com/toller-go/toller/policy"
)

// spans are what limits are usually granted over.
var spans = []time.Duration{time.Second, 10 * time.Second, time.Minute, time.Hour, 24 * time.Hour}

// Rate returns how fast the limit is replenished, if what is said is enough to tell: Max over Span; or, where it fills little
// by little, what is missing over the time that it takes to fill, (Max - Remaining) / Reset. Both are rounded, so the less is
// missing, the less it tells. What it comes to is believed if it is known within a fifth and there is but one usual span that it
// can mean, a minute say, which it then means exactly; or if it is known within a twentieth. [Gauge] learns more from several.
func (o Observation) Rate() (_ policy.Rate, ok bool) {
	if o.Span > 0 && o.Max >= 1 {
		return policy.Per(o.Max, o.Span), true
	}
	s, ok := o.estimate()
	if !ok {
		return policy.Rate{}, false
	}
	return s.rate()
}

// spanned is what is known of the span over which a limit is granted, in nanoseconds.
type spanned struct {
	max         float64 // of the limit
	least, most float64 // of the span; most may be infinite
	likely      float64 // most, if what is left were exact
}

// estimate is what one observation says of the span. What is left is a whole number as a rule, and then there can be nearly one
// more, so that nearly one less is missing than it seems.
func (o Observation) estimate() (spanned, bool) {
	missing := o.Max - o.Remaining
	if o.Max < 1 || o.Window || o.Remaining == Unknown || missing <= 0 || o.Reset <= 0 {
		return spanned{}, false
	}
	fewest := missing
	if o.Remaining == math.Trunc(o.Remaining) {
		fewest = max(0, missing-1)
	}
	s := spanned{
		max: o.Max, least: o.Max / missing * float64(o.Reset-o.step), likely: o.Max / missing * float64(o.Reset+o.step),
		most: o.Max / fewest * float64(o.Reset+o.step),
	}
	return s, s.least > 0 && s.likely <= float64(MaxWait)
}

// narrow is what two observations of a limit say together. If they contradict each other, or the limit is another, the later
// is believed.
func (s spanned) narrow(later spanned) spanned {
	least, most := max(s.least, later.least), min(s.most, later.most)
	if s.max != later.max || least > 1.01*most {
		return later
	}
	return spanned{max: s.max, least: least, most: max(least, most), likely: max(least, min(most, later.likely))}
}

// rate is what the span comes to, if that is clear.
func (s spanned) rate() (_ policy.Rate, ok bool) {
	if usual, ok := s.usual(s.likely); ok {
		return policy.Per(s.max, usual), true
	}
	if usual, ok := s.usual(s.most); ok {
		return policy.Per(s.max, usual), true
	}
	if s.most <= 1.1*s.least {
		// The longest that it can be: a rate that is a little too high is refused all the time.
		return policy.Per(s.max, time.Duration(s.most)), true
	}
	return policy.Rate{}, false
}

// usual returns the one usual span between least and most, if these are near to each other.
func (s spanned) usual(most float64) (found time.Duration, ok bool) {
	if most > 1.5*s.least {
		return 0, false
	}
	for _, span := range spans {
		if float64(span) >= 0.99*s.least && float64(span) <= 1.01*most { // Groq's figures are off by more than their digits say
			if found != 0 {
				return 0, false
			}
			found = span
		}
	}
	return found, found != 0
}

// admits reports whether a span of the limit can be what a rate says.
func (s spanned) admits(rate policy.Rate) bool {
	if rate.IsZero() {
		return true
	}
	took := s.max / rate.Over(time.Hour) * float64(time.Hour)
	return took >= 0.98*s.least && took <= 1.02*s.most
}
