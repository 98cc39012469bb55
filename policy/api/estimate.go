package api

import (
	"math"
	"math/bits"
)

const (
	defaultOutput = 1024 // tokens, while nothing has been observed
	minObserved   = 10   // answers, before what they have tells anything of the next
	maxModels     = 1024 // whose answers are kept apart
	fade          = 0.95 // what an observation still weighs when the next one comes
	maxCorrection = 16.0 // an estimate that is further off than this is of something else
)

// Estimator turns what requests say into tokens, and learns from what their answers were billed: for each model, how far off
// the estimate of the input is, and how long its answers are. The zero Estimator has learnt nothing.
//
// It has one owner: calls must not overlap. Where an exact counter is at hand, put its count into Request.Input and set
// Request.Exact; so a slow one needs not be called under the owner's lock.
type Estimator struct {
	models map[string]*model
}

// Estimate is what a request is expected to cost, in tokens.
type Estimate struct {
	Input, Output float64
	raw           float64 // of the input, before correction; 0 if it was exact
}

// Total is Input and Output.
func (e Estimate) Total() float64 { return e.Input + e.Output }

// Estimate says what a request will cost: its input, corrected by what the model's answers have told; and as output the most
// that the model may write, or what nine of ten of its answers stay below, or 1,024 tokens.
func (e *Estimator) Estimate(r Request) Estimate {
	m := e.models[r.Model]
	if m == nil {
		m = e.models[""] // of those beyond maxModels
	}
	est := Estimate{Input: r.Input}
	if !r.Exact {
		est.raw = r.Input
		est.Input *= m.correction()
	}
	switch {
	case !r.Outputs:
	case r.MaxOutput > 0:
		est.Output = r.MaxOutput
	default:
		est.Output = m.usualOutput()
	}
	return est
}

// Learn takes what the answer to a request was billed. What the server did not say, or the answer to a request that was not
// estimated here, teaches nothing.
func (e *Estimator) Learn(name string, est Estimate, u Usage) {
	if !u.Known() {
		return
	}
	if e.models == nil {
		e.models = make(map[string]*model)
	}
	m := e.models[name]
	if m == nil {
		if len(e.models) >= maxModels {
			name = ""
		}
		if m = e.models[name]; m == nil {
			m = new(model)
			e.models[name] = m
		}
	}
	if est.raw > 0 && u.Input > 0 {
		m.estimated = m.estimated*fade + est.raw
		m.billed = m.billed*fade + float64(u.Input)
	}
	if u.Output > 0 {
		m.outputs.add(uint64(u.Output))
	}
}

// model is what has been learnt of one model. A nil model is one of which nothing has been.
type model struct {
	estimated, billed float64 // of inputs, the recent ones weighing more
	outputs           histogram
}

// correction is by what an estimate of the input is to be multiplied.
func (m *model) correction() float64 {
	if m == nil || m.estimated <= 0 {
		return 1
	}
	return min(maxCorrection, max(1/maxCorrection, m.billed/m.estimated))
}

// usualOutput is what nine of ten answers stay below.
func (m *model) usualOutput() float64 {
	if m == nil || m.outputs.total < minObserved {
		return defaultOutput
	}
	return m.outputs.quantile(0.9)
}

// histogram counts lengths in steps of a quarter of their power of two, which is exact within a fifth.
type histogram struct {
	counts [4 * 40]uint32 // up to maxUsage, 2⁴⁰
	total  uint32
}

const maxCount = 1000 // then all counts are halved, so that what was long ago fades

func (h *histogram) add(n uint64) {
	h.counts[stepOf(n)]++
	h.total++
	if h.total < maxCount {
		return
	}
	h.total = 0
	for i := range h.counts {
		h.counts[i] /= 2
		h.total += h.counts[i]
	}
}

// quantile is the upper end of the step that the q-th part of all lengths stays within.
func (h *histogram) quantile(q float64) float64 {
	need := uint32(math.Ceil(q * float64(h.total)))
	var sum uint32
	for i, c := range h.counts {
		if sum += c; sum >= need {
			return endOf(i)
		}
	}
	return defaultOutput
}

// stepOf is the step that n, at least 1, falls into: its power of two and its next two bits.
func stepOf(n uint64) int {
	power := bits.Len64(n) - 1
	quarter := n << 2 >> power & 3
	return min(4*power+int(quarter), len(histogram{}.counts)-1)
}

// endOf is the largest length of a step.
func endOf(step int) float64 {
	power, quarter := step/4, step%4
	return math.Ceil(math.Ldexp(1+float64(quarter+1)/4, power)) - 1
}
