package dispatcher_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
)

// The environment variables by which the stress is sized: how many jobs, in chunks of at most chunkJobs with a dispatcher of their
// own, and the seed of the first chunk. By hand, for instance,
//
//	TOLLER_STRESS_JOBS=100000000 go test -race -run '^TestHandover$' -cpu 1,2,4 -timeout 0 ./dispatcher
const (
	stressJobs = "TOLLER_STRESS_JOBS"
	stressSeed = "TOLLER_STRESS_SEED"
	chunkJobs  = 20_000
)

// stall is how long nothing may happen before the test is taken to be stuck.
const stall = time.Minute

// Many small jobs from several callers, with calls of Do, functions that wait for a ticket, that end their goroutine, are delayed,
// canceled or tried again, and with somebody who pauses, resumes and changes the number of workers meanwhile: every job is
// resolved, and resolved as it should be. Where the model says that no post is forgotten and no attempt left lying, this looks
// whether the code does as the model (S-F1, S-C1).
func TestHandover(t *testing.T) {
	left, seed := number(t, stressJobs, 30_000), uint64(number(t, stressSeed, 1))
	for ; left > 0 && !t.Failed(); seed++ {
		n := min(left, chunkJobs)
		left -= n
		newHandoverStress(t, seed, n).play()
	}
}

// number reads an environment variable.
func number(t *testing.T, name string, usual int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err, name)
	return n
}

// handoverStress is one chunk.
type handoverStress struct {
	t       *testing.T
	seed    uint64
	d       *dispatcher.Dispatcher
	most    int // workers, at any time
	tickets chan chan struct{}

	left     atomic.Int64 // jobs to be submitted
	resolved atomic.Int64
	running  atomic.Int64
}

func newHandoverStress(t *testing.T, seed uint64, jobs int) *handoverStress {
	random := rand.New(rand.NewPCG(seed, 0))
	s := &handoverStress{t: t, seed: seed, most: 16, tickets: make(chan chan struct{}, 64)}
	s.left.Store(int64(jobs))
	var err error
	s.d, err = dispatcher.New(dispatcher.Config{
		Workers: pickOne(random, 1, 2, 3, s.most), Queue: pickOne(random, 5, 300, 1<<16),
		Retry: policy.Retry{MaxAttempts: 2, Delay: 10 * time.Microsecond, Jitter: policy.NoJitter},
	})
	require.NoError(t, err)
	return s
}

func pickOne[T any](random *rand.Rand, of ...T) T { return of[random.IntN(len(of))] }

// play goes on until all jobs are resolved.
func (s *handoverStress) play() {
	random := rand.New(rand.NewPCG(s.seed, 1))
	jobs := s.left.Load()
	over := make(chan struct{})
	var watching, helping, submitting sync.WaitGroup
	watching.Go(func() { s.watch(over) })
	helping.Go(s.giveTickets)
	helping.Go(func() { s.steer(over) })
	for i := range 1 + random.IntN(4) {
		window := pickOne(random, 1, 2, 30, 500)
		submitting.Go(func() { s.submit(uint64(i), window) })
	}
	submitting.Wait()
	close(over)
	close(s.tickets)
	helping.Wait()
	assert.Equal(s.t, jobs, s.resolved.Load(), "seed %d", s.seed)
	require.NoError(s.t, s.d.Close(context.Background())) // which waits for functions whose jobs are canceled, too
	assert.Zero(s.t, s.running.Load(), "seed %d", s.seed)
	watching.Wait()
}

// watch ends the process when nothing goes on any more, and tells how things stand.
func (s *handoverStress) watch(over <-chan struct{}) {
	before, since := int64(-1), time.Now()
	for {
		select {
		case <-over:
			return
		case <-time.After(time.Second):
		}
		if now := s.resolved.Load(); now != before {
			before, since = now, time.Now()
		} else if time.Since(since) > stall {
			stacks := make([]byte, 1<<20)
			stacks = stacks[:runtime.Stack(stacks, true)]
			panic(fmt.Sprintf("seed %d: stuck after %d jobs: %s\n\n%s", s.seed, now, dispatcher.Handover(s.d), stacks))
		}
	}
}

// giveTickets lets those go on who wait for a ticket.
func (s *handoverStress) giveTickets() {
	random := rand.New(rand.NewPCG(s.seed, 2))
	for ticket := range s.tickets {
		for range random.IntN(20) {
			runtime.Gosched()
		}
		close(ticket)
	}
}

// steer pauses and resumes, and changes the number of workers.
func (s *handoverStress) steer(over <-chan struct{}) {
	random := rand.New(rand.NewPCG(s.seed, 3))
	for {
		select {
		case <-over:
			s.d.Resume()
			return
		case <-time.After(time.Duration(random.IntN(300)) * time.Microsecond):
		}
		switch random.IntN(20) {
		case 0, 1, 2, 3, 4:
			s.d.Pause()
			for range random.IntN(50) {
				runtime.Gosched()
			}
			s.d.Resume()
		case 5, 6, 7, 8, 9:
			assert.NoError(s.t, s.d.SetWorkers(1+random.IntN(s.most)))
		case 10:
			runtime.GC()
		default:
			assert.LessOrEqual(s.t, s.d.Snapshot().Running, s.most)
		}
	}
}

// submit submits jobs while there are any, and has at most as many under way as the window says.
func (s *handoverStress) submit(number uint64, window int) {
	random := rand.New(rand.NewPCG(s.seed, 10+number))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var under []underWay
	for i := 0; s.left.Add(-1) >= 0; i++ {
		if next := s.one(ctx, random, i); next.future != nil {
			under = append(under, next)
		}
		if len(under) >= window {
			for range 1 + random.IntN(window) {
				s.resolve(under[0], random)
				under = under[1:]
			}
		}
		for range random.IntN(4) / 3 {
			runtime.Gosched()
		}
	}
	for _, one := range under {
		s.resolve(one, random)
	}
}

// underWay is a job that is not known to be over.
type underWay struct {
	future *job.Future[int]
	value  int
	want   error // nil: it succeeds
}

// one submits a job of one of several kinds. It returns none where the job is over.
func (s *handoverStress) one(ctx context.Context, random *rand.Rand, value int) underWay {
	kind, spins := random.IntN(1000), random.IntN(8)/6
	fn := func(ctx context.Context) (int, error) {
		if now := s.running.Add(1); now > int64(s.most) {
			assert.LessOrEqual(s.t, now, int64(s.most), "seed %d: in flight", s.seed)
		}
		defer s.running.Add(-1)
		for range spins {
			runtime.Gosched()
		}
		return value, s.end(ctx, kind)
	}
	var future *job.Future[int]
	var err error
	switch {
	case kind < 60: // a Do
		got, err := dispatcher.Do(ctx, s.d, fn)
		s.check(underWay{value: value}, got, err)
		return underWay{}
	case kind < 70:
		future, err = dispatcher.Submit(ctx, s.d, fn, dispatcher.WithDelay(time.Duration(random.IntN(50))*time.Microsecond))
	case kind < 300:
		future, err = dispatcher.Submit(ctx, s.d, fn)
	default:
		future, err = dispatcher.Submit(context.Background(), s.d, fn)
	}
	if !assert.NoError(s.t, err, "seed %d", s.seed) {
		s.resolved.Add(1)
		return underWay{}
	}
	made := underWay{future: future, value: value}
	switch {
	case kind == 999:
		made.want = job.ErrGoexit
	case kind >= 980 && kind < 990:
		made.want = job.ErrMaxRetriesExceeded
	case kind >= 970 && kind < 980:
		if future.Cancel() != job.AlreadySettled {
			made.want = job.ErrCanceled
		}
	}
	return made
}

// end is how the function of a job of this kind ends.
func (s *handoverStress) end(ctx context.Context, kind int) error {
	switch {
	case kind == 999:
		runtime.Goexit()
	case kind >= 980 && kind < 990: // it is tried again in vain
		return policy.Transient(errBackend)
	case kind >= 960 && kind < 970: // it is tried again, and then well
		if a, _ := job.AttemptFrom(ctx); a.N == 1 {
			return policy.Transient(errBackend)
		}
	case kind >= 900 && kind < 930:
		ticket := make(chan struct{})
		s.tickets <- ticket
		<-ticket
	}
	return nil
}

// resolve waits for a job, in one of several ways, and looks at its result.
func (s *handoverStress) resolve(one underWay, random *rand.Rand) {
	switch random.IntN(4) {
	case 0:
		<-one.future.Done()
	case 1:
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		_, _ = one.future.Await(ctx)
	}
	value, err := one.future.Await(context.Background())
	s.check(one, value, err)
}

func (s *handoverStress) check(one underWay, value int, err error) {
	s.resolved.Add(1)
	switch {
	case one.want == nil && (err != nil || value != one.value):
		assert.NoError(s.t, err, "seed %d", s.seed)
		assert.Equal(s.t, one.value, value, "seed %d", s.seed)
	case one.want != nil:
		assert.ErrorIs(s.t, err, one.want, "seed %d", s.seed)
	}
}
