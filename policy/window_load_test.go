package policy_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/policy"
)

// load is random work for one limit: it arrives at random and starts as soon as the bucket has room for it, in order.
type load struct {
	each   time.Duration                     // between two arrivals, on average
	cost   func() policy.Amount              // of the next one
	actual func(policy.Amount) policy.Amount // what that turns out to be when it ends, up to 3 s after its start
}

// run drives b with the load for so long. It returns every charge, as corrected, and the instant from which on there was
// always somebody waiting.
func (l load) run(t *testing.T, rng *rand.Rand, b *policy.Bucket, most policy.Amount, length time.Duration) (*exactLog, policy.Time) {
	t.Helper()
	type ending struct {
		at policy.Time
		c  *logged
	}
	var (
		log       = &exactLog{most: most, span: time.Minute}
		now, busy policy.Time
		arrival   policy.Time
		waiting   []policy.Amount
		running   []ending
	)
	for now < at(length) {
		next := arrival
		if len(waiting) > 0 {
			next = min(next, b.ReadyAt(waiting[0]))
		}
		for _, r := range running {
			next = min(next, r.at)
		}
		now = next
		b.Advance(now)
		if now == arrival {
			waiting = append(waiting, l.cost())
			arrival = now.Add(time.Duration(rng.ExpFloat64() * float64(l.each)))
		}
		for i := len(running) - 1; i >= 0; i-- {
			if r := running[i]; r.at == now {
				by := l.actual(r.c.amount) - r.c.amount
				b.Settle(by, r.c.at)
				r.c.amount += by
				running[i] = running[len(running)-1]
				running = running[:len(running)-1]
			}
		}
		for len(waiting) > 0 && b.Has(waiting[0]) {
			b.Take(waiting[0])
			running = append(running, ending{now.Add(1 + time.Duration(rng.Int64N(int64(3*time.Second)))), log.add(now, waiting[0])})
			waiting = waiting[1:]
		}
		if len(waiting) == 0 {
			busy = now
		}
	}
	sound(t, b)
	require.Less(t, busy, at(length/10), "not enough work")
	return log, busy
}

// S-L3: an hour of more work than a hundred a minute allow, some of it refunded: never more than a hundred in any minute,
// and hardly ever less than 97.
func TestSlidingUnderLoad(t *testing.T) {
	for name, burst := range map[string]float64{"burst of all": 100, "default burst": 0} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(3) {
				rng := rand.New(rand.NewPCG(seed, 31))
				limit := sliding()
				limit.Burst = burst
				work := load{
					each: 400 * ms,
					cost: func() policy.Amount { return token },
					actual: func(c policy.Amount) policy.Amount {
						if rng.IntN(10) == 0 {
							return 0
						}
						return c
					},
				}
				log, busy := work.run(t, rng, slidingBucket(t, limit), 100*token, time.Hour)
				assert.LessOrEqual(t, log.worst(), 100*token, "seed %d", seed)
				var windows, good int
				for from := busy; from.Add(time.Minute) <= at(time.Hour); from = from.Add(500 * ms) {
					windows++
					if log.within(from, from.Add(time.Minute)) >= 97*token {
						good++
					}
				}
				assert.Greater(t, good, windows*19/20, "seed %d: of %d windows", seed, windows)
			}
		})
	}
}

// S-L3, S-L4, S-L5: the same with costs of every size up to the cap, of which a part is refunded.
func TestSlidingUnderLoadOfAllSizes(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 32))
		limit := sliding()
		limit.Burst = []float64{100, 0, 20}[seed%3]
		work := load{
			each:   time.Second,
			cost:   func() policy.Amount { return policy.Amount(exponential(rng, float64(100*token))) },
			actual: func(c policy.Amount) policy.Amount { return c - policy.Amount(rng.Int64N(int64(c/2+1))) },
		}
		log, _ := work.run(t, rng, slidingBucket(t, limit), 100*token, time.Hour)
		assert.LessOrEqual(t, log.worst(), 100*token, "seed %d", seed)
		assert.Greater(t, len(log.charges), 100, "seed %d", seed)
	}
}
