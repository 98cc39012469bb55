package scheduler

import (
	"slices"
	"time"

	"github.com/toller-go/toller/policy"
)

// Shared is a limit that several cores use (S-L11). Whoever owns the cores sees to it that calls of Shared and of cores that
// use it never overlap: by a lock, held from before a turn's first Step until after its Effects.
//
// Cores whose first job has to wait stand in line, in the order in which these jobs came to the front, and nobody behind takes
// so much that one of them would start later. So a large cost in one core is not starved by small ones in another.
type Shared struct {
	rule   policy.Limit
	bucket policy.Bucket
	line   []waiter
	turned []*Core // away: those that found too little
	woken  []*Core // those of them that should look again
}

// SharedUse is the use of a shared limit by one core.
type SharedUse struct {
	Limit *Shared
	Ahead time.Duration // by which the limit's clock is ahead of the core's
}

// waiter is a core in line.
type waiter struct {
	core *Core
	cost policy.Amount // of its first job
	at   policy.Time   // when that can start if nobody takes anything, by the bucket's clock; Never if no time can tell
}

// NewShared returns the running state of a limit, which must be valid and not per key. Its clock stands at zero.
func NewShared(rule policy.Limit) *Shared {
	return &Shared{rule: rule, bucket: policy.NewBucket(rule, 0)}
}

// Rule returns the limit as it is by now.
func (p *Shared) Rule() policy.Limit { return p.rule }

// SetRate changes the rate at an instant of the limit's own clock. Each core that uses it has to be stepped a Revise.
func (p *Shared) SetRate(now policy.Time, rate policy.Rate) {
	p.rule = p.rule.WithRate(rate)
	p.bucket.SetRate(now, rate)
	if p.rule.Burst == 0 {
		p.bucket.SetBurst(now, p.rule.Capacity()) // it follows the rate
	}
	p.changed(nil)
}

// SetBurst changes the burst, in tokens, like SetRate.
func (p *Shared) SetBurst(now policy.Time, burst float64) {
	p.rule.Burst = burst
	p.bucket.SetBurst(now, p.rule.Capacity())
	p.changed(nil)
}

// Observe takes the server's word for how much is left, at an instant of the limit's own clock.
func (p *Shared) Observe(now policy.Time, remaining policy.Amount) { p.bucket.Observe(now, remaining) }

// Level returns what the bucket holds at an instant of its own clock.
func (p *Shared) Level(now policy.Time) policy.Amount {
	p.bucket.Advance(now)
	return p.bucket.Level()
}

// Woken returns the cores that have found too little before and should look again: the owner steps each of them a Tick. It
// forgets them.
func (p *Shared) Woken() []*Core {
	woken := p.woken
	p.woken = nil
	return woken
}

// changed says that there may be enough now for cores that have found too little, save for one, or nil, that has just looked.
func (p *Shared) changed(save *Core) {
	if p == nil {
		return
	}
	left := p.turned[:0]
	for _, c := range p.turned {
		if c == save {
			left = append(left, c)
		} else {
			p.woken = append(p.woken, c)
		}
	}
	p.turned = left
}

// returned notes that c looks again.
func (p *Shared) returned(c *Core) {
	if i := slices.Index(p.turned, c); i >= 0 {
		p.turned = slices.Delete(p.turned, i, i+1)
	}
}

// refused notes that c has found too little.
func (p *Shared) refused(c *Core) {
	if p != nil && !slices.Contains(p.turned, c) {
		p.turned = append(p.turned, c)
	}
}

// blocks returns what the first of the other cores in line needs that would have to wait longer if c took cost for e now, an instant
// of the bucket's clock; zero if none would. The job for which c itself stands in line, or had to leave it, goes before those behind
// its place; c's other jobs are behind all.
func (p *Shared) blocks(c *Core, e *Entry, cost policy.Amount, now policy.Time) policy.Amount {
	if p == nil {
		return 0
	}
	for _, w := range p.line {
		if w.core == c || e == c.claimed && c.ticket < w.core.ticket {
			continue
		}
		if w.at != policy.Never && !p.bucket.Allows(cost, w.cost, max(w.at, now)) {
			return w.cost
		}
	}
	return 0
}

// stand puts w into the line, at the place that its core's ticket says, or changes what the core waits for.
func (p *Shared) stand(w waiter) {
	for i := range p.line {
		if p.line[i].core == w.core {
			later := w.at > p.line[i].at
			p.line[i] = w
			if later {
				p.changed(w.core) // others may pass until then
			}
			return
		}
	}
	i := 0
	for i < len(p.line) && p.line[i].core.ticket < w.core.ticket {
		i++
	}
	p.line = slices.Insert(p.line, i, w)
}

// leave takes c out of the line.
func (p *Shared) leave(c *Core) {
	for i := range p.line {
		if p.line[i].core == c {
			p.line = slices.Delete(p.line, i, i+1)
			p.changed(c)
			return
		}
	}
}

// linePatience is how long a core whose workers are all busy stays in line for a job that could start otherwise.
const linePatience = 10 * time.Second

// queueUp puts the core into the lines of those shared limits that its first waiting job needs, and out of the others. A job
// that has just become the first is behind all that wait elsewhere, and keeps that place until it starts or another is first.
func (c *Core) queueUp() {
	if len(c.pools) == 0 {
		return
	}
	first := c.queuing.entry
	switch {
	case first == nil && c.claimed != nil && c.inFlight >= c.workers && !c.paused && c.now < c.claimedAt.Add(linePatience):
		// Nobody has looked at it, for want of a worker. It stays: others could starve it while its like come and go. But not
		// for long, since its worker may never be free.
		c.line = min(c.line, c.claimedAt.Add(linePatience))
		return
	case first == nil:
		c.leaveLines() // until it is looked at again
		return
	case first != c.claimed:
		c.leaveLines()
		c.claimed, c.ticket = first, c.newTicket()
	}
	c.claimedAt = c.queuing.at
	for i, b := range c.limits.buckets {
		if cost := c.limits.costs(first)[i]; b.pool != nil && cost > 0 {
			b.pool.stand(waiter{core: c, cost: cost, at: b.instant(c.claimedAt)})
		}
	}
}

// needsShared reports whether e costs something of a shared limit.
func (c *Core) needsShared(e *Entry) bool {
	if len(c.pools) == 0 {
		return false
	}
	for i, b := range c.limits.buckets {
		if b.pool != nil && c.limits.costs(e)[i] > 0 {
			return true
		}
	}
	return false
}

// forgoClaim forgets e's place in the lines: it has started, or is over.
func (c *Core) forgoClaim(e *Entry) {
	if e == c.claimed {
		c.claimed = nil
		c.leaveLines()
	}
}

func (c *Core) leaveLines() {
	for _, pool := range c.pools {
		pool.leave(c)
	}
}
