// Package bench compares the dispatcher with other ways to run the same jobs, in one run on one machine. It is a module of
// its own, so that what is only compared never reaches a user's go.sum.
//
//	go run ./bench/compare                      # everything, interleaved; writes bench/RESULTS.md
//	go test -run '^$' -bench . ./bench/...      # a few of them as Go benchmarks
//
// Only ratios between contenders of the same run mean anything. The dispatcher is measured with a limit that does not bind,
// retries and a breaker. Beside it, command rules keeps the table of the scheduler's rules, sim plays random stories to the scheduler
// and has them judged, soak sends millions of jobs with faults through dispatchers that come and go, peers runs the defects of
// others, mutants changes the code and wants tests to fail, and journal holds the durable record against databases.
package bench
