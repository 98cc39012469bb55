package fakellm

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"
)

func TestBucketStartsFullAndRefills(t *testing.T) {
	b := newBucket(4, 3) // a token every 250 ms
	steps := []struct {
		at        time.Duration
		wait      time.Duration // 0: a token is taken
		remaining uint64
		reset     time.Duration
	}{
		{0, 0, 2, 250 * time.Millisecond},
		{0, 0, 1, 500 * time.Millisecond},
		{0, 0, 0, 750 * time.Millisecond},
		{0, 250 * time.Millisecond, 0, 750 * time.Millisecond},
		{250*time.Millisecond - 1, 1, 0, 500*time.Millisecond + 1},
		{250 * time.Millisecond, 0, 0, 750 * time.Millisecond},
		{10 * time.Second, 0, 2, 250 * time.Millisecond}, // never above its size
		{9 * time.Second, 0, 1, 500 * time.Millisecond},  // a clock that goes back gives nothing
		{10 * time.Second, 0, 0, 750 * time.Millisecond}, // nor does its return
	}
	for i, s := range steps {
		b.tell(s.at)
		wait := b.wait()
		if wait == 0 {
			b.take()
		}
		l := b.limits()
		if wait != s.wait || l.remaining != s.remaining || l.reset != s.reset || l.limit != 3 || !l.known {
			t.Errorf("step %d at %v: wait %v, %+v; want %+v", i, s.at, wait, l, s)
		}
	}
}

func TestBucketUnlimited(t *testing.T) {
	b := newBucket(0, 1)
	for range 1000 {
		if b.tell(0); b.wait() != 0 {
			t.Fatal("an unlimited bucket refused")
		}
		b.take()
	}
	if b.limits() != (limits{}) {
		t.Errorf("limits %+v, want none", b.limits())
	}
}

// The oracle holds the content as an exact fraction and shares no arithmetic with the bucket.
func TestBucketIsExact(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		rate := math.Exp(rng.Float64()*40 - 20) // 2e-9 to 5e8
		burst := 1 + math.Floor(rng.Float64()*100)/4
		b := newBucket(rate, burst)
		perNano := new(big.Rat).SetFrac64(int64(b.rate), nano*nano)
		size := new(big.Rat).SetFrac64(int64(b.size), nano)
		one, content := big.NewRat(1, 1), new(big.Rat).Set(size)
		now := time.Duration(0)
		for range 300 {
			step := time.Duration(rng.ExpFloat64() / rate * 1e9)
			if w := b.wait(); w > 0 && rng.IntN(3) == 0 {
				step = w - time.Duration(rng.IntN(2)) // the edge itself, and the nanosecond before it
			}
			if now+step > 1e18 { // thirty years
				break
			}
			now += step
			content.Add(content, new(big.Rat).Mul(perNano, new(big.Rat).SetInt64(int64(step))))
			if content.Cmp(size) > 0 {
				content.Set(size)
			}
			b.tell(now)
			room := content.Cmp(one) >= 0
			if got := b.wait() == 0; got != room {
				t.Fatalf("seed %d at %v: room %v, want %v with %v", seed, now, got, room, content)
			}
			if room {
				b.take()
				content.Sub(content, one)
			}
		}
	}
}

// However often it is asked in between, a bucket gives floor(burst + rate*t), to the token.
func TestBucketDoesNotDrift(t *testing.T) {
	for _, rate := range []float64{1.0 / 3, 7.3, 500.0 / 60, 999.999} {
		t.Run(fmt.Sprint(rate), func(t *testing.T) {
			b := newBucket(rate, 10)
			taken, now, end := 0, time.Duration(0), 100*time.Second
			for ; now <= end; now += 69_997 {
				for b.tell(now); b.wait() == 0; taken++ {
					b.take()
				}
			}
			given := new(big.Int).SetUint64(b.rate)
			given.Mul(given, big.NewInt(int64(b.last))).Div(given, big.NewInt(nano*nano))
			if want := 10 + int(given.Int64()); taken != want {
				t.Errorf("%d tokens in %v, want %d", taken, b.last, want)
			}
		})
	}
}

func TestBucketExtremes(t *testing.T) {
	slow := newBucket(minRate, 1)
	slow.take()
	if got, want := slow.wait(), time.Duration(1e18); got != want {
		t.Errorf("wait at the lowest rate %v, want %v", got, want)
	}
	wide := newBucket(minRate, maxRate)
	for range 20 {
		wide.take()
	}
	if got := wide.limits().reset; got != math.MaxInt64 {
		t.Errorf("reset %v, want the longest duration", got)
	}
	fast := newBucket(maxRate, maxRate)
	fast.take()
	fast.tell(math.MaxInt64)
	if fast.credit != fast.size || fast.carry != 0 {
		t.Errorf("after 292 years %d of %d", fast.credit, fast.size)
	}
}
