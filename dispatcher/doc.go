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
//	future, err := dispatcher.Submit(ctx, d, func(ctx context.Context) (string, error) { return ask(ctx, prompt) })
//	…
//	answer, err := future.Await(ctx)
//
// [Submit] queues a job; [TrySubmit] does not wait for room; [Go] takes a function without a result; [Do] submits and
// awaits; [Wrap] turns a function into one that is guarded; [Map] runs a function over a sequence, within a bounded window, and
// [Then] is the next stage. Package job awaits many futures at once: job.All, First, Completed, Settled.
//
// A job has a key, whose circuit, cooldown, workers and limits it shares with others of that key ([WithKey], Config.Keys), may
// belong to groups with a bound of their own ([WithGroup]), and takes from limits that are the dispatcher's or shared with
// others ([NewSharedLimit]). What it waits for is told by job.Future.Explain, what happens by Config.OnEvent, and how things
// stand by [Dispatcher.Snapshot].
//
// # What a function says of its error
//
// Errors are not tried again unless they are marked by package policy (Transient, Throttled), well known to be transient
// (timeouts, connections refused or reset), or chosen by policy.Retry.On.
//
// # Concurrency
//
// Everything in this package may be called from any goroutine, and from inside jobs. There, pass on the context that the
// function was given: awaiting a job of the same dispatcher while all its workers do the same, and closing the dispatcher or
// waiting for it to be idle, would be a deadlock, which the call then returns as [job.ErrDeadlock]. With another context that
// cannot be told.
//
// The scheduler has a goroutine of its own, and lends itself for one turn to a caller or worker who would only wait, to one at a
// time. Functions, predicates, and the methods of errors and contexts are never called by it.
//
// # Errors
//
// A call that refuses a job says so itself, with one of the errors of this package, the cause of its context, or a
// *policy.FieldError. Whatever becomes of an accepted job is told by its future: a *job.Error.
//
// # Cost
//
// A dispatcher is a goroutine, two of its pool, and the workers in use; workers without work end after ten to twenty seconds. A
// job is one object of 288 bytes, one allocation besides the caller's function, whether it waits or runs; what it asks for with
// options, and what there is to tell of a failure, is another. A timeout costs nothing until its function asks for the end of
// its context. Submitting takes one short lock, and so does the end of an attempt. The module bench measures the rest beside
// other ways to do the same.
package dispatcher
