package policy

// peak is a level that the bucket reached before something was taken.
type peak struct {
	at    Time
	level Amount
	part  uint64 // of one Amount, as in Bucket
}

// below reports whether p is a lower level than q.
func (p peak) below(q peak) bool { return p.level < q.level || p.level == q.level && p.part < q.part }

// maxPeaks bounds what a bucket remembers for GiveBack. When there are twice as many, some become one, on the safe side.
const maxPeaks = 64

// GiveBack undoes a Take, made at the instant taken, whose attempt never started: afterwards the bucket holds what it
// would hold had nothing been taken (S-L1). That can be less than cost: what came in while there was room for it only
// because of the Take would have been lost at a full bucket.
//
// After a correction or a change of the limit in between that cannot be told any more, and nothing is given back. The window
// of a sliding limit can tell: it forgets the charge in any case. Where a bucket that fills has been emptied at more than 64
// instants without a pause, somewhat less may be given back of what was taken at most of them: a few hundredths of the burst at most.
func (b *Bucket) GiveBack(cost Amount, taken Time) {
	if b.open || cost == 0 || taken < b.since {
		return
	}
	if b.window != nil {
		b.window.correct(b.last, -cost, taken)
	}
	if taken <= b.void {
		return
	}
	if b.amount == 0 {
		b.level = min(b.level+cost, b.burst) // nothing has come in, so nothing was lost for want of room
		return
	}
	first := 0
	for first < len(b.peaks) && b.peaks[first].at <= taken {
		first++
	}
	high := peak{level: b.level, part: b.part}
	if first < len(b.peaks) {
		top := b.peaks[first] // the others are lower
		if high.below(top) {
			high = top
		}
		for i := first; i < len(b.peaks); i++ {
			b.lift(&b.peaks[i].level, &b.peaks[i].part, cost, top)
		}
		for first > 0 && !b.peaks[first].below(b.peaks[first-1]) {
			b.peaks = append(b.peaks[:first-1], b.peaks[first:]...)
			first--
		}
	}
	b.lift(&b.level, &b.part, cost, high)
}

// remember notes what it takes to give cost back: the charge in the window, and how high the level stands. Lower levels of
// before say nothing that this one does not, and nor does this one if it is lower than another of the same instant.
func (b *Bucket) remember(cost Amount) {
	if b.window != nil {
		b.window.charge(b.last, cost)
	}
	p := peak{at: b.last, level: b.level, part: b.part}
	n := len(b.peaks)
	for n > 0 && !p.below(b.peaks[n-1]) {
		n--
	}
	b.peaks = b.peaks[:n]
	if n > 0 && b.peaks[n-1].at == p.at {
		return
	}
	b.peaks = append(b.peaks, p)
	if len(b.peaks) == 2*maxPeaks {
		b.mergePeaks()
	}
}

// mergePeaks leaves at most maxPeaks. Neighbours become one, as high as the oldest of them and as late as the youngest, where they
// are about as high: by less than one part in maxPeaks of what all of them span.
func (b *Bucket) mergePeaks() {
	last := len(b.peaks) - 1
	step := (b.peaks[0].level-b.peaks[last].level)/(maxPeaks-1) + 1
	kept := 0
	for _, p := range b.peaks[1:] {
		if b.peaks[kept].level-p.level < step {
			b.peaks[kept].at = p.at
			continue
		}
		kept++
		b.peaks[kept] = p
	}
	b.peaks = b.peaks[:kept+1]
}

// lift raises a level by cost, or by as much as there was room for above high.
func (b *Bucket) lift(level *Amount, part *uint64, cost Amount, high peak) {
	room := b.burst - high.level
	if cost < room {
		*level += cost
		return
	}
	*level += room
	if *part < high.part {
		*part += b.span
		*level--
	}
	*part -= high.part
}

// forgetTakes makes GiveBack give nothing for what has been taken until now: what the bucket would hold without it can't be
// told any more, and too little does no harm.
func (b *Bucket) forgetTakes() { b.void, b.peaks = b.last, b.peaks[:0] }
