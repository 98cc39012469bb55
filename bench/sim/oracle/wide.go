package oracle

import "math/bits"

// wide is a signed integer of 128 bits. It holds millionths of tokens over an hour in nanoseconds, which a second and a minute
// divide: so levels stay exact when rates change.
type wide struct {
	hi, lo uint64 // two's complement
}

const denominator = 3_600_000_000_000

func wideOf(m Micro) wide {
	if m < 0 {
		return wide{}.sub(wideOf(-m))
	}
	return product(uint64(m), denominator)
}

func product(a, b uint64) wide {
	hi, lo := bits.Mul64(a, b)
	return wide{hi, lo}
}

func (w wide) add(v wide) wide {
	lo, carry := bits.Add64(w.lo, v.lo, 0)
	hi, _ := bits.Add64(w.hi, v.hi, carry)
	return wide{hi, lo}
}

func (w wide) sub(v wide) wide {
	lo, borrow := bits.Sub64(w.lo, v.lo, 0)
	hi, _ := bits.Sub64(w.hi, v.hi, borrow)
	return wide{hi, lo}
}

func (w wide) less(v wide) bool {
	if w.hi != v.hi {
		return int64(w.hi) < int64(v.hi)
	}
	return w.lo < v.lo
}

func (w wide) min(v wide) wide {
	if v.less(w) {
		return v
	}
	return w
}

func (w wide) max(v wide) wide {
	if w.less(v) {
		return v
	}
	return w
}

// floor returns the whole millionths.
func (w wide) floor() Micro {
	if int64(w.hi) >= 0 {
		whole, _ := bits.Div64(w.hi, w.lo, denominator)
		return Micro(whole)
	}
	positive := wide{}.sub(w)
	whole, rest := bits.Div64(positive.hi, positive.lo, denominator)
	if rest > 0 {
		whole++
	}
	return -Micro(whole)
}

// over returns w divided by n, rounded up. w is positive, and less than 2⁶⁴ times n.
func (w wide) over(n uint64) uint64 {
	whole, rest := bits.Div64(w.hi, w.lo, n)
	if rest > 0 {
		whole++
	}
	return whole
}
