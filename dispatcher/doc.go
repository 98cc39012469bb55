// Package dispatcher runs unreliable calls under limits, retries and circuit breakers.
//
// Callers hand jobs to a [Dispatcher] and get futures. One scheduler owns the state of every limit, breaker and waiting job; it
// admits each attempt against all of them at once, hands the admitted ones to a pool of goroutines, and queues failed ones again
// with a backoff. What waits is an entry in a heap: it holds no goroutine, permit or worker.
//
//	d, err := dispatcher.New(dispatcher.Config{
//		Workers: 64,
//		Limits:  []policy.Limit{{Name: "requests", Rate: policy.PerMinute(500), Burst: 10}},
//		Retry:   policy.Retry{MaxAttempts: 4},
//		Breaker: policy.Breaker{FailureThreshold: 5},
//	})
//	…
//	defer d.Close(context.Background()) // finishes what was accepted
//	future, err := dispatcher.Submit(ctx, d, func(ctx context.Context) (string, error) { return ask(ctx, prompt) })
//	…
//	answer, err := future.Await(ctx)
//
// # Ways to hand in work
//
// [Submit] queues a job; [TrySubmit] does not wait for room; [Go] takes a function without a result; [Do] submits and
// awaits; [Wrap] turns a function into one that is guarded; [Stream] is for a result that is still to be read when the function
// returns, and keeps its worker until then. A batch is a [Map]: it runs a function over a sequence (of a slice:
// slices.Values), within a bounded window, and yields what comes of each element. [Then] is the next stage of a pipeline. Package
// job awaits several futures: job.All, First (success), Completed (as they finish) and Settled.
//
//	for item := range dispatcher.Map(ctx, d, slices.Values(prompts), ask, nil) {
//		fmt.Println(item.In, item.Value, item.Err)
//	}
//
// A job has a key, whose circuit, cooldown, workers and limits it shares with others of that key ([WithKey], Config.Keys), may
// belong to groups with a bound of their own ([WithGroup]), and takes from limits that are the dispatcher's, its key's, or shared
// with other dispatchers ([NewSharedLimit]). Priority, deadline, delay, timeout and retries can be its own: see [Option].
//
// A [Limiter] and a [Breaker] are the same machines alone, for code that needs no dispatcher.
//
// # What a function says of its error
//
// Errors are not tried again unless they are marked by package policy (Transient, Throttled), well known to be transient
// (timeouts, connections refused or reset), or chosen by policy.Retry.On. An unmarked one counts against the breaker: mark the caller's
// own mistakes, such as a 404, as Fatal. What an HTTP answer means, and how long its Retry-After is, is told by package policy/api.
//
// # Watching and steering
//
// What one job waits for is told by job.Future.Explain, how everything stands by [Dispatcher.Snapshot], and what happens by
// Config.OnEvent. Rates, bursts and workers can be changed while jobs wait, a circuit can be opened and closed by hand, and
// starts can be paused: see the methods of [Dispatcher].
//
// # Concurrency
//
// Everything in this package may be called from any goroutine, from inside jobs, and by listeners. The scheduler has a goroutine
// of its own, and lends itself to a caller or worker who would only wait, to one at a time. Functions, predicates,
// Config.Keys, listeners, and the methods of errors and contexts are the caller's code: it never calls them, so they may take their
// time and call anything here.
//
// Inside a job, pass on the context that its function was given. By that a dispatcher knows who calls: Submit then does not wait
// for room that the job itself may take up (it returns [ErrQueueFull]), and whoever waits for another job of the same dispatcher,
// for it to be idle or to be closed, is told when that can never come ([job.ErrDeadlock]). With another context this cannot be told,
// and the call hangs until that ends. Nor can it be told which goroutine waits: the attempt as a whole counts as waiting, and one that
// goes on beside a goroutine which waits in its name may see that told of a deadlock. Such a goroutine is better given a context that
// does not come from the attempt's.
//
// What an attempt has written can be read by the job's next attempt, and by who has awaited the job, unless that ended while its
// function still ran. Where one worker is all that a dispatcher or a group has, each attempt sees what those before it wrote.
//
// # Errors
//
// A call that refuses a job says so itself, and then there is no future: with one of the errors of this package, such as
// [ErrQueueFull] or [ErrClosed], with the cause of its context, or with a [*policy.FieldError], which names the option or field, its
// value, and what is allowed. Whatever becomes of an accepted job is told by its future, as a [*job.Error]: why the job was given up,
// what its function returned last, why a context ended, and how its attempts failed. errors.Is and errors.As find all of it:
//
//	switch {
//	case errors.Is(err, job.ErrMaxRetriesExceeded): // it failed as often as it may
//	case errors.Is(err, policy.ErrOpenCircuit):     // it was not tried, or not again
//	case errors.Is(err, job.ErrDeadline):           // its time was up
//	case errors.Is(err, job.ErrAttemptTimeout):     // its last attempt's was
//	case errors.Is(err, job.ErrCanceled):           // by Cancel, or by Submit's context
//	case errors.Is(err, errMine):                   // whatever its function returned
//	}
//
// context.DeadlineExceeded can be either of those times, and is found in what a function made of its attempt's as well.
//
// # Cost
//
// A dispatcher is a goroutine, two of its pool, and the workers in use; workers without work end after ten to twenty seconds. A
// job is one object of 288 bytes, one allocation besides the caller's function, whether it waits or runs; what it asks for with
// options, what there is to tell of a failure, and when a timeout is up, is another each. The timer of a timeout is made when the
// function first asks for the end of its context. Submitting takes one short lock, and so does the end of an attempt. The module
// bench measures the rest beside other ways to do the same.
package dispatcher
