package scheduler

// generator is SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014): eight
// bytes of state, good enough for jitter, and the same on every machine.
type generator struct {
	state uint64
}

func (g *generator) next() uint64 {
	g.state += 0x9e3779b97f4a7c15
	z := g.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// unit returns a number from [0, 1), with the 53 bits that a float64 holds.
func (g *generator) unit() float64 { return float64(g.next()>>11) / (1 << 53) }
