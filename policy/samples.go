package policy

import "time"

// samples counts recent outcomes, for ratios. It forgets by number or by age.
//
// By number it remembers each of the last n. By age it keeps sums in ten slices, so what is forgotten is between nine
// tenths and all of the window old.
type samples struct {
	ring   []sample // by number: the last len(ring), oldest at next
	next   int
	slice  time.Duration // by age: length of a slice; 0: by number
	sums   []tally
	first  int64 // by age: number of the slice that sums[first%sampleSlices] holds; older ones are forgotten
	latest int64 // by age: number of the slice that was added to last
	total  tally
}

const sampleSlices = 10

// sample is one outcome.
type sample struct {
	counted, failed, slow bool
}

// tally is a number of outcomes.
type tally struct {
	all, failed, slow int
}

func (t *tally) add(s sample, by int) {
	if !s.counted {
		return
	}
	t.all += by
	if s.failed {
		t.failed += by
	}
	if s.slow {
		t.slow += by
	}
}

func (t *tally) sub(u tally) {
	t.all -= u.all
	t.failed -= u.failed
	t.slow -= u.slow
}

// newSamples returns an empty memory of the last n outcomes, or of those in the last span when that is set.
func newSamples(n int, span time.Duration) samples {
	if span > 0 {
		return samples{slice: max(1, span/sampleSlices), sums: make([]tally, sampleSlices)}
	}
	return samples{ring: make([]sample, n)}
}

// add remembers one outcome.
func (m *samples) add(now Time, s sample) {
	s.counted = true
	if m.slice == 0 {
		if len(m.ring) > 0 {
			m.total.add(m.ring[m.next], -1)
			m.ring[m.next] = s
			m.total.add(s, 1)
			m.next = (m.next + 1) % len(m.ring)
		}
		return
	}
	m.forget(now)
	m.latest = m.number(now)
	m.sums[m.latest%sampleSlices].add(s, 1)
	m.total.add(s, 1)
}

// recent returns the sums of what is remembered.
func (m *samples) recent(now Time) tally {
	if m.slice > 0 {
		m.forget(now)
	}
	return m.total
}

// emptyAt returns when everything will be forgotten, if nothing is added: now if it is, [Never] if it is remembered by
// number.
func (m *samples) emptyAt(now Time) Time {
	switch {
	case m.recent(now).all == 0:
		return now
	case m.slice == 0:
		return Never
	default:
		return Time(m.latest+sampleSlices) * Time(m.slice)
	}
}

func (m *samples) number(now Time) int64 { return int64(now) / int64(m.slice) }

// forget drops the slices that have left the window.
func (m *samples) forget(now Time) {
	oldest := m.number(now) - sampleSlices + 1
	for n := m.first; n < min(oldest, m.first+sampleSlices); n++ {
		m.total.sub(m.sums[n%sampleSlices])
		m.sums[n%sampleSlices] = tally{}
	}
	m.first = max(m.first, oldest)
}

// clear forgets everything.
func (m *samples) clear() {
	clear(m.ring)
	clear(m.sums)
	m.next, m.first, m.total = 0, 0, tally{}
}
