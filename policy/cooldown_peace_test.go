package policy_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/policy"
)

// likeNew reports whether c, advanced to the instant now, would do what a new one does: let everybody go, and wait 100 ms
// after a refusal.
func likeNew(c policy.Cooldown, now policy.Time) bool { // c is a copy
	c.Advance(now)
	if c.ReadyAt() > now || c.Undrawn() || c.IdleAt() > now {
		return false
	}
	first, second := c.Start(now), c.Start(now)
	if c.ReadyAt() > now {
		return false // the first was sent ahead
	}
	c.End(now, second, false)
	c.Throttle(now, first, 0, false)
	return c.Until() == now.Add(100*ms)
}

// requireIdleAt checks that IdleAt is the first moment from which on the cooldown is like new (S-A9).
func requireIdleAt(t *testing.T, c *cooldown, what string) {
	t.Helper()
	c.Advance(c.now)
	switch idle := c.IdleAt(); {
	case idle == policy.Never:
	case idle <= c.now:
		require.True(t, likeNew(c.Cooldown, c.now), "%s: not idle", what)
	default:
		require.True(t, likeNew(c.Cooldown, idle), "%s: not idle at %v", what, idle)
		require.False(t, likeNew(c.Cooldown, idle-1), "%s: idle before %v", what, idle)
	}
}

// S-A9: when the cooldown cannot be told from a new one.
func TestCooldownIdleAt(t *testing.T) {
	const s = time.Second
	c := newCooldown(t)
	v, late := c.start(), c.start()
	c.hint(v, 10*s)
	require.Equal(t, at(40*s), c.IdleAt(), "the row of episodes ends")
	c.to(at(10 * s))
	require.Equal(t, at(40*s), c.IdleAt())
	c.Draw(c.now, 1, 0)
	next := c.start()
	require.Equal(t, at(40*s), c.IdleAt())
	c.succeed(next)
	require.Equal(t, at(11*s), c.IdleAt(), "the release still goes on")
	c.hint(late, 5*s)
	require.Equal(t, at(16*s), c.IdleAt(), "and takes as long after a shorter wait")
	c.to(at(15 * s))
	require.Equal(t, at(16*s), c.IdleAt())
	c.to(at(16 * s))
	require.LessOrEqual(t, c.IdleAt(), c.now)

	c = newCooldown(t)
	c.hint(c.start(), 10*time.Minute)
	require.Equal(t, at(11*time.Minute), c.IdleAt(), "the release takes longer than the row")

	c = newCooldown(t)
	c.refuse(c.start())
	require.Equal(t, at(30*s+100*ms), c.IdleAt())
	c.to(at(100 * ms))
	require.Equal(t, at(30*s+100*ms), c.IdleAt(), "even if nobody goes first")
	scout := c.start()
	require.Equal(t, policy.Never, c.IdleAt(), "it depends on the scout")
	c.fail(scout)
	require.Equal(t, at(30*s+100*ms), c.IdleAt())
}

// S-L10: 30 s without a throttle end a row of episodes, counted from the end of the cooldown and to the nanosecond.
func TestCooldownStreakIsForgotten(t *testing.T) {
	for _, tt := range []struct {
		name string
		hint time.Duration // of the second of two episodes; 0: none
	}{{"hinted", time.Second}, {"long hint", 4 * time.Minute}, {"without a hint", 0}} {
		t.Run(tt.name, func(t *testing.T) {
			for _, early := range []time.Duration{0, 1} {
				c := newCooldown(t)
				c.refuse(c.start())
				c.to(c.Until())
				if tt.hint > 0 {
					c.hint(c.start(), tt.hint)
				} else {
					c.refuse(c.start())
				}
				c.to(c.Until().Add(30*time.Second - early))
				want := 100 * ms
				if early > 0 {
					want = 400 * ms // the third
				}
				if c.Undrawn() {
					c.Draw(c.now, 1, 0)
				}
				c.refuse(c.start())
				require.Equal(t, c.now.Add(want), c.Until(), "%v early", early)
			}
		})
	}
}

// A release of half an hour, and a scout who went late, keep no row alive either.
func TestCooldownStreakIsForgottenMeanwhile(t *testing.T) {
	c := newCooldown(t)
	c.hint(c.start(), 5*time.Hour)
	c.to(at(5*time.Hour + time.Minute))
	c.Draw(c.now, 1, 0)
	c.refuse(c.start())
	require.Equal(t, c.now.Add(100*ms), c.Until())

	c = newCooldown(t)
	c.refuse(c.start())
	c.to(at(30 * time.Second))
	scout := c.start()
	c.to(at(30*time.Second + 100*ms))
	c.refuse(scout)
	require.Equal(t, c.now.Add(100*ms), c.Until())
}

// A scouting phase in which nobody goes ends with the row: then no one need go first.
func TestCooldownScoutingEnds(t *testing.T) {
	c := newCooldown(t)
	c.refuse(c.start())
	c.to(at(30*time.Second + 100*ms - 1))
	copied := *c
	copied.start()
	require.NotZero(t, copied.ReadyAt(), "one goes first")
	c.to(at(30*time.Second + 100*ms))
	for range 10 {
		c.start()
	}
	require.Zero(t, c.ReadyAt())
	require.False(t, c.Undrawn())
}

// S-L10: a late hint may prolong an episode without one, but it does not do away with the scout.
func TestCooldownLateHintKeepsTheScout(t *testing.T) {
	c := newCooldown(t)
	first, late := c.start(), c.start()
	c.refuse(first)
	c.to(at(50 * ms))
	c.hint(late, time.Second)
	require.Equal(t, at(1050*ms), c.Until())
	c.to(at(1050 * ms))
	require.False(t, c.Undrawn(), "nobody is released")
	scout := c.start()
	require.Equal(t, at(2050*ms), c.ReadyAt())
	c.refuse(scout)
	require.Equal(t, c.now.Add(200*ms), c.Until(), "the second episode")
}

// A late hint of nothing changes nothing: neither lets it the others go while the scout runs, nor begins it a release.
func TestCooldownLateHintOfZero(t *testing.T) {
	c := newCooldown(t)
	first, early, late := c.start(), c.start(), c.start()
	c.refuse(first)
	c.hint(early, 0)
	require.Equal(t, at(100*ms), c.ReadyAt())
	c.to(at(100 * ms))
	scout := c.start()
	c.to(at(150 * ms))
	c.hint(late, 0)
	require.Equal(t, at(1100*ms), c.ReadyAt(), "the scout still runs")
	require.False(t, c.Undrawn())
	c.succeed(scout)
	require.True(t, c.Undrawn())
}

// The clock need not have been advanced before an end is told: what was due before it has happened before it.
func TestCooldownTakesEndsOnTime(t *testing.T) {
	c := newCooldown(t)
	c.refuse(c.start())
	c.to(at(100 * ms))
	scout := c.start()
	c.End(at(1100*ms), scout, false) // nobody has called Advance since
	require.True(t, c.Undrawn(), "the second of the scout was over")

	c = newCooldown(t)
	v := c.start()
	c.refuse(v)
	c.to(at(100 * ms))
	v = c.start()
	c.Throttle(at(time.Minute), v, 0, false)
	require.Equal(t, at(time.Minute+100*ms), c.Until(), "the row was over")
}

// One scout at a time: an earlier one, from before a late hint, does not send another after the present one.
func TestCooldownOneScoutAtATime(t *testing.T) {
	c := newCooldown(t)
	first, late := c.start(), c.start()
	c.refuse(first)
	c.to(at(100 * ms))
	early := c.start()
	c.to(at(150 * ms))
	c.hint(late, time.Second)
	c.to(at(1150 * ms))
	c.start() // the scout now
	c.to(at(1200 * ms))
	c.fail(early)
	require.Equal(t, at(2150*ms), c.ReadyAt(), "the scout still runs")
}
