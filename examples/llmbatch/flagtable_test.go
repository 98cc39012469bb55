package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/toller-go/toller/examples/internal/fakellm"
	"github.com/toller-go/toller/examples/llmbatch/internal/batchfile"
)

// flagTests names, for each flag of each command, a test of what it does; that a bad value is refused is for others. The test mentions
// the flag, or after a blank what it becomes.
var flagTests = map[string]map[string]string{
	"run": {
		"-i": "TestPipe", "-o": "TestExistingOutput", "-prompt-field": "TestForms", "-model": "TestForms", "-set": "TestSet",
		"-base-url": "TestBaseURL", "-api-key-env": "TestKeysRunOut",
		"-rpm": "TestStrictServer", "-burst": "TestEveryLimitHolds", "-rpd": "TestEveryLimitHolds", "-tpm": "TestStrictServer", "-itpm": "TestEveryLimitHolds",
		"-otpm": "TestEveryLimitHolds", "-max-in-flight": "TestMaxInFlight",
		"-max-attempts": "TestSomeFailed", "-retry-ambiguous": "TestRetryAmbiguous", "-max-throttle-wait": "TestMaxThrottleWait", "-timeout": "TestAttemptTimeout",
		"-connect-timeout": "TestConnectTimeout", "-idle-timeout": "TestIdleTimeoutFlag", "-deadline": "TestDeadline", "-run-deadline": "TestEveryLimitHolds", "-seed": "TestSeed",
		"-price": "TestBudgets", "-budget-usd": "TestBudgets", "-budget-tokens": "TestBudgets",
		"-journal": "TestDiskFull", "-sync": "TestSyncFlag", "-in-flight": "TestInFlightAtACrash", "-retry-failed": "TestRetryFailed", "-allow-changed": "TestChangedInput",
		"-order": "TestOrderInput", "-dedupe": "TestDedupe", "-strict": "TestStrict", "-max-response-bytes": "TestMaxResponseBytes",
		"-progress": `TestProgressJSON progress = "json"`, "-listen": "TestListen",
	},
	"estimate": {
		"-i": "TestEstimateCommand", "-prompt-field": "TestEstimateFlags", "-model": "TestEstimateFlags", "-set": "TestEstimateFlags", "-api-key-env": "TestEstimateFlags",
		"-rpm": "TestEstimateIsRight", "-burst": "TestEstimateFlags", "-rpd": "TestEstimateFlags", "-tpm": "TestEstimateIsRight", "-itpm": "TestEstimateFlags",
		"-otpm": "TestEstimateFlags", "-max-in-flight": "TestEstimateIsRight", "-max-attempts": "TestEstimateFlags", "-price": "TestEstimateCommand", "-seed": "TestEstimateCommand",
		"-latency": "TestEstimateIsRight", "-fail-rate": "TestEstimateIsRight", "-output-tokens": "TestEstimateIsRight",
	},
	"verify": {"-i": "TestVerifyMain", "-o": "TestVerifyMain", "-prompt-field": "TestVerifyMain", "-model": "TestVerifyMain"},
	"fakellm": { // TestFlagsReachTheConfig has what they become
		"-listen": "TestPortInUse", "-rps": "TestDeskThrottlesByRate Rate:", "-burst": "TestDeskThrottlesByRate Burst:", "-limit": "TestDeskLimitsOfEachKey Limits:",
		"-concurrent": "TestDeskBoundsWhatIsUnderWay Concurrent:", "-latency": "TestLatency Latency:", "-slow": "TestDeskPace Slow:", "-slow-latency": "TestDeskPace SlowLatency:",
		"-stall": "TestStallEndsWithTheClient Stall:", "-word-delay": "TestStreamTakesItsTime WordDelay:", "-fail": "TestDeskFailuresAreUnbilled Fail:",
		"-throttle": "TestDeskThrottlesWithoutCause Throttle:", "-retry-after": "TestFormsOfRetryAfter RetryAfter:", "-faults": "TestFaultsOfTheSchedule Share:",
		"-kinds": "TestFaultsOfSomeKinds Kinds:", "-rule": "TestRules Rules:", "-phase": "TestDeskPhases Phases:", "-outage-at": "TestDeskOutage OutageAt:",
		"-outage-for": "TestDeskOutage OutageFor:", "-dialect": "TestErrorsInDialects Dialect:", "-key": "TestKeysOfAllDialects Keys:", "-account": "TestAccounts Accounts:",
		"-seed": "TestDeskIsDeterministic Seed:",
	},
}

// Every flag of every command has a test.
func TestEveryFlagHasATest(t *testing.T) {
	t.Setenv("OPENAI_API_KEY", "k")
	_, run := parseFlags([]string{"-no-such-flag"})
	_, estimate := parseForecast([]string{"-no-such-flag"})
	said := map[string]string{"run": run.Error(), "estimate": estimate.Error()}
	for name, main := range map[string]func(stderr *screen) int{
		"verify": func(stderr *screen) int { return batchfile.VerifyMain([]string{"-no-such-flag"}, newScreen(), stderr) },
		"fakellm": func(stderr *screen) int {
			return fakellm.Main(t.Context(), []string{"-no-such-flag"}, newScreen(), stderr)
		},
	} {
		stderr := newScreen()
		if code := main(stderr); code != exitUsage {
			t.Errorf("%s: exit code %d", name, code)
		}
		said[name] = stderr.String()
	}
	tests := testsIn(t, ".", filepath.Join("internal", "batchfile"), filepath.Join("..", "internal", "fakellm"))
	for name, table := range flagTests {
		_, list, _ := strings.Cut(said[name], "allowed: ")
		there := slices.DeleteFunc(flagsOf(list), func(name string) bool { return name == "-h" })
		if listed := slices.Sorted(maps.Keys(table)); !slices.Equal(there, listed) {
			t.Errorf("%s has the flags\n%v\nand the table has tests for\n%v", name, there, listed)
		}
		for flag, entry := range table {
			test, as, other := strings.Cut(entry, " ")
			mention := regexp.MustCompile("[\"` ]" + regexp.QuoteMeta(flag) + "[\"` ]")
			if other {
				mention = regexp.MustCompile(regexp.QuoteMeta(as))
			}
			if source, ok := tests[test]; !ok || !mention.MatchString(source) {
				t.Errorf("%s %s: %s is no test, or does not mention it", name, flag, test)
			}
		}
	}
}

// testsIn returns the source of each test of some directories, by its name, of which there may be two.
func testsIn(t *testing.T, dirs ...string) map[string]string {
	t.Helper()
	tests := make(map[string]string)
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
		if err != nil || files == nil {
			t.Fatalf("%s: %v", dir, err)
		}
		for _, name := range files {
			source, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			set := token.NewFileSet()
			file, err := parser.ParseFile(set, name, source, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, decl := range file.Decls {
				if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
					tests[f.Name.Name] += string(source[set.Position(f.Pos()).Offset:set.Position(f.End()).Offset])
				}
			}
		}
	}
	return tests
}
