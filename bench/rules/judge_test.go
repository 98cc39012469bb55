package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// What go test -json printed, without times and without the depths of stacks.
const (
	started = `{"Action":"start","Package":"x/p"}
{"Action":"run","Package":"x/p","Test":"TestX"}
{"Action":"output","Package":"x/p","Test":"TestX","Output":"=== RUN   TestX\n"}
`
	spoke = `{"Action":"output","Package":"x/p","Test":"TestX","Output":"    p_test.go:4: bad 3\n"}
`
	testPassed = `{"Action":"output","Package":"x/p","Test":"TestX","Output":"--- PASS: TestX (0.00s)\n"}
{"Action":"pass","Package":"x/p","Test":"TestX","Elapsed":0}
{"Action":"output","Package":"x/p","Output":"PASS\n"}
`
	testFailed = `{"Action":"output","Package":"x/p","Test":"TestX","Output":"--- FAIL: TestX (0.00s)\n"}
{"Action":"fail","Package":"x/p","Test":"TestX","Elapsed":0}
{"Action":"output","Package":"x/p","Output":"FAIL\n"}
`
	ok = `{"Action":"output","Package":"x/p","Output":"ok  \tx/p\t0.002s\n"}
{"Action":"pass","Package":"x/p","Elapsed":0.003}
`
	notOK = `{"Action":"output","Package":"x/p","Output":"FAIL\tx/p\t0.002s\n"}
{"Action":"fail","Package":"x/p","Elapsed":0.003}
`
	stack = `{"Action":"output","Package":"x/p","Test":"TestX","Output":"\n"}
{"Action":"output","Package":"x/p","Test":"TestX","Output":"goroutine 19 [running]:\n"}
{"Action":"output","Package":"x/p","Test":"TestX","Output":"x/p.TestX(0x105ea261c488?)\n"}
{"Action":"output","Package":"x/p","Test":"TestX","Output":"\tp/p_test.go:5 +0x54\n"}
{"Action":"fail","Package":"x/p","Test":"TestX","Elapsed":0}
`
)

// printed is the event of one more line from TestX, which must need no escapes.
func printed(line string) string {
	return `{"Action":"output","Package":"x/p","Test":"TestX","Output":"` + line + `\n"}` + "\n"
}

func TestJudge(t *testing.T) {
	for _, tt := range []struct {
		name   string
		stream string
		want   ending
	}{
		{"passed", started + testPassed + ok, passed},
		{"passed, though it logs", started + spoke + testPassed + ok, passed},
		{"assertion", started + spoke + testFailed + notOK, asserted},
		{"assertion about a panic", started + spoke + printed("        panic: deadlock: fatal error: boom") + testFailed + notOK, asserted},
		{"assertion in a case", started + `{"Action":"run","Package":"x/p","Test":"TestX/sub"}
{"Action":"output","Package":"x/p","Test":"TestX/sub","Output":"=== RUN   TestX/sub\n"}
{"Action":"output","Package":"x/p","Test":"TestX/sub","Output":"    p_test.go:4: inner\n"}
{"Action":"output","Package":"x/p","Test":"TestX/sub","Output":"--- FAIL: TestX/sub (0.00s)\n"}
{"Action":"fail","Package":"x/p","Test":"TestX/sub","Elapsed":0}
` + testFailed + notOK, asserted},
		{"testify", started + printed(`    p_test.go:4: `) + printed(`        \tError Trace:\tp/p_test.go:4`) +
			printed(`        \tError:      \tNot equal: `) + testFailed + notOK, asserted},
		{"silent", started + testFailed + notOK, silent},
		{"complaint of testing itself", started + printed("    testing.go:1712: race detected during execution of test") + testFailed + notOK, silent},
		{"panic", started + printed("panic: assignment to entry in nil map [recovered, repanicked]") + stack + notOK, panicked},
		{"panic after an assertion", started + spoke + printed("--- FAIL: TestX (0.00s)") + printed("panic: boom [recovered, repanicked]") + stack + notOK, panicked},
		{"panic of another goroutine", started + printed("panic: x") + printed("") + printed("goroutine 20 [running]:") + notOK, panicked},
		{"Goexit", started + printed("--- FAIL: TestX (0.00s)") + printed("panic: test executed panic(nil) or runtime.Goexit") + stack + notOK, panicked},
		{"panic behind half a line", started + spoke + printed("halfpanic: boom") + stack + notOK, vanished},
		{"time-out", started + spoke + printed("panic: test timed out after 1s") + printed(`\trunning tests:`) + stack + notOK, timedOut},
		{"bubble deadlocked", started + printed("--- FAIL: TestX (0.00s)") +
			printed("panic: deadlock: all goroutines in bubble are blocked [recovered, repanicked]") + stack + notOK, deadlocked},
		{"bubble left behind by an assertion", started + spoke + printed("--- FAIL: TestX (0.00s)") +
			printed("panic: deadlock: main bubble goroutine has exited but blocked goroutines remain [recovered, repanicked]") + stack + notOK, deadlocked},
		{"all asleep", started + printed("fatal error: all goroutines are asleep - deadlock!") + stack + notOK, deadlocked},
		{"fatal error", started + spoke + printed("fatal error: concurrent map writes") + stack + notOK, died},
		{"race", started + spoke + printed("==================") + printed("WARNING: DATA RACE") +
			printed("    testing.go:1712: race detected during execution of test") + testFailed + notOK, raced},
		{"exit", started + spoke + notOK, vanished},
		{"skipped", started + spoke + printed("--- SKIP: TestX (0.00s)") + `{"Action":"skip","Package":"x/p","Test":"TestX","Elapsed":0}
{"Action":"output","Package":"x/p","Output":"PASS\n"}
` + ok, skipped},
		{"leak found by TestMain", started + testPassed + `{"Action":"output","Package":"x/p","Output":"goleak: Errors on successful test run\n"}
` + notOK, packageFailed},
		{"no tests", `{"Action":"start","Package":"x/p"}
{"Action":"output","Package":"x/p","Output":"testing: warning: no tests to run\n"}
{"Action":"output","Package":"x/p","Output":"PASS\n"}
{"Action":"output","Package":"x/p","Output":"ok  \tx/p\t0.002s [no tests to run]\n"}
{"Action":"pass","Package":"x/p","Elapsed":0.003}
`, notRun},
		{"another test failed", `{"Action":"run","Package":"x/p","Test":"TestXY"}
{"Action":"output","Package":"x/p","Test":"TestXY","Output":"    p_test.go:4: bad 3\n"}
{"Action":"fail","Package":"x/p","Test":"TestXY","Elapsed":0}
{"Action":"output","Package":"x/p","Output":"FAIL\n"}
` + notOK, notRun},
		{"not built", `{"ImportPath":"x/p [x/p.test]","Action":"build-output","Output":"# x/p [x/p.test]\n"}
{"ImportPath":"x/p [x/p.test]","Action":"build-output","Output":"p/p.go:1:20: undefined: undefinedX\n"}
{"ImportPath":"x/p [x/p.test]","Action":"build-fail"}
{"Action":"start","Package":"x/p"}
{"Action":"output","Package":"x/p","Output":"FAIL\tx/p [build failed]\n"}
{"Action":"fail","Package":"x/p","Elapsed":0,"FailedBuild":"x/p [x/p.test]"}
`, notBuilt},
		{"no package", "no required module provides package x/q\n", notRun},
		{"nothing", "", notRun},
	} {
		t.Run(tt.name, func(t *testing.T) {
			run := judge([]byte(tt.stream), "TestX")
			assert.Equal(t, tt.want, run.ending, run.output)
			if tt.want == asserted {
				assert.Equal(t, "p_test.go:4", run.place)
			}
		})
	}
}

func TestPattern(t *testing.T) {
	assert.Equal(t, "^TestX$", pattern("TestX"))
	assert.Equal(t, `^TestX$/^JitterRange\(0\.5,_2\)$/^a$`, pattern("TestX/JitterRange(0.5,_2)/a"))
}
