package policy_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/policy"
)

// S-L10: a long random life. Nothing starts within a cooldown, the end of it never moves back, and the time spent is the
// length of the union of all waits that were asked for.
func TestCooldownRandomWalk(t *testing.T) {
	type span struct{ from, to policy.Time }
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 11))
		c := newCooldown(t)
		var (
			waits   []span
			running []policy.Visit
			known   []int // for each of running, the episode of which its start knew
			episode int   // counted by hand
			row     int
			until   policy.Time
		)
		peace := func() {
			if c.now >= until.Add(30*time.Second) {
				row = 0
			}
		}
		drop := func(i int) (policy.Visit, int) {
			v, k := running[i], known[i]
			running, known = slices.Delete(running, i, i+1), slices.Delete(known, i, i+1)
			return v, k
		}
		for step := range 400 {
			switch rng.IntN(6) {
			case 0:
				c.to(c.now.Add(time.Duration(exponential(rng, 5e10))))
			case 1:
				c.to(max(c.now, c.ReadyAt()-policy.Time(rng.IntN(2))))
			case 2, 3:
				c.Advance(c.now)
				if c.Undrawn() {
					c.Draw(c.now, 1+rng.IntN(5), rng.Float64())
				}
				if c.ReadyAt() > c.now {
					continue
				}
				require.GreaterOrEqual(t, c.now, until, "seed %d step %d: started within the cooldown", seed, step)
				running, known = append(running, c.Start(c.now)), append(known, episode)
			case 4:
				if len(running) == 0 {
					continue
				}
				v, k := drop(rng.IntN(len(running)))
				answered := rng.IntN(2) == 0
				c.End(c.now, v, answered)
				if answered && k == episode {
					row = 0
				}
			case 5:
				if len(running) == 0 {
					continue
				}
				v, k := drop(rng.IntN(len(running)))
				isHinted, wait := rng.IntN(2) == 0, time.Duration(exponential(rng, 1e10))
				c.Throttle(c.now, v, wait, isHinted)
				peace()
				late := k != episode
				if !late {
					episode++
					row++
				}
				if !isHinted {
					if late {
						continue
					}
					wait = time.Duration(math.Min(1e8*math.Pow(2, float64(row-1)), 3e10))
				}
				waits = append(waits, span{c.now, c.now.Add(wait)})
				until = max(until, c.now.Add(wait))
			}
			require.Equal(t, until, c.Until(), "seed %d step %d", seed, step)
			if c.now < until {
				require.GreaterOrEqual(t, c.ReadyAt(), until, "seed %d step %d", seed, step)
			}
			if peace(); row > 0 {
				require.GreaterOrEqual(t, c.IdleAt(), until.Add(30*time.Second), "seed %d step %d", seed, step)
			}
			requireIdleAt(t, c, fmt.Sprintf("seed %d step %d", seed, step))
			if step%20 == 0 { // the union, the slow way
				var spent time.Duration
				var end policy.Time
				for _, w := range waits { // in order of their beginning
					from := max(w.from, end)
					spent += max(0, w.to.Sub(from))
					end = max(end, w.to)
				}
				require.Equal(t, spent, c.Spent(policy.Never), "seed %d step %d", seed, step)
				require.Equal(t, spent-max(0, until.Sub(c.now)), c.Spent(c.now), "seed %d step %d", seed, step)
			}
		}
	}
}
