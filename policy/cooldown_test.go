package policy_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/policy"
)

const ms = time.Millisecond

// cooldown is a cooldown under test, with the clock that drives it.
type cooldown struct {
	policy.Cooldown
	t   *testing.T
	now policy.Time
}

func newCooldown(t *testing.T) *cooldown { t.Helper(); return &cooldown{t: t} }

func (c *cooldown) to(now policy.Time) {
	c.now = now
	c.Advance(now)
}

// start lets an attempt go, which must be ready.
func (c *cooldown) start() policy.Visit {
	c.t.Helper()
	require.LessOrEqual(c.t, c.ReadyAt(), c.now, "not ready")
	return c.Start(c.now)
}

func (c *cooldown) hint(v policy.Visit, d time.Duration) { c.Throttle(c.now, v, d, true) }

func (c *cooldown) refuse(v policy.Visit) { c.Throttle(c.now, v, 0, false) }

func (c *cooldown) succeed(v policy.Visit) { c.End(c.now, v, true) }

func (c *cooldown) fail(v policy.Visit) { c.End(c.now, v, false) }

// release lets n go that wait, as a dispatcher does, and returns the instants at which they went.
func (c *cooldown) release(n int, u func() float64) (went []policy.Time) {
	c.t.Helper()
	for ; n > 0; n-- {
		if c.Undrawn() {
			c.Draw(c.now, n, u())
			require.False(c.t, c.Undrawn())
		}
		c.to(max(c.now, c.ReadyAt()))
		c.start()
		went = append(went, c.now)
	}
	return went
}

func TestCooldownZeroValueIsIdle(t *testing.T) {
	c := newCooldown(t)
	for _, now := range []time.Duration{0, 1, time.Hour} {
		c.to(at(now))
		require.Zero(t, c.ReadyAt())
		require.False(t, c.Undrawn())
		require.Zero(t, c.Until())
		require.Zero(t, c.Spent(c.now))
		require.LessOrEqual(t, c.IdleAt(), c.now)
		c.succeed(c.start())
		c.fail(c.start())
	}
}

// S-L10: nothing starts before the moment that the server named, to the nanosecond.
func TestCooldownHint(t *testing.T) {
	c := newCooldown(t)
	c.to(at(time.Second))
	c.hint(c.start(), 10*time.Second)
	require.Equal(t, at(11*time.Second), c.Until())
	require.Equal(t, at(11*time.Second), c.ReadyAt())
	c.to(at(11*time.Second) - 1)
	require.Equal(t, at(11*time.Second), c.ReadyAt())
	require.False(t, c.Undrawn())
	c.to(at(11 * time.Second))
	require.True(t, c.Undrawn())
	c.Draw(c.now, 1, 0)
	require.Equal(t, at(11*time.Second), c.ReadyAt())
}

// S-L10: max(current, now+after). A shorter hint never shortens, whoever brings it.
func TestCooldownNeverShortens(t *testing.T) {
	c := newCooldown(t)
	var visits []policy.Visit
	for range 10 {
		visits = append(visits, c.start())
	}
	c.hint(visits[0], 10*time.Second)
	for i, tt := range []struct {
		now, hint, want time.Duration
	}{
		{1 * time.Second, 5 * time.Second, 10 * time.Second},
		{1 * time.Second, 0, 10 * time.Second},
		{1 * time.Second, 9 * time.Second, 10 * time.Second},
		{1 * time.Second, 9*time.Second + 1, 10*time.Second + 1},
		{2 * time.Second, 20 * time.Second, 22 * time.Second},
		{3 * time.Second, 1 * time.Second, 22 * time.Second},
	} {
		c.to(at(tt.now))
		c.hint(visits[i+1], tt.hint)
		require.Equal(t, at(tt.want), c.Until(), "row %d", i)
		require.Equal(t, at(tt.want), c.ReadyAt(), "row %d", i)
	}
	c.refuse(visits[7])
	c.succeed(visits[8])
	c.fail(visits[9])
	require.Equal(t, at(22*time.Second), c.ReadyAt(), "those who began before know nothing of it")
}

// S-L10: a hint that comes late, when the others are already let go, stops them again.
func TestCooldownLateHintStopsTheRelease(t *testing.T) {
	c := newCooldown(t)
	first, second := c.start(), c.start()
	c.hint(first, time.Second)
	c.to(at(time.Second))
	c.Draw(c.now, 5, 0)
	c.start()
	c.hint(second, 3*time.Second)
	require.Equal(t, at(4*time.Second), c.ReadyAt())
	require.False(t, c.Undrawn())
	c.to(at(4 * time.Second))
	require.True(t, c.Undrawn())
}

// S-L10: without a hint, 100 ms doubled for each episode in a row up to 30 s; a success begins anew.
func TestCooldownOwnBackoff(t *testing.T) {
	c := newCooldown(t)
	for range 3 {
		want := 100 * ms
		for episode := range 200 {
			v := c.start()
			c.refuse(v)
			require.Equal(t, c.now.Add(want), c.Until(), "episode %d", episode)
			require.Equal(t, c.Until(), c.ReadyAt())
			want = min(2*want, 30*time.Second)
			c.to(c.Until())
		}
		c.succeed(c.start())
		for c.Undrawn() { // the release that the scout's success began
			c.to(c.now + at(time.Second))
		}
	}
}

// S-L10: what is neither a refusal nor a success leaves the backoff where it is.
func TestCooldownFailureDoesNotResetTheBackoff(t *testing.T) {
	c := newCooldown(t)
	c.refuse(c.start())
	c.to(c.Until())
	c.fail(c.start())
	c.refuse(c.start())
	require.Equal(t, c.now.Add(200*ms), c.Until())
}

// S-L10: hinted episodes are episodes in a row, too.
func TestCooldownHintedEpisodesCount(t *testing.T) {
	c := newCooldown(t)
	c.hint(c.start(), time.Second)
	c.to(at(5 * time.Second)) // long over
	c.hint(c.start(), time.Second)
	c.to(at(15 * time.Second))
	c.refuse(c.start())
	require.Equal(t, c.now.Add(400*ms), c.Until())
}

// S-L10: the refusals of one wave are one episode.
func TestCooldownLateThrottlesCountOnce(t *testing.T) {
	c := newCooldown(t)
	var wave []policy.Visit
	for range 50 {
		wave = append(wave, c.start())
	}
	for i, v := range wave {
		c.to(at(time.Duration(i) * ms))
		c.refuse(v)
		require.Equal(t, at(100*ms), c.Until(), "refusal %d", i)
	}
	c.to(at(100 * ms))
	next := c.start()
	c.refuse(next)
	require.Equal(t, at(300*ms), c.Until(), "the second episode, not the 51st")
	require.Equal(t, 300*ms, c.Spent(at(time.Hour)))
}

// A success of an attempt that began before the episode does not end the row of episodes.
func TestCooldownLateSuccessDoesNotReset(t *testing.T) {
	c := newCooldown(t)
	early := c.start()
	c.refuse(c.start())
	c.succeed(early)
	c.to(c.Until())
	c.succeed(early)
	scout := c.start()
	require.NotZero(t, c.ReadyAt(), "the scout is still under way")
	c.refuse(scout)
	require.Equal(t, at(300*ms), c.Until())
}

// S-L10: after a cooldown without a hint one goes first; the others follow its success.
func TestCooldownScoutSucceeds(t *testing.T) {
	c := newCooldown(t)
	c.refuse(c.start())
	c.to(at(100 * ms))
	require.Zero(t, c.ReadyAt())
	require.False(t, c.Undrawn(), "one needs no drawing")
	scout := c.start()
	require.Equal(t, at(1100*ms), c.ReadyAt(), "the others wait")
	c.to(at(200 * ms))
	require.Equal(t, at(1100*ms), c.ReadyAt())
	c.succeed(scout)
	require.True(t, c.Undrawn())
	c.Draw(c.now, 5, 0)
	require.Equal(t, at(200*ms), c.ReadyAt())
	c.start()
	require.True(t, c.Undrawn())
	c.Draw(c.now, 4, almostOne)
	require.LessOrEqual(t, c.ReadyAt(), at(300*ms), "100 ms at least, a tenth of the wait at most")
	c.to(at(300 * ms))
	require.Zero(t, c.ReadyAt())
	require.False(t, c.Undrawn(), "all may go")
	require.Equal(t, at(0), c.IdleAt())
}

// S-L10: … or a second, if it still runs unthrottled.
func TestCooldownScoutTakesLong(t *testing.T) {
	c := newCooldown(t)
	c.refuse(c.start())
	c.to(at(500 * ms))
	scout := c.start()
	c.to(at(1500*ms) - 1)
	require.Equal(t, at(1500*ms), c.ReadyAt())
	require.False(t, c.Undrawn())
	c.to(at(1500 * ms))
	require.True(t, c.Undrawn())
	c.Draw(c.now, 3, 0.5)
	require.Greater(t, c.ReadyAt(), at(1500*ms))
	require.Less(t, c.ReadyAt(), at(1600*ms))

	c.refuse(scout) // after all
	require.Equal(t, at(1700*ms), c.ReadyAt())
}

// A scout that tells nothing is followed by another one.
func TestCooldownScoutLearnsNothing(t *testing.T) {
	c := newCooldown(t)
	c.refuse(c.start())
	c.to(at(100 * ms))
	for range 5 {
		scout := c.start()
		require.NotZero(t, c.ReadyAt())
		c.fail(scout)
		require.Zero(t, c.ReadyAt())
		require.False(t, c.Undrawn())
	}
	c.succeed(c.start())
	require.True(t, c.Undrawn())
}

// S-L10: a throttled scout begins the next episode.
func TestCooldownScoutThrottled(t *testing.T) {
	c := newCooldown(t)
	c.refuse(c.start())
	c.to(at(100 * ms))
	scout := c.start()
	c.to(at(150 * ms))
	c.refuse(scout)
	require.Equal(t, at(350*ms), c.ReadyAt())
	c.to(at(350 * ms))
	require.Zero(t, c.ReadyAt(), "again one goes first")
	c.start()
	require.NotZero(t, c.ReadyAt())
}

// S-R12: the time in cooldown, each moment of it once.
func TestCooldownSpent(t *testing.T) {
	const s = time.Second
	c := newCooldown(t)
	v, w := c.start(), c.start()
	c.to(at(5 * s))
	c.hint(v, 10*s)
	require.Zero(t, c.Spent(at(5*s)))
	require.Equal(t, 3*s, c.Spent(at(8*s)))
	require.Equal(t, 10*s, c.Spent(at(15*s)))
	require.Equal(t, 10*s, c.Spent(at(100*s)))
	c.to(at(10 * s))
	c.hint(w, 10*s) // overlaps
	require.Equal(t, 15*s, c.Spent(at(100*s)))
	c.to(at(50 * s))
	c.hint(c.start(), 3*s) // apart
	require.Equal(t, 15*s, c.Spent(at(50*s)))
	require.Equal(t, 16*s, c.Spent(at(51*s)))
	require.Equal(t, 18*s, c.Spent(policy.Never))
}

// The package promises that a cooldown never allocates.
func TestCooldownDoesNotAllocate(t *testing.T) {
	var c policy.Cooldown
	var now policy.Time
	require.Zero(t, testing.AllocsPerRun(100, func() {
		c.Throttle(now, c.Start(now), time.Second, true)
		now = now.Add(time.Second)
		c.Advance(now)
		if c.Undrawn() {
			c.Draw(now, 5, 0.5)
		}
		c.End(now, c.Start(now), true)
	}))
}

// S-L10: one that goes first and is told, in the very instant, to come again at once lets the others follow.
func TestCooldownScoutIsToldToComeAtOnce(t *testing.T) {
	c := newCooldown(t)
	c.refuse(c.start())
	c.to(c.Until())
	c.hint(c.start(), 0)
	require.Equal(t, at(100*ms), c.Until())
	c.to(c.Until())
	require.True(t, c.Undrawn(), "they are let go")
	require.LessOrEqual(t, c.ReadyAt(), c.now)
}
