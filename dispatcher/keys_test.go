package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/scheduler"
)

// With as many keys in use as are allowed, a job with a new one is refused; a key that is like new again makes room (S-A9).
func TestMaxKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit := policy.Limit{Name: "calls", Rate: policy.PerSecond(1), Burst: 1, PerKey: true}
		d := open(t, dispatcher.Config{MaxKeys: 2, Limits: []policy.Limit{limit}})
		for _, key := range []string{"a", "b", "a", ""} {
			submit(t, d, newTimeline().marking(0, nil), dispatcher.WithKey(key))
		}
		_, err := dispatcher.Submit(t.Context(), d, newTimeline().marking(0, nil), dispatcher.WithKey("c"))
		require.ErrorIs(t, err, dispatcher.ErrTooManyKeys)
		assert.ErrorContains(t, err, `2 are in use, and "c" would be one more`)

		require.NoError(t, d.WaitIdle(t.Context())) // a has run twice: its bucket is full again after 2 s, that of b after 1 s
		_, err = dispatcher.Submit(t.Context(), d, newTimeline().marking(0, nil), dispatcher.WithKey("c"))
		require.NoError(t, err, "b is like new by now")
		time.Sleep(5 * time.Second)
		for n := range 100 { // one after the other, each forgotten in time
			submit(t, d, newTimeline().marking(0, nil), dispatcher.WithKey(fmt.Sprint(n)))
			time.Sleep(2 * time.Second)
		}
	})
}

// S-L2, S-L6: a key's own limit binds it in the place of the common one, and what is changed for all is not changed for it.
func TestKeyLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{
			Limits: []policy.Limit{{Name: "calls", Rate: policy.PerSecond(1), Burst: 1, PerKey: true, Strict: true}},
			Keys: func(key string) dispatcher.KeyConfig {
				if key != "fast" {
					return dispatcher.KeyConfig{}
				}
				return dispatcher.KeyConfig{Limits: []policy.Limit{{Name: "calls", Rate: policy.PerSecond(10), Burst: 2}}}
			},
		})
		fast, slow := newTimeline(), newTimeline()
		var futures []*job.Future[int]
		for range 4 {
			futures = append(futures, submit(t, d, fast.marking(0, nil), dispatcher.WithKey("fast")), submit(t, d, slow.marking(0, nil), dispatcher.WithKey("slow")))
		}
		synctest.Wait()
		keys := snapshot(d).Keys
		require.Len(t, keys, 2)
		assert.Equal(t, []scheduler.LimitSnapshot{{Name: "calls", Rate: policy.PerSecond(10), Burst: 2, Waiting: 2}}, keys[0].Limits)
		assert.Equal(t, []scheduler.LimitSnapshot{{Name: "calls", Rate: policy.PerSecond(1), Burst: 1, Waiting: 3}}, keys[1].Limits)
		one, err := policy.AmountOf("cost", 1)
		require.NoError(t, err)
		assert.Equal(t, []scheduler.Wait{{Kind: scheduler.ForLimit, Name: "calls", In: time.Second, Cost: one}}, keys[1].Waits)

		require.NoError(t, d.SetRate("calls", policy.PerSecond(2)))
		for _, future := range futures {
			succeed(t, future)
		}
		assert.Equal(t, ms(0, 0, 100, 200), fast.all())
		assert.Equal(t, ms(0, 500, 1000, 1500), slow.all())

		_, err = dispatcher.Submit(t.Context(), d, fast.marking(0, nil), dispatcher.WithCost("calls", 2), dispatcher.WithKey("slow"))
		assert.ErrorContains(t, err, "at most the burst of 1, because the limit is strict") // S-L4
		succeed(t, submit(t, d, fast.marking(0, nil), dispatcher.WithCost("calls", 5), dispatcher.WithKey("fast")))
	})
}

// S-B7: what becomes of jobs at an open circuit is said by the call, unless the dispatcher's breaker says otherwise, unless the
// key's own does, unless the job's options do.
func TestKeyWhenOpen(t *testing.T) {
	own := func(choice policy.WhenOpen) dispatcher.KeyConfig {
		return dispatcher.KeyConfig{Breaker: &policy.Breaker{FailureThreshold: 1, RecoveryTimeout: recovery, WhenOpen: choice}}
	}
	keys := map[string]dispatcher.KeyConfig{"by call": own(policy.ByCall), "fast": own(policy.FailFast), "waits": own(policy.Wait), "wide": {Workers: 9}}
	for _, c := range []struct {
		all     policy.WhenOpen
		key     string
		options []dispatcher.Option
		do      bool
		fast    bool
	}{
		{policy.ByCall, "fast", nil, false, true},
		{policy.ByCall, "waits", nil, true, false},
		{policy.Wait, "by call", nil, true, true},
		{policy.FailFast, "by call", nil, false, false},
		{policy.FailFast, "wide", nil, false, true},
		{policy.Wait, "wide", nil, true, false},
		{policy.Wait, "none", nil, true, false},
		{policy.ByCall, "fast", []dispatcher.Option{dispatcher.WithWhenOpen(policy.Wait)}, false, false},
		{policy.FailFast, "waits", []dispatcher.Option{dispatcher.WithWhenOpen(policy.FailFast)}, false, true},
		{policy.ByCall, "waits", []dispatcher.Option{dispatcher.WithWhenOpen(policy.ByCall)}, true, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			rule := breaker(1)
			rule.WhenOpen = c.all
			d := open(t, dispatcher.Config{Breaker: rule, Keys: func(key string) dispatcher.KeyConfig { return keys[key] }})
			trip(t, d, dispatcher.WithKey(c.key))
			line := newTimeline()
			options := append([]dispatcher.Option{dispatcher.WithKey(c.key)}, c.options...)
			var err error
			if c.do {
				_, err = dispatcher.Do(t.Context(), d, line.marking(0, nil), options...)
			} else {
				_, err = await(t, submit(t, d, line.marking(0, nil), options...))
			}
			assert.Equal(t, c.fast, errors.Is(err, policy.ErrOpenCircuit), "%+v: %v", c, err)
			assert.Equal(t, c.fast, line.now() == 0, "%+v: after %v", c, line.now())
		})
	}
}

// What makes no sense as a key's own limit is refused, all of it at once.
func TestKeyLimitRefusals(t *testing.T) {
	own := policy.Limit{Name: "own", Rate: policy.PerSecond(1), PerKey: true}
	d := open(t, dispatcher.Config{
		Limits: []policy.Limit{own, {Name: "all", Rate: policy.PerSecond(1)}},
		Keys: func(string) dispatcher.KeyConfig {
			return dispatcher.KeyConfig{
				Breaker: &policy.Breaker{FailureThreshold: -1},
				Limits: []policy.Limit{
					{Name: "own", Rate: policy.PerSecond(2), DefaultCost: 2, CostRequired: true, Settled: true}, own, {Name: "own"},
					{Name: "all", Rate: policy.PerSecond(1)}, {Name: "none", Rate: policy.PerSecond(1)},
				},
			}
		},
	})
	_, err := dispatcher.Submit(t.Context(), d, newTimeline().marking(0, nil), dispatcher.WithKey("k"))
	require.ErrorIs(t, err, policy.ErrInvalid)
	for _, text := range []string{
		`Config.Keys("k"): policy: Breaker.FailureThreshold is -1`,
		`Config.Keys("k").Limits("own").DefaultCost is 2; it must be left out, because a job costs the same whatever its key`,
		`Config.Keys("k").Limits("own").CostRequired is true`,
		`Config.Keys("k").Limits("own").Settled is true`,
		`Config.Keys("k").Limits("own") is given twice`,
		`Config.Keys("k"): policy: Limit("own").Rate is no rate`,
		`Config.Keys("k").Limits("all") is for all keys together; it must be the name of one of Config.Limits that has PerKey set`,
		`Config.Keys("k").Limits("none") is unknown`,
	} {
		assert.ErrorContains(t, err, text)
	}
	assert.Empty(t, snapshot(d).Keys)
}

// What Config.Keys does when it is asked is its own affair: a panic there leaves nothing behind.
func TestKeysPanics(t *testing.T) {
	d := open(t, dispatcher.Config{Queue: 1, Keys: func(key string) dispatcher.KeyConfig {
		if key == "bad" {
			panic("no such key")
		}
		return dispatcher.KeyConfig{}
	}})
	nothing := func(context.Context) (int, error) { return 0, nil }
	assert.Panics(t, func() { _, _ = dispatcher.Submit(t.Context(), d, nothing, dispatcher.WithKey("bad")) })
	future, err := dispatcher.TrySubmit(t.Context(), d, nothing, dispatcher.WithKey("good"))
	require.NoError(t, err)
	succeed(t, future)
}

// S-A9: keys that only Observe has named count as well.
func TestObservedKeysAreBounded(t *testing.T) {
	d := open(t, dispatcher.Config{MaxKeys: 2, Limits: []policy.Limit{{Name: "calls", Rate: policy.PerHour(1), Burst: 1000, PerKey: true}}})
	for i := range 10 {
		err := d.Observe("calls", fmt.Sprint("key-", i), 0)
		assert.Equal(t, i >= 2, errors.Is(err, dispatcher.ErrTooManyKeys), "%d: %v", i, err)
	}
	assert.Len(t, snapshot(d).Keys, 2)
}

// S-A9: a key that is forgotten and comes back in the same moment is counted all the same.
func TestKeysUnderLoad(t *testing.T) {
	d := open(t, dispatcher.Config{MaxKeys: 4})
	var users sync.WaitGroup
	for i := range 4 {
		users.Go(func() {
			for range 500 {
				_, err := dispatcher.Do(t.Context(), d, func(context.Context) (int, error) { return 0, nil }, dispatcher.WithKey(fmt.Sprint("key-", i)))
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	users.Wait()
	assert.Empty(t, snapshot(d).Keys)
}

// S-F8: Config.Keys may hand in jobs itself: who asks it for a key's rules takes up no room meanwhile.
func TestKeysHandInJobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d *dispatcher.Dispatcher
		nothing := func(context.Context) (int, error) { return 2, nil }
		d = open(t, dispatcher.Config{Queue: 1, Keys: func(key string) dispatcher.KeyConfig {
			if key == "meta" {
				return dispatcher.KeyConfig{}
			}
			weight, err := dispatcher.Do(context.Background(), d, nothing, dispatcher.WithKey("meta"))
			assert.NoError(t, err)
			return dispatcher.KeyConfig{Weight: weight}
		}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		future, err := dispatcher.Submit(ctx, d, nothing, dispatcher.WithKey("a"))
		require.NoError(t, err)
		succeed(t, future)
	})
}

// A word by hand about a key whose rules make no sense does not make it one without rules.
func TestByHandAboutInvalidKey(t *testing.T) {
	d := open(t, dispatcher.Config{
		Keys:   func(string) dispatcher.KeyConfig { return dispatcher.KeyConfig{Weight: -1} },
		Limits: []policy.Limit{{Name: "calls", Rate: policy.Blocked, Burst: 1000}},
	})
	nothing := func(context.Context) (int, error) { return 0, nil }
	for range 2 {
		_, err := dispatcher.Submit(t.Context(), d, nothing, dispatcher.WithKey("x"))
		assert.ErrorIs(t, err, policy.ErrInvalid)
		d.ForceClosed("x")
	}
	assert.NoError(t, d.Observe("calls", "x", 5), "of a limit for all keys: no key is asked for")
	assert.Equal(t, 5.0, snapshot(d).Limits[0].Level)
}
