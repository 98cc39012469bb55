// Package bench compares the dispatcher with other ways to run the same jobs, in one run on one machine. It is a module of
// its own, so that what is only compared never reaches a user's go.sum.
//
//	go test -run '^$' -bench . ./bench
//
// Only ratios between contenders of the same run mean anything. The dispatcher is measured with a limit that does not bind,
// retries and a breaker; the others do none of that.
package bench
