package policy_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/policy"
)

func newSpending(t *testing.T, b policy.Budget) *policy.Spending {
	t.Helper()
	require.NoError(t, b.Validate())
	s := policy.NewSpending(b)
	return &s
}

// attempts notes n of them at one instant.
func attempts(s *policy.Spending, now policy.Time, n int) {
	for range n {
		s.Attempt(now)
	}
}

// granted is how many of n retries, asked for at one instant, the budget has.
func granted(s *policy.Spending, now policy.Time, n int) (yes int) {
	for range n {
		if s.Retry(now) {
			yes++
		}
	}
	return yes
}

// S-R11, S-R13: the zero Budget is off, and what makes no sense is refused by its name.
func TestBudgetValidate(t *testing.T) {
	for _, tt := range []struct {
		name   string
		budget policy.Budget
		want   []string // the fields at fault
	}{
		{"zero is off", policy.Budget{}, nil},
		{"ratio alone", policy.Budget{Ratio: 0.2}, nil},
		{"full", policy.Budget{Ratio: 1, MinRetries: 1_000_000, Window: math.MaxInt64}, nil},
		{"least", policy.Budget{Ratio: math.SmallestNonzeroFloat64, MinRetries: 1, Window: 1}, nil},
		{"negative ratio", policy.Budget{Ratio: -0.1}, []string{"Budget.Ratio"}},
		{"ratio above one", policy.Budget{Ratio: math.Nextafter(1, 2)}, []string{"Budget.Ratio"}},
		{"percents", policy.Budget{Ratio: 20, MinRetries: 1}, []string{"Budget.Ratio"}},
		{"ratio not a number", policy.Budget{Ratio: math.NaN()}, []string{"Budget.Ratio"}},
		{"ratio infinite", policy.Budget{Ratio: math.Inf(1)}, []string{"Budget.Ratio"}},
		{"ratio minus infinite", policy.Budget{Ratio: math.Inf(-1)}, []string{"Budget.Ratio"}},
		{"ratio forgotten, floor set", policy.Budget{MinRetries: 5}, []string{"Budget.Ratio"}},
		{"ratio forgotten, window set", policy.Budget{Window: time.Second}, []string{"Budget.Ratio"}},
		{"ratio forgotten, both set", policy.Budget{MinRetries: 5, Window: time.Second}, []string{"Budget.Ratio"}},
		{"negative floor", policy.Budget{Ratio: 0.2, MinRetries: -1}, []string{"Budget.MinRetries"}},
		{"floor too high", policy.Budget{Ratio: 0.2, MinRetries: 1_000_001}, []string{"Budget.MinRetries"}},
		{"negative window", policy.Budget{Ratio: 0.2, Window: -1}, []string{"Budget.Window"}},
		{"all at once", policy.Budget{Ratio: 2, MinRetries: -1, Window: -1}, []string{"Budget.Ratio", "Budget.MinRetries", "Budget.Window"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, fields(t, tt.budget.Validate()))
		})
	}
	assert.True(t, policy.Budget{}.Off())
	assert.False(t, policy.Budget{Ratio: 0.1}.Off())
}

// S-R11: the larger of floor and share, and not their sum. Shares are not rounded, and a share is what is written: in
// binary fractions 0.29 × 100 is less than 29, and 0.07 × 100 more than 7.
func TestBudgetHas(t *testing.T) {
	for _, tt := range []struct {
		ratio    float64
		floor    int
		attempts int
		want     int
	}{
		{0.2, 0, 0, 10}, // the default floor
		{0.2, 0, 54, 10},
		{0.2, 0, 55, 11},
		{0.2, 0, 59, 11},
		{0.2, 0, 100, 20}, // and not 30
		{0.2, 1, 0, 1},
		{0.2, 1, 9, 1},
		{0.2, 1, 10, 2},
		{0.2, 30, 149, 30},
		{0.2, 30, 154, 30},
		{0.2, 30, 155, 31},
		{0.29, 1, 100, 29},
		{0.07, 1, 100, 7},
		{0.57, 1, 100, 57},
		{0.1, 1, 29, 2},
		{0.1, 1, 30, 3},
		{1.0 / 3, 1, 299, 99},
		{1.0 / 3, 1, 300, 100},
		{1, 1, 40, 40},
		{math.SmallestNonzeroFloat64, 2, 1000, 2},
	} {
		s := newSpending(t, policy.Budget{Ratio: tt.ratio, MinRetries: tt.floor})
		attempts(s, 5, tt.attempts)
		assert.Equal(t, tt.want, granted(s, 5, 2000), "%+v", tt)
	}
}

// S-R11: a backend that fails everything. Of 1,000 jobs that fail at once 200 are tried again; when those fail, too, 40,
// and so on: in the end 1,000 jobs have cost 1,249 attempts, the most below 1/(1-0.2) of them.
func TestRetryStorm(t *testing.T) {
	s := newSpending(t, policy.Budget{Ratio: 0.2})
	var waves []int
	for n := 1000; n > 0 && len(waves) < 9; {
		attempts(s, at(time.Second), n)
		n = granted(s, at(time.Second), n)
		waves = append(waves, n)
	}
	assert.Equal(t, []int{200, 40, 8, 1, 0}, waves)
	assert.False(t, s.Retry(at(time.Second)))

	off := newSpending(t, policy.Budget{})
	attempts(off, 0, 1000)
	assert.Equal(t, 1000, granted(off, 0, 1000), "without a budget the load doubles with the first wave")
}

// S-R11: an hour in which 100 jobs a second fail, and each would be tried again for ever, a second later. The backend gets a
// quarter more than the jobs' first attempts.
func TestLastingRetryStorm(t *testing.T) {
	s := newSpending(t, policy.Budget{Ratio: 0.2})
	retries, due := 0, 0
	for second := range 3600 {
		now := at(time.Duration(second) * time.Second)
		attempts(s, now, 100+due)
		due = granted(s, now, 100+due)
		retries += due
	}
	assert.InDelta(t, 0.25, float64(retries)/360_000, 0.001)
}

// S-R11: a key that is hardly used may retry up to the floor in each window, and no more.
func TestBudgetFloor(t *testing.T) {
	s := newSpending(t, policy.Budget{Ratio: 0.1, MinRetries: 3, Window: 10 * time.Second})
	for _, second := range []int{0, 11, 22, 1000} {
		now := at(time.Duration(second) * time.Second)
		s.Attempt(now)
		assert.Equal(t, 3, granted(s, now, 50), "at %v", now)
		assert.Zero(t, granted(s, now.Add(10*time.Second), 50), "a window later than %v", now)
	}
}

// S-R11: a retry is remembered for a window at least, and a slice more at most; so is an attempt.
func TestBudgetForgets(t *testing.T) {
	b := policy.Budget{Ratio: 0.5, MinRetries: 2, Window: 10 * time.Second}
	const forgotten = 11 * time.Second // what happens in the slice from 0 to 1 s
	for _, told := range []time.Duration{0, time.Second - 1} {
		s := newSpending(t, b)
		require.Equal(t, 2, granted(s, at(told), 5))
		assert.False(t, s.Retry(at(told+10*time.Second)), "told at %v", told)
		assert.False(t, s.Retry(at(forgotten-1)), "told at %v", told)
		assert.Equal(t, 2, granted(s, at(forgotten), 5), "told at %v", told)

		s = newSpending(t, b)
		attempts(s, at(told), 100)
		assert.Equal(t, 50, granted(s, at(forgotten-1), 100), "told at %v", told)
		s = newSpending(t, b)
		attempts(s, at(told), 100)
		assert.Equal(t, 2, granted(s, at(forgotten), 100), "told at %v", told)
	}

	s := newSpending(t, b) // slice by slice
	for second := range 4 {
		attempts(s, at(time.Duration(second)*time.Second), 10)
	}
	require.Equal(t, 20, granted(s, at(5*time.Second), 100))
	for second := range 4 { // the attempts go, the retries stay
		assert.False(t, s.Retry(at(forgotten+time.Duration(second)*time.Second)))
	}
	assert.False(t, s.Retry(at(16*time.Second-1)))
	assert.Equal(t, 2, granted(s, at(16*time.Second), 100))
}

// S-R6, S-R11: what is refused is not charged, so asking again and again does not make it worse.
func TestRefusedRetryIsNotCharged(t *testing.T) {
	s := newSpending(t, policy.Budget{Ratio: 0.5, MinRetries: 1})
	attempts(s, 0, 4)
	require.Equal(t, 2, granted(s, 0, 1000))
	attempts(s, 0, 2)
	assert.Equal(t, 1, granted(s, 0, 1000))
}

// S-R11, S-R13: a budget that is off grants everything and remembers nothing.
func TestBudgetOff(t *testing.T) {
	renewed := newSpending(t, policy.Budget{Ratio: 0.2, MinRetries: 1})
	attempts(renewed, 7, 3)
	renewed.Renew(policy.Budget{})
	for name, s := range map[string]*policy.Spending{
		"zero": {}, "new": newSpending(t, policy.Budget{}), "renewed": renewed,
	} {
		t.Run(name, func(t *testing.T) {
			allocs := testing.AllocsPerRun(100, func() {
				s.Attempt(5)
				require.True(t, s.Retry(5))
			})
			assert.Zero(t, allocs)
			assert.Equal(t, 10_000, granted(s, 6, 10_000))
			assert.Equal(t, at(6), s.FreshAt(6))
		})
	}
}

// S-L7: time that runs backwards stands still. Neither is anything remembered for less than it should, nor forgotten twice.
func TestBudgetTimeBackwards(t *testing.T) {
	s := newSpending(t, policy.Budget{Ratio: 0.5, MinRetries: 1, Window: 10 * time.Second})
	attempts(s, at(30*time.Second), 10)
	attempts(s, at(2*time.Second), 10) // at 30 s, then
	assert.Equal(t, 10, granted(s, 0, 100))
	assert.Equal(t, at(41*time.Second), s.FreshAt(0))
	attempts(s, at(12*time.Second), 2)
	assert.Equal(t, 1, granted(s, at(40*time.Second), 100))
	assert.Zero(t, granted(s, at(41*time.Second), 100), "the one at 40 s is all that the floor has")
	assert.Equal(t, 1, granted(s, at(51*time.Second), 100))
}

// S-A9: a spending that remembers nothing is as good as new, and one that does is not.
func TestSpendingFreshAt(t *testing.T) {
	s := newSpending(t, policy.Budget{Ratio: 0.5, MinRetries: 1})
	assert.Equal(t, at(3), s.FreshAt(3), "never used")
	s.Attempt(at(1500 * time.Millisecond))
	assert.Equal(t, at(12*time.Second), s.FreshAt(at(2*time.Second)))
	assert.True(t, s.Retry(at(3*time.Second)))
	assert.Equal(t, at(14*time.Second), s.FreshAt(at(3*time.Second)))
	assert.False(t, s.Retry(at(8*time.Second)))
	assert.Equal(t, at(14*time.Second), s.FreshAt(at(9*time.Second)), "a refusal leaves no trace")
	assert.Equal(t, at(14*time.Second), s.FreshAt(at(14*time.Second-1)))
	assert.Equal(t, at(14*time.Second), s.FreshAt(at(14*time.Second)))
	assert.Equal(t, at(20*time.Second), s.FreshAt(at(20*time.Second)))
}

// S-L7: at the end of time, too, it is told exactly when a retry is forgotten, as long as there is such an instant.
func TestSpendingFreshAtTheEndOfTime(t *testing.T) {
	rule := policy.Budget{Ratio: 0.5, MinRetries: 1, Window: 20} // slices of 2 ns
	s := newSpending(t, rule)
	s.Attempt(policy.Never - 23)
	assert.Equal(t, policy.Never-1, s.FreshAt(policy.Never-23))
	s = newSpending(t, rule)
	s.Attempt(policy.Never - 21)
	assert.Equal(t, policy.Never, s.FreshAt(policy.Never-21))
}

// S-R11: renewed, a spending is as good as new under its new rule.
func TestSpendingRenew(t *testing.T) {
	s := newSpending(t, policy.Budget{Ratio: 0.5, MinRetries: 1})
	attempts(s, at(time.Hour), 100)
	require.Equal(t, 50, granted(s, at(time.Hour), 100))
	for _, floor := range []int{3, 4} {
		s.Renew(policy.Budget{Ratio: 0.1, MinRetries: floor, Window: time.Second})
		now := at(time.Duration(floor) * time.Second) // clocks may differ from one use to the next
		assert.Equal(t, now, s.FreshAt(now))
		s.Attempt(now)
		assert.Equal(t, floor, granted(s, now, 100))
		assert.Equal(t, now.Add(1100*time.Millisecond), s.FreshAt(now))
	}
	s.Renew(policy.Budget{})
	s.Renew(policy.Budget{Ratio: 0.1, MinRetries: 2})
	assert.Equal(t, 2, granted(s, 0, 100))
}

// S-L8: the shortest and the longest windows, and the ends of time; nothing overflows.
func TestBudgetExtremes(t *testing.T) {
	for window := range time.Duration(25) { // not all are ten slices of whole nanoseconds; 0 is the default
		for _, start := range []policy.Time{0, 1, 1 << 53, policy.Never - 1_000_000_000_000} {
			s := newSpending(t, policy.Budget{Ratio: 0.5, MinRetries: 1, Window: window})
			require.True(t, s.Retry(start))
			fresh := s.FreshAt(start)
			where := fmt.Sprintf("window %d, start %d", window, start)
			require.Greater(t, fresh.Sub(start), window, where)
			require.False(t, s.Retry(fresh-1), where)
			require.True(t, s.Retry(fresh), where)
		}
	}
	for _, window := range []time.Duration{1, 10, time.Second, math.MaxInt64 / 2, math.MaxInt64 - 1, math.MaxInt64} {
		for _, now := range []policy.Time{policy.Never - 1, policy.Never} {
			s := newSpending(t, policy.Budget{Ratio: 0.5, MinRetries: 1, Window: window})
			require.True(t, s.Retry(now-5))
			attempts(s, now, 4)
			require.Equal(t, policy.Never, s.FreshAt(now), "window %d", window)
			require.Equal(t, 1, granted(s, now, 10), "window %d", window)
		}
	}
	s := newSpending(t, policy.Budget{Ratio: 0.5, MinRetries: 1, Window: math.MaxInt64})
	require.True(t, s.Retry(0))
	assert.False(t, s.Retry(policy.Never), "292 years are not over yet")
	assert.Equal(t, policy.Never, s.FreshAt(0))
}

// The package promises that no machine allocates in steady state, and this one that it keeps its memory when renewed.
func TestSpendingAllocates(t *testing.T) {
	b := policy.Budget{Ratio: 0.2, MinRetries: 1}
	now := at(time.Hour)
	s := newSpending(t, b)
	use := func() {
		now += 123456789
		s.Attempt(now)
		_ = s.Retry(now)
		_ = s.FreshAt(now)
	}
	assert.Zero(t, testing.AllocsPerRun(1000, use)) // after one run to warm up
	assert.Zero(t, testing.AllocsPerRun(1000, func() { s.Renew(b); use() }))
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		idle := policy.NewSpending(b)
		_ = idle.FreshAt(now)
	}), "a key that never ran costs no memory")
}

// triedAt is what the model remembers of one attempt or retry.
type triedAt struct {
	at    policy.Time
	retry bool
}

// budgetModel is the oracle: a list of all that ever happened, counted anew for each question. The ratio is p/q.
type budgetModel struct {
	p, q, floor int64
	window      time.Duration
	all         []triedAt
	last        policy.Time
}

func (m *budgetModel) budget() policy.Budget {
	return policy.Budget{Ratio: float64(m.p) / float64(m.q), MinRetries: int(m.floor), Window: m.window}
}

// count is how many attempts and retries are of an age that counts.
func (m *budgetModel) count(counts func(at policy.Time) bool) (attempts, retries int64) {
	for _, r := range m.all {
		switch {
		case !counts(r.at):
		case r.retry:
			retries++
		default:
			attempts++
		}
	}
	return attempts, retries
}

// affords compares whole numbers.
func (m *budgetModel) affords(attempts, retries int64) bool {
	return retries+1 <= m.floor || m.q*(retries+1) <= m.p*attempts
}

func (m *budgetModel) slice(at policy.Time) int64 {
	length := int64(m.window / 10)
	if m.window%10 != 0 {
		length++
	}
	return int64(at) / length
}

// remembered is the exact rule: the present slice and the ten before it.
func (m *budgetModel) remembered(at policy.Time) bool { return m.slice(m.last)-m.slice(at) <= 10 }

// bounds are what is promised without a word on slices: what no grant may exceed, and what no refusal may fall short of.
func (m *budgetModel) bounds() (may, must bool) {
	young := func(at policy.Time) bool { return m.last.Sub(at) <= m.window }
	youngish := func(at policy.Time) bool { return 10*m.last.Sub(at) < 11*(m.window+9) }
	youngAttempts, youngRetries := m.count(young)
	attempts, retries := m.count(youngish)
	return m.affords(attempts, youngRetries), m.affords(youngAttempts, retries)
}

// freshAt looks for the first instant at which nothing is remembered, slice by slice.
func (m *budgetModel) freshAt(now policy.Time) policy.Time {
	latest := int64(-1)
	for _, r := range m.all {
		if m.remembered(r.at) {
			latest = max(latest, m.slice(r.at))
		}
	}
	if latest < 0 {
		return now
	}
	length := (m.window + 9) / 10
	return policy.Time(0).Add(time.Duration(latest+11) * length)
}

// S-R11, S-L7: after any sequence of attempts, retries and pauses a spending answers as the list does, and within the
// bounds that hold whatever the slices are.
func TestSpendingAgreesWithModel(t *testing.T) {
	yes, no := 0, 0
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 21))
		m := &budgetModel{q: 1 + rng.Int64N(100), floor: 1 + rng.Int64N(12), window: time.Duration(exponential(rng, 1e11))}
		m.p = 1 + rng.Int64N(m.q)
		s := newSpending(t, m.budget())
		m.last = policy.Time(rng.Int64N(1e15))
		s.Attempt(m.last)
		m.all = append(m.all, triedAt{at: m.last})
		busy := 1 + rng.IntN(8)
		for step := range 400 {
			where := fmt.Sprintf("seed %d step %d, %d/%d, floor %d, window %d", seed, step, m.p, m.q, m.floor, m.window)
			now := m.last
			switch rng.IntN(12 * busy) {
			case 0, 1, 2: // a part of a slice
				now = now.Add(time.Duration(rng.Int64N(int64(m.window/10) + 2)))
			case 3, 4: // some slices
				now = now.Add(time.Duration(rng.Int64N(int64(m.window) + 2)))
			case 5: // all of them
				now = now.Add(m.window + time.Duration(rng.Int64N(int64(m.window)+2)))
			case 6: // to the very moment, or just before
				now = max(now, m.freshAt(now)-policy.Time(rng.IntN(2)))
			case 7: // backwards
				now = policy.Time(rng.Int64N(int64(now) + 1))
			}
			m.last = max(m.last, now)
			switch rng.IntN(5) {
			case 0, 1:
				attempts, retries := m.count(m.remembered)
				want := m.affords(attempts, retries)
				got := s.Retry(now)
				require.Equal(t, want, got, where)
				may, must := m.bounds()
				require.True(t, may || !got, "%s: granted beyond the budget", where)
				require.True(t, got || !must, "%s: refused within the budget", where)
				if got {
					m.all = append(m.all, triedAt{at: m.last, retry: true})
					yes++
				} else {
					no++
				}
			case 2:
				require.Equal(t, m.freshAt(now), s.FreshAt(now), where)
			default:
				s.Attempt(now)
				m.all = append(m.all, triedAt{at: m.last})
			}
		}
	}
	assert.Greater(t, yes, 10_000, "the walk hardly knows a retry")
	assert.Greater(t, no, 5_000, "the walk hardly knows a refusal")
}

// S-L1, S-R11: an attempt that is taken back has never been; one that is forgotten already is not taken back twice.
func TestSpendingReturns(t *testing.T) {
	s := policy.NewSpending(policy.Budget{Ratio: 0.5, MinRetries: 1, Window: 10 * time.Second})
	at := func(seconds float64) policy.Time { return policy.Time(seconds * float64(time.Second)) }
	for range 20 {
		s.Attempt(at(1))
	}
	for range 18 {
		s.Return(at(1.5), at(1))
	}
	assert.True(t, s.Retry(at(2)))
	assert.False(t, s.Retry(at(2)), "two attempts have one retry")
	s.Return(at(2), at(1))
	s.Return(at(2), at(1))
	s.Return(at(2), at(1)) // of none
	s.Attempt(at(2))
	s.Attempt(at(2))
	s.Attempt(at(2))
	s.Attempt(at(2))
	assert.True(t, s.Retry(at(2)), "four have two")
	assert.False(t, s.Retry(at(2)))
	s.Return(at(30), at(2)) // has left the window
	for range 4 {
		s.Attempt(at(30))
	}
	assert.True(t, s.Retry(at(30)))
	assert.True(t, s.Retry(at(30)))
	assert.False(t, s.Retry(at(30)))
	s.Attempt(at(50))
	s.Attempt(at(54))
	s.Attempt(at(54))
	assert.Equal(t, at(65), s.FreshAt(at(54)))
	s.Return(at(54), at(54))
	assert.Equal(t, at(65), s.FreshAt(at(54)))
	s.Return(at(54), at(54))
	assert.Equal(t, at(61), s.FreshAt(at(54)), "a key is as new as if that had never been (S-A9)")
	s.Return(at(54), at(50))
	assert.Equal(t, at(54), s.FreshAt(at(54)))
	s = policy.NewSpending(policy.Budget{Ratio: 0.5, Window: 10 * time.Second})
	s.Attempt(0)
	s.Return(0, 0) // at the beginning of time
	assert.Zero(t, s.FreshAt(0))
	off := policy.NewSpending(policy.Budget{})
	off.Return(at(1), at(1))
	assert.True(t, off.Retry(at(1)))
}
