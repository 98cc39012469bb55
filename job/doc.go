// Package job holds the caller's words: the function that is run ([Func]), the answer that is awaited ([Future]), what a
// function may know of its own run ([Attempt]), and the errors in which a job can end.
//
// A future comes from a dispatcher. It is settled exactly once, whatever becomes of the job, and can be awaited by any
// number of goroutines, any number of times:
//
//	answer, err := future.Await(ctx)
//
// # Concurrency
//
// All methods of [Future] may be called from any goroutine. Awaiting, inside a job, another job of the same dispatcher
// can deadlock: all workers may be taken by jobs that wait for jobs that wait for a worker. With the context that the function
// was given this is noticed, and told by [ErrDeadlock]; with another, the call hangs.
//
// # Errors
//
// A job that did not succeed ends in an [*Error]. It tells why the dispatcher stopped, what the function returned last,
// and why a context ended; all of them are found by errors.Is and errors.As. Why it stopped is one of
//
//	ErrRetriesOff, ErrNotRetried (both are ErrFailed)     the function's error is not to be tried again
//	*MaxRetriesExceededError (ErrMaxRetriesExceeded)      it failed as often as it may
//	ErrMaxElapsed, ErrThrottled, ErrHintTooLong           another attempt would be too late, or the server wants too long a wait
//	ErrRetryBudget                                        too many of its key's attempts are retries
//	ErrDeadline, ErrCanceled, ErrContextEnded             its deadline, Cancel or Submit's context (an ErrCanceled, too)
//	ErrNotStarted, ErrAborted                             the dispatcher was closed or stopped
//	ErrCostTooHigh                                        a burst was lowered below its cost
//	*policy.OpenCircuitError (policy.ErrOpenCircuit)      its circuit is open, and it does not wait
//	*PanicError, ErrGoexit                                its function did not return
//
// # For dispatchers
//
// [Promise], [Owner], [Attendance], [Carrier], [Place] and [Settler] are for who writes a dispatcher, not for who uses one. Rules cited
// in comments, such as S-F1, are those of scheduler/SEMANTICS.md.
//
// # Cost
//
// A future is one object, part of the job it belongs to. The channel behind [Future.Done] is made when somebody asks for
// it, and not before.
package job
