package dispatcher_test

import (
	"context"
	"flag"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
)

var listenerSeed = flag.Uint64("listener-seed", 0, "play only this seed of TestListenerActs")

// S-O2, S-F8: a listener that submits, takes snapshots, cancels, steers and closes, whatever it is told of and while others do
// the same, deadlocks nothing: every job that was accepted is settled, and Close returns.
func TestListenerActs(t *testing.T) {
	if *listenerSeed != 0 {
		playListener(t, *listenerSeed)
		return
	}
	for seed := range uint64(100) {
		playListener(t, seed+1)
		if t.Failed() {
			t.Fatalf("go test ./dispatcher -run TestListenerActs -args -listener-seed %d", seed+1)
		}
	}
}

func playListener(t *testing.T, seed uint64) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		actor := &actingListener{random: rand.New(rand.NewPCG(seed, 0)), ready: make(chan struct{})} //nolint:gosec // to be repeatable
		d, err := dispatcher.New(dispatcher.Config{
			Workers: 3, Queue: 20, EventBuffer: 10, OnEvent: actor.onEvent, Seed: seed,
			Limits:  []policy.Limit{{Name: "calls", Rate: policy.PerSecond(100), Burst: 5}},
			Retry:   exact(2, 10*time.Millisecond),
			Breaker: policy.Breaker{FailureThreshold: 5, RecoveryTimeout: 100 * time.Millisecond},
		})
		assert.NoError(t, err)
		actor.d = d
		close(actor.ready)
		for range 100 { // beside what the listener does
			actor.act()
			time.Sleep(10 * time.Millisecond)
		}
		d.Resume()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		assert.NoError(t, d.Close(ctx), "seed %d", seed)
		synctest.Wait()
		for _, f := range actor.accepted() {
			assert.True(t, settled(f), "seed %d: job %d was accepted and is not settled", seed, f.ID())
		}
	})
}

// actingListener does something with the dispatcher that it listens to whenever it is told of an event.
type actingListener struct {
	d     *dispatcher.Dispatcher
	ready chan struct{} // closed when d is there

	mu      sync.Mutex
	random  *rand.Rand         // guarded by mu
	futures []*job.Future[int] // guarded by mu
	acts    int                // guarded by mu
}

func (a *actingListener) onEvent(dispatcher.Event) {
	<-a.ready
	a.act()
}

func (a *actingListener) accepted() []*job.Future[int] {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.futures
}

// act does one thing, chosen at random. Every act makes events, so there is an end to them.
func (a *actingListener) act() {
	a.mu.Lock()
	a.acts++
	late, tired, choice, other := a.acts > 300, a.acts > 2000, a.random.IntN(100), a.random.IntN(1+len(a.futures))
	var future *job.Future[int]
	if other < len(a.futures) {
		future = a.futures[other]
	}
	a.mu.Unlock()
	d := a.d
	switch {
	case tired:
	case choice < 40:
		a.submit(choice)
	case choice < 50:
		d.Snapshot()
	case choice < 65 && future != nil:
		future.Cancel()
	case choice < 75 && future != nil:
		future.Explain()
	case choice < 80:
		d.Pause()
	case choice < 90:
		d.Resume()
	case choice < 95:
		_ = d.SetRate("calls", policy.PerSecond(float64(choice)))
	case choice < 97:
		_ = d.SetWorkers(1 + choice%3)
	case choice < 99:
		d.ForceOpen("k")
		d.Reset("k")
	default:
		end := d.WaitIdle
		if late {
			end = d.Close
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = end(ctx)
	}
}

func (a *actingListener) submit(choice int) {
	fn := func(ctx context.Context) (int, error) {
		if choice%4 == 0 {
			return 0, wait(ctx, 5*time.Millisecond, policy.Transient(errBackend))
		}
		return choice, wait(ctx, time.Duration(choice)*time.Millisecond, nil)
	}
	future, err := dispatcher.TrySubmit(context.Background(), a.d, fn, dispatcher.WithKey([]string{"", "k"}[choice%2]))
	if err != nil { // full, or closed
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.futures = append(a.futures, future)
}
