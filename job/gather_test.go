package job_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/job"
)

var errOne, errTwo = errors.New("one"), errors.New("two")

// promises returns n promises and their futures.
func promises(n int) ([]*job.Promise[int], []*job.Future[int]) {
	list := make([]*job.Promise[int], n)
	futures := make([]*job.Future[int], n)
	for i := range list {
		list[i] = new(job.Promise[int])
		futures[i] = list[i].Future()
	}
	return list, futures
}

// S-F3: as they finish, each once, and those that are over already first.
func TestCompletedComesAsJobsDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, futures := promises(4)
		p[2].Settle(2, nil)
		for i, after := range []time.Duration{3 * time.Second, time.Second, 0, 2 * time.Second} {
			time.AfterFunc(after, func() { p[i].Settle(i, nil) })
		}
		start := time.Now()
		var order []int
		var at []time.Duration
		for i, result := range job.Completed(t.Context(), futures...) {
			assert.Equal(t, job.Result[int]{Value: i}, result)
			order = append(order, i)
			at = append(at, time.Since(start))
		}
		assert.Equal(t, []int{2, 1, 3, 0}, order)
		assert.Equal(t, []time.Duration{0, time.Second, 2 * time.Second, 3 * time.Second}, at)
	})
}

// A loop that is left lets the futures go, and may be ranged over again; the same future may be given twice.
func TestCompletedAgain(t *testing.T) {
	p, futures := promises(2)
	p[0].Settle(7, nil)
	all := job.Completed(t.Context(), futures[0], futures[1], futures[0])
	for i := range all {
		assert.Zero(t, i)
		break
	}
	p[1].Settle(8, nil)
	var order []int
	for i := range all {
		order = append(order, i)
	}
	assert.ElementsMatch(t, []int{0, 1, 2}, order)
}

// S-F3: when the waiter's patience ends, each of the others says so, and the jobs go on.
func TestGivingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, futures := promises(3)
		p[0].Settle(1, nil)
		p[1].Settle(0, errOne)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		values, err := job.All(ctx, futures...)
		assert.Equal(t, []int{1, 0, 0}, values)
		require.ErrorIs(t, err, errOne)
		require.ErrorIs(t, err, job.ErrNotSettled)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, job.Pending, futures[2].State())
		assert.Equal(t, job.Failed, futures[1].State())
		assert.Equal(t, job.Succeeded, futures[0].State())
	})
}

func TestAll(t *testing.T) {
	p, futures := promises(3)
	for i := range p {
		p[i].Settle(i*10, nil)
	}
	values, err := job.All(t.Context(), futures...)
	require.NoError(t, err)
	assert.Equal(t, []int{0, 10, 20}, values)

	values, err = job.All[int](t.Context())
	require.NoError(t, err)
	assert.Empty(t, values)
}

// No result is lost when others fail.
func TestSettled(t *testing.T) {
	p, futures := promises(3)
	p[0].Settle(0, errOne)
	p[1].Settle(5, nil)
	p[2].Settle(0, errTwo)
	results := job.Settled(t.Context(), append(futures, nil)...)
	assert.Equal(t, []job.Result[int]{{Err: errOne}, {Value: 5}, {Err: errTwo}}, results[:3])
	assert.ErrorIs(t, results[3].Err, job.ErrNilFuture)
	assert.ErrorContains(t, results[3].Err, "number 3")
}

func TestFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, futures := promises(3)
		p[0].Settle(0, errOne)
		time.AfterFunc(time.Second, func() { p[2].Settle(3, nil) })
		time.AfterFunc(2*time.Second, func() { p[1].Settle(2, nil) })
		start := time.Now()
		value, err := job.First(t.Context(), futures...)
		require.NoError(t, err)
		assert.Equal(t, 3, value)
		assert.Equal(t, time.Second, time.Since(start))
		time.Sleep(2 * time.Second)

		failing, futures := promises(2)
		failing[0].Settle(0, errOne)
		failing[1].Settle(0, errTwo)
		_, err = job.First(t.Context(), futures...)
		assert.ErrorIs(t, err, errOne)
		assert.ErrorIs(t, err, errTwo)
		_, err = job.First[int](t.Context())
		assert.ErrorIs(t, err, job.ErrNoFutures)
	})
}

// Many waiters on the same futures, while these settle.
func TestManyWaiters(t *testing.T) {
	p, futures := promises(100)
	done := make(chan []int, 20)
	for range 20 {
		go func() {
			values, err := job.All(context.Background(), futures...)
			assert.NoError(t, err)
			done <- values
		}()
	}
	for i := range slices.Backward(p) {
		p[i].Settle(i, nil)
	}
	for range 20 {
		values := <-done
		assert.True(t, slices.IsSorted(values) && len(values) == 100 && values[99] == 99)
	}
}
