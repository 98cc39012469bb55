package oracle

import "time"

// cooldown is the throttling of one key (S-L10).
type cooldown struct {
	until   Time
	wide    time.Duration // over how long those who waited are let go
	hinted  bool          // the server said how long
	episode int
	row     int // episodes without a success since

	scouting bool // a cooldown without a hint has been, and nobody has succeeded since
	scout    int  // the attempt that goes first; 0: none
	scoutAt  Time
	released Time // when it was over with going first
}

const (
	leastCooldown = 100 * time.Millisecond
	mostCooldown  = 30 * time.Second
	peace         = 30 * time.Second
	grace         = time.Second
)

func (c *cooldown) advance(now Time) {
	if c.scout != 0 && now >= c.scoutAt.Add(grace) {
		c.scouting, c.scout, c.released = false, 0, c.scoutAt.Add(grace)
	}
	if now >= c.until.Add(peace) {
		c.row = 0
		if c.scouting && c.scout == 0 {
			c.scouting, c.wide = false, 0
		}
	}
}

// throttle takes a refusal of an attempt that began in the given episode. It returns whether the cooldown became longer.
func (c *cooldown) throttle(now Time, episode int, hint time.Duration, hinted bool) bool {
	c.advance(now)
	left, late := c.left(now), episode != c.episode
	if !late {
		c.episode++
		c.row++
	}
	wait := hint
	if !hinted {
		if late {
			return false // it tells nothing that was not known (S-L10: counts once)
		}
		wait = leastCooldown
		for range min(c.row, 20) - 1 {
			wait = min(2*wait, mostCooldown)
		}
	}
	if !late { // the first refusal of a wave says whether somebody goes first, however long the wait in force
		c.hinted, c.scouting, c.scout = hinted, !hinted, 0
	}
	end := now.Add(wait)
	longer := end > c.until && (!late || wait > 0)
	if longer || !late && end == c.until {
		c.until, c.wide = end, max(wait/10, leastCooldown, left)
		c.scouting, c.scout = !c.hinted, 0
	}
	return longer
}

// left is over how long those who wait already are still to be let go: a tenth of what they waited for, however short the wait
// that comes on top of it.
func (c *cooldown) left(now Time) time.Duration {
	if now < c.until || c.scouting {
		return c.wide
	}
	return max(0, max(c.until, c.released).Add(c.wide).Sub(now))
}

// start looks whether an attempt may start, and notes whether it goes first.
func (c *cooldown) start(now Time, who int) (broken string) {
	c.advance(now)
	switch {
	case now < c.until:
		return "its key is in cooldown until " + c.until.String()
	case !c.scouting:
	case c.scout != 0:
		return "after a cooldown without a hint one goes first, and that one still runs"
	default:
		c.scout, c.scoutAt = who, now
	}
	return ""
}

// end takes the end of an attempt that was not throttled.
func (c *cooldown) end(now Time, episode, who int, success bool) {
	c.advance(now)
	if episode != c.episode {
		return
	}
	if success {
		c.row = 0
	}
	if who == c.scout {
		c.scout = 0
		if success {
			c.scouting, c.released = false, now
		}
	}
}

// quiet reports whether nothing of it can hold anybody back, whatever chance has drawn.
func (c *cooldown) quiet(now Time) bool {
	c.advance(now)
	return c.until == 0 || c.scout == 0 && now >= max(c.until.Add(peace), c.released).Add(c.wide)
}

// fresh reports whether it may be forgotten (S-A9).
func (c *cooldown) fresh(now Time) bool {
	c.advance(now)
	return now >= c.until && c.row == 0
}
