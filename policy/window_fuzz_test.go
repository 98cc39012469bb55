package policy_test

import (
	"slices"
	"testing"
	"time"

	"github.com/toller-go/toller/policy"
)

// tape is a string of bytes from which decisions are read; it goes on for ever with zeros.
type tape struct{ rest []byte }

func (p *tape) byte() byte {
	if len(p.rest) == 0 {
		return 0
	}
	b := p.rest[0]
	p.rest = p.rest[1:]
	return b
}

// number reads a number below 2⁶², of any magnitude: seven bits, shifted.
func (p *tape) number() int64 {
	b := p.byte()
	return int64(b&0x7f)<<(p.byte()%56) + int64(b>>7)
}

// amount reads an Amount that a limit or a cost may have.
func (p *tape) amount() policy.Amount {
	const most = 1_000_000_000_000 * token
	return policy.Amount(p.number()) % (most + 1)
}

func (p *tape) rate() policy.Rate {
	switch p.byte() % 16 {
	case 0:
		return policy.Blocked
	case 1:
		return policy.Unlimited
	default:
		return policy.Per(max(1, p.amount()).Tokens(), max(1, time.Duration(p.number())))
	}
}

// slidingLimit reads a limit, or the plain one if what is read makes no sense.
func (p *tape) slidingLimit() policy.Limit {
	l := policy.Limit{
		Name: "a", Rate: policy.Per(max(1, p.amount()).Tokens(), max(1, time.Duration(p.number()))), Burst: p.amount().Tokens(),
		Initial: []float64{0, policy.Empty, 1}[p.byte()%3], Sliding: true, CostRequired: true,
	}
	if l.Validate() != nil {
		return sliding()
	}
	return l
}

// FuzzWindow looks for calls after which the window of a sliding limit is not sound inside, the promises of Has, ReadyAt and
// Allows don't agree, or more is charged than what was taken and corrected (S-L3).
func FuzzWindow(f *testing.F) {
	// A step is what to do, an amount and perhaps more, and two costs to ask about. 1<<20 is about a token, 1<<30 a second.
	limit := []byte{100, 20, 60, 30, 100, 20, 0}
	take, ask := []byte{0, 40, 20}, []byte{60, 20, 30, 20}
	wait := func(n, shift byte) []byte { return slices.Concat([]byte{1, 0, 0, n, shift}, ask) }
	f.Add([]byte{})
	f.Add(slices.Concat(limit, take, ask, wait(1, 30), take, ask, []byte{2, 70, 20, 1}, ask, take, ask))
	f.Add(slices.Concat(limit, take, ask, wait(1, 27), take, ask, []byte{3, 0, 0, 0}, ask, []byte{2, 80, 20, 0}, ask))
	f.Add(slices.Concat(limit, take, ask, wait(5, 30), take, ask, []byte{4, 90, 20, 1}, ask, wait(4, 30), []byte{4, 1, 0, 0}, ask))
	f.Add(slices.Concat(limit, take, ask, wait(1, 30), []byte{5, 0, 0, 2, 50, 20, 10, 30}, ask, take, ask, []byte{5, 0, 0, 2, 50, 20, 100, 32}, ask, wait(9, 30)))
	f.Add(slices.Concat(limit, take, ask, []byte{5, 0, 0, 1}, ask, take, ask, []byte{5, 0, 0, 0}, ask, []byte{6, 9, 20}, ask, []byte{7, 1, 20}, ask))
	f.Add(slices.Concat([]byte{127, 55, 127, 55, 127, 55, 1}, []byte{0, 127, 55}, ask, []byte{4, 127, 55, 0}, ask, wait(127, 55), []byte{4, 127, 55, 0}, ask))
	f.Add(slices.Concat([]byte{3, 20, 5, 0, 3, 20, 0}, []byte{0, 1, 20}, ask, wait(1, 0), []byte{0, 1, 20}, ask, wait(1, 0), []byte{0, 1, 20}, ask, wait(4, 0)))
	f.Fuzz(func(t *testing.T, data []byte) {
		p := &tape{rest: data}
		b := slidingBucket(t, p.slidingLimit())
		var takes []heldTake
		var now policy.Time
		var charged policy.Amount // all that was ever taken, or added by a correction
		for range 400 {
			if len(p.rest) == 0 {
				break
			}
			switch what, cost := p.byte()%8, p.amount(); what {
			case 0:
				if b.Has(cost) && cost < 1<<61-charged {
					b.Take(cost)
					charged += cost
					takes = append(takes, heldTake{cost, now})
				}
			case 1:
				now = now.Add(time.Duration(p.number()))
				b.Advance(now)
			case 2: // as soon as there is room, or just not
				if ready := b.ReadyAt(cost); ready != policy.Never && ready > now {
					now = ready - policy.Time(p.byte()%2)
					b.Advance(now)
				}
			case 3:
				if i := int(p.byte()); i < len(takes) {
					b.GiveBack(takes[i].cost, takes[i].at)
					takes[i].cost = 0
				}
			case 4:
				if i := int(p.byte()); i < len(takes) && cost < 1<<61-charged {
					by := cost - takes[i].cost
					b.Settle(by, takes[i].at)
					charged += max(0, by)
					takes[i].cost = 0
				}
			case 5:
				b.SetRate(now, p.rate())
			case 6:
				b.SetBurst(now, max(1, cost).Tokens())
			case 7:
				b.Observe(now, cost)
			}
			promises(t, b, now, p.amount(), p.amount())
			if b.Charged() > charged {
				t.Fatalf("%d charged, of %d taken", b.Charged(), charged)
			}
		}
	})
}

// promises fails unless what b says of two costs agrees, and its window is sound.
func promises(t *testing.T, b *policy.Bucket, now policy.Time, cost, other policy.Amount) {
	t.Helper()
	sound(t, b)
	ready := b.ReadyAt(cost)
	if ready < now || (ready == now) != b.Has(cost) && now != policy.Never {
		t.Fatalf("at %d: Has(%d) = %v, and it is ready at %d", now, cost, b.Has(cost), ready)
	}
	if ready > now && ready < policy.Never {
		c := b.Clone()
		c.Advance(ready - 1)
		if c.Has(cost) || c.ReadyAt(cost) != ready {
			t.Fatalf("at %d: ready for %d before %d", now, cost, ready)
		}
		c.Advance(ready)
		if !c.Has(cost) {
			t.Fatalf("at %d: not ready for %d at %d", now, cost, ready)
		}
		sound(t, c)
	}
	for _, when := range []policy.Time{ready, b.ReadyAt(other)} {
		if got, want := b.Allows(cost, other, when), allows(b, cost, other, when); got != want {
			t.Fatalf("at %d: Allows(%d, %d, %d) = %v", now, cost, other, when, got)
		}
	}
	full := b.Clone()
	full.Advance(b.FullAt())
	if full.Charged() != 0 && b.FullAt() != policy.Never {
		t.Fatalf("at %d: full at %d, when %d is charged", now, b.FullAt(), full.Charged())
	}
}
