package dispatcher_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/policy"
)

// mode is who decides about the circuit of a key, as the snapshot shows it.
func mode(d *dispatcher.Dispatcher, key string) policy.Mode {
	for _, k := range snapshot(d).Keys {
		if k.Key == key {
			return k.Mode
		}
	}
	return policy.Automatic
}

// S-B11: a key that is forced open keeps its jobs waiting however long that takes, and turns away those who won't wait; what
// runs goes on, and so do other keys. Reset lets all of them go at once. No breaker is needed for it.
func TestForceOpen(t *testing.T) {
	for name, rule := range map[string]policy.Breaker{"no breaker": {}, "a breaker": breaker(1)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := open(t, dispatcher.Config{Breaker: rule})
				line := newTimeline()
				running := submit(t, d, line.naming("running", time.Minute, nil), dispatcher.WithKey("k"))
				synctest.Wait()
				d.ForceOpen("k")
				assert.Equal(t, policy.ForcedOpen, mode(d, "k"))
				for range 3 {
					submit(t, d, line.naming("waiting", 0, nil), dispatcher.WithKey("k"))
				}
				_, err := dispatcher.Do(t.Context(), d, line.naming("impatient", 0, nil), dispatcher.WithKey("k"))
				assert.Negative(t, openCircuit(t, err).RetryAfter, "only Reset can tell")
				succeed(t, submit(t, d, line.naming("other", 0, nil), dispatcher.WithKey("other")))
				succeed(t, running)
				time.Sleep(time.Hour)
				assert.Equal(t, []string{"running", "other"}, line.order())
				d.Reset("k")
				require.NoError(t, d.WaitIdle(t.Context()))
				assert.Equal(t, []string{"running", "other", "waiting", "waiting", "waiting"}, line.order())
				assert.Equal(t, time.Hour+time.Minute, line.now())
				assert.Equal(t, policy.Automatic, mode(d, "k"))
			})
		})
	}
}

// S-B11: a key that is forced closed, or disabled, passes everything, be its circuit open or called unusable, and whatever fails;
// after Reset its rule decides again, and counts from new.
func TestForceClosedAndDisable(t *testing.T) {
	for name, c := range map[string]struct {
		call func(*dispatcher.Dispatcher, string)
		want policy.Mode
	}{
		"ForceClosed": {(*dispatcher.Dispatcher).ForceClosed, policy.ForcedClosed},
		"Disable":     {(*dispatcher.Dispatcher).Disable, policy.Disabled},
	} {
		for end, opening := range map[string]error{"open": errBackend, "unusable": policy.Unusable(errBackend)} {
			t.Run(name+", "+end, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					d := open(t, dispatcher.Config{Breaker: breaker(2)})
					key, once := dispatcher.WithKey("k"), dispatcher.WithRetry(policy.Retry{})
					line := newTimeline()
					for range 2 {
						failure(t, submit(t, d, line.marking(0, opening), key, once, dispatcher.WithWhenOpen(policy.FailFast)))
					}
					waiting := submit(t, d, line.marking(0, nil), key)
					synctest.Wait()
					assert.False(t, settled(waiting))
					c.call(d, "k")
					succeed(t, waiting)
					for range 5 {
						failure(t, submit(t, d, line.marking(0, errBackend), key, once))
					}
					state, _ := circuit(d, "k")
					assert.Equal(t, policy.Closed, state)
					assert.Equal(t, c.want, mode(d, "k"))
					assert.Zero(t, line.now())

					d.Reset("k")
					trip(t, d, key)
					state, _ = circuit(d, "k")
					assert.Equal(t, policy.Closed, state, "it counts from new")
					trip(t, d, key)
					state, _ = circuit(d, "k")
					assert.Equal(t, policy.Open, state)
				})
			})
		}
	}
}

// A person's word is not refused for want of keys, and is forgotten with Reset.
func TestOverrideBeyondMaxKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{MaxKeys: 2})
		nothing := func(context.Context) (int, error) { return 0, nil }
		for n := range 5 {
			d.ForceClosed(fmt.Sprint(n))
		}
		_, err := dispatcher.Submit(t.Context(), d, nothing, dispatcher.WithKey("new"))
		require.ErrorIs(t, err, dispatcher.ErrTooManyKeys)
		succeed(t, submit(t, d, nothing, dispatcher.WithKey("4")))
		for n := range 4 {
			d.Reset(fmt.Sprint(n))
		}
		assert.Len(t, snapshot(d).Keys, 1)
		succeed(t, submit(t, d, nothing, dispatcher.WithKey("new")))
	})
}

// Keys says what a key's own breaker is also when a person speaks of the key before any job does.
func TestOverrideAsksForTheKeysRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Keys: func(key string) dispatcher.KeyConfig {
			if key == "strict" {
				rule := breaker(1)
				return dispatcher.KeyConfig{Breaker: &rule}
			}
			return dispatcher.KeyConfig{}
		}})
		d.ForceClosed("strict")
		d.Reset("strict")
		trip(t, d, dispatcher.WithKey("strict"))
		waiting := submit(t, d, newTimeline().marking(0, nil), dispatcher.WithKey("strict"))
		synctest.Wait()
		assert.Equal(t, "circuit", waiting.Explain().Waits[0].For)
		d.ForceClosed("strict")
		succeed(t, waiting)
	})
}

// Who reads a log sees that a person has taken a key in hand, though its circuit is closed.
func TestOverrideIsLogged(t *testing.T) {
	d := open(t, dispatcher.Config{Name: "by hand"})
	d.ForceClosed("k")
	assert.Contains(t, d.Snapshot().LogValue().String(), `key k=[circuit=closed cooling=0s queued=0 by hand=forced closed]`)
}

// What is said to a dispatcher that has ended changes nothing, and does not hang.
func TestOverrideAfterClose(t *testing.T) {
	d := open(t, dispatcher.Config{})
	require.NoError(t, d.Close(t.Context()))
	for _, say := range []func(string){d.ForceOpen, d.ForceClosed, d.Disable, d.Reset} {
		say("k")
	}
	assert.Empty(t, d.Snapshot().Keys)
}
