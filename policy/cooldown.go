package policy

import (
	"math"
	"time"
)

const (
	minCooldown = 100 * time.Millisecond // of an episode without a hint, and least width of a release
	maxCooldown = 30 * time.Second       // of an episode without a hint
	scoutGrace  = time.Second            // how long a scout may run unthrottled before the others follow
	streakLasts = 30 * time.Second       // without a throttle, after which the next is the first again
)

// cooling is where a key stands after its server has said "too much".
type cooling uint8

const (
	coolIdle      cooling = iota // attempts pass
	coolWaiting                  // nothing passes before until
	coolScouting                 // one attempt goes first and tells the others
	coolReleasing                // attempts pass one by one, spread by chance
)

// Visit is what an attempt carries from [Cooldown.Start] to its end: the throttle episode in which it began, and whether
// it went ahead of the others.
type Visit struct {
	episode uint32
	scout   uint32 // number of the scout; 0: it is none
}

// Cooldown is the running state of one key's throttling (S-L10).
//
// A server's hint sets the moment before which no attempt of the key starts; a shorter hint never shortens it. Without a
// hint the key waits by itself, 100 ms doubled for each episode in a row and at most 30 s (a success, or 30 s of peace, ends
// the row); then one attempt goes first,
// and the others follow its success, or after a second if it still runs unthrottled. An episode is one wave of refusals:
// those of attempts which had begun before the key knew of it count once.
//
// Those who waited are not let go all at once but spread over a tenth of the wait, at least 100 ms; of several waits, one upon the
// other, over a tenth of the longest. The gaps between them
// are drawn one at a time, such that they are distributed like the instants of n jobs that each chose one at random
// (order statistics of the uniform distribution); no job needs a timer of its own.
//
// A Cooldown has one owner, which tells it the time and the random number.
type Cooldown struct {
	phase   cooling
	until   Time          // waiting: when it ends
	width   time.Duration // over how long those who waited are spread afterwards
	hinted  bool          // the wait in force is the server's word
	episode uint32        // number of the present episode; 4 billion of them outlive every attempt
	streak  int           // episodes in a row without a success since
	release Time          // releasing: when the next may go
	planned bool          // releasing: release has been drawn
	last    Time          // releasing: when it ends
	scoutAt Time          // scouting: when the scout started
	scouts  bool          // scouting: the scout is in flight
	scout   uint32        // number of the latest scout

	from  Time          // start of the latest cooldown
	spent time.Duration // in cooldowns before from
}

// IdleAt returns, as of the last Advance, from when on the cooldown cannot be told from a new one, save for the numbers of
// its episodes; [Never] while that depends on the attempt that goes first.
func (c *Cooldown) IdleAt() Time {
	switch {
	case c.phase == coolScouting && c.scouts:
		return Never
	case c.phase == coolReleasing:
		return c.notBeforePeace(c.last)
	case c.phase == coolWaiting && c.hinted:
		return c.notBeforePeace(c.until.Add(c.width))
	case c.phase != coolIdle || c.streak > 0:
		return c.peaceAt()
	default:
		return 0
	}
}

// notBeforePeace is at, or later if the row of episodes has no end before.
func (c *Cooldown) notBeforePeace(at Time) Time {
	if c.streak > 0 {
		at = max(at, c.peaceAt())
	}
	return at
}

// Idle reports, as of the last Advance, whether attempts pass, and will unless one is throttled.
func (c *Cooldown) Idle() bool { return c.phase == coolIdle }

// Until returns when the key's cooldown ends or ended.
func (c *Cooldown) Until() Time { return c.until }

// Spent returns how long the key has been in cooldown, in all, up to the instant at.
func (c *Cooldown) Spent(at Time) time.Duration { return c.spent + min(at, c.until).Sub(c.from) }

// Throttle takes the end of an attempt that was refused for sending too much. hinted says whether the server named a
// wait.
func (c *Cooldown) Throttle(now Time, v Visit, hint time.Duration, hinted bool) {
	c.Advance(now)
	late := v.episode != c.episode // it had begun before the key knew
	if !late {
		c.episode++
		c.streak++
	}
	wait := hint
	if !hinted {
		if late {
			return
		}
		wait = ownBackoff(c.streak)
	}
	if !late {
		c.hinted = hinted // a wave is one episode, and its first refusal says whether somebody must go first
	}
	if end := now.Add(wait); end > c.until && (!late || wait > 0) || !late && end == c.until {
		c.cool(now, end, wait)
	}
}

// ownBackoff is the wait of the n-th episode in a row that came without a hint.
func ownBackoff(n int) time.Duration {
	if n > 16 { // far beyond the cap, and a shift that cannot overflow
		return maxCooldown
	}
	return min(minCooldown<<(n-1), maxCooldown)
}

func (c *Cooldown) cool(now, end Time, wait time.Duration) {
	if now > c.until {
		c.spent += c.until.Sub(c.from)
		c.from = now
	}
	c.width = max(wait/10, minCooldown, c.unreleased(now))
	c.phase, c.until = coolWaiting, end
	c.scouts, c.planned = false, false
	c.scout++ // who went first before this says nothing about what comes after it
}

// unreleased is over how long those who wait already would still be spread: a short wait that comes on top of a long one lets them
// go no faster.
func (c *Cooldown) unreleased(now Time) time.Duration {
	switch c.phase {
	case coolWaiting, coolScouting:
		return c.width
	case coolReleasing:
		return c.last.Sub(now)
	default:
		return 0
	}
}

// Advance makes the transitions that are due.
func (c *Cooldown) Advance(now Time) {
	if c.phase != coolIdle || c.streak > 0 { // or nothing can be due
		c.advance(now)
	}
}

func (c *Cooldown) advance(now Time) {
	if c.phase == coolWaiting && now >= c.until {
		if c.hinted {
			c.releaseFrom(c.until)
		} else {
			c.phase = coolScouting
		}
	}
	if c.phase == coolScouting && c.scouts && now >= c.scoutAt.Add(scoutGrace) {
		c.releaseFrom(c.scoutAt.Add(scoutGrace))
	}
	if c.phase == coolReleasing && now >= c.last {
		c.phase = coolIdle
	}
	if c.phase == coolScouting && !c.scouts && now >= c.peaceAt() {
		c.phase = coolIdle
	}
	if c.streak > 0 && now >= c.peaceAt() {
		c.streak = 0
	}
}

// peaceAt is when so long has passed without a throttle that the key is taken to be at peace.
func (c *Cooldown) peaceAt() Time { return c.until.Add(streakLasts) }

func (c *Cooldown) releaseFrom(at Time) {
	c.phase, c.last, c.planned = coolReleasing, at.Add(c.width), false
}

// Undrawn reports whether the moment of the next release is still to be drawn, see Draw.
func (c *Cooldown) Undrawn() bool { return c.phase == coolReleasing && !c.planned }

// Draw sets the moment of the next release, the first of n that wait; u is a random number from [0, 1).
func (c *Cooldown) Draw(now Time, n int, u float64) {
	left := float64(c.last.Sub(now))
	gap := left * (1 - math.Pow(1-u, 1/float64(max(n, 1))))
	c.release, c.planned = now.Add(saturate(gap)), true
}

// ReadyAt returns when the next attempt of the key may start, as of the last Advance and Draw: an instant that has passed
// when it may now.
func (c *Cooldown) ReadyAt() Time {
	switch {
	case c.phase == coolWaiting:
		return c.until
	case c.phase == coolScouting && c.scouts:
		return c.scoutAt.Add(scoutGrace)
	case c.phase == coolReleasing && c.planned:
		return c.release
	default:
		return 0
	}
}

// Start lets one attempt go.
func (c *Cooldown) Start(now Time) Visit {
	v := Visit{episode: c.episode}
	switch c.phase {
	case coolScouting:
		c.scout++
		v.scout, c.scouts, c.scoutAt = c.scout, true, now
	case coolReleasing:
		c.planned = false
	case coolIdle, coolWaiting:
	}
	return v
}

// End takes the end of an attempt that was not throttled; answered says that it was a success.
func (c *Cooldown) End(now Time, v Visit, answered bool) {
	c.Advance(now)
	if v.episode != c.episode {
		return // it began before the present episode and knows nothing of it
	}
	if answered {
		c.streak = 0
	}
	if v.scout != 0 && c.phase == coolScouting && v.scout == c.scout { // and not one of before a late hint
		c.scouts = false // another goes first, unless:
		if answered {
			c.releaseFrom(now)
		}
	}
}
