package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/toller-go/toller/policy"
)

const runHelp = `flags of run (defaults in brackets):
  -i IN               prompts: OpenAI Batch lines, bare bodies, objects with a
                      prompt field, or plain text; gzip by .gz; - is stdin
  -o OUT              answers, one line each; must not exist; - is stdout
                      (results.jsonl)
  -prompt-field NAME  where plain objects hold the prompt (prompt)
  -base-url URL       the API (https://api.openai.com/v1)
  -model M            for prompts that name none
  -api-key-env NAME   the variable that holds the key (OPENAI_API_KEY)
  -rpm N              requests a minute, per model: no 60 s hold more (no limit)
  -burst B            of these, how many at once (N/60, at least 1)
  -max-in-flight N    requests at once (64)
  -max-attempts N     executions of one prompt, throttles not counted (6)
  -timeout D          of one attempt (2m)
  -progress HOW       auto, plain, json or off (auto)
exit: 0 all answered, 1 could not record, 2 some failed (each has its line),
      3 key refused or out of money, 4 bad flags or files, 130 interrupted
`

// settings is what the flags of run come to.
type settings struct {
	in, out     string
	promptField string
	baseURL     string
	model       string
	key         string
	rpm, burst  float64
	maxInFlight int
	maxAttempts int
	timeout     time.Duration
	progress    string
	overwrite   bool // the demo's
}

// defaults is the settings of a run without flags.
func defaults() settings {
	return settings{
		out: "results.jsonl", promptField: "prompt", baseURL: "https://api.openai.com/v1", maxInFlight: 64, maxAttempts: 6,
		timeout: 2 * time.Minute, progress: "auto",
	}
}

// parseFlags reads the command line. Every error says which flag, what was given, and what is allowed.
func parseFlags(args []string) (settings, error) {
	s, keyEnv := defaults(), "OPENAI_API_KEY"
	fs := flag.NewFlagSet("run", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // the caller says it, once
	fs.StringVar(&s.in, "i", s.in, "")
	fs.StringVar(&s.out, "o", s.out, "")
	fs.StringVar(&s.promptField, "prompt-field", s.promptField, "")
	fs.StringVar(&s.baseURL, "base-url", s.baseURL, "")
	fs.StringVar(&s.model, "model", s.model, "")
	fs.StringVar(&keyEnv, "api-key-env", keyEnv, "")
	fs.Float64Var(&s.rpm, "rpm", 0, "")
	fs.Float64Var(&s.burst, "burst", 0, "")
	fs.IntVar(&s.maxInFlight, "max-in-flight", s.maxInFlight, "")
	fs.IntVar(&s.maxAttempts, "max-attempts", s.maxAttempts, "")
	fs.DurationVar(&s.timeout, "timeout", s.timeout, "")
	fs.StringVar(&s.progress, "progress", s.progress, "")
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return s, err
	case err != nil:
		return s, explain(fs, err)
	case fs.NArg() > 0:
		return s, fmt.Errorf("unexpected argument %q; allowed: flags only, see llmbatch -h", fs.Arg(0))
	}
	given := make(map[string]bool)
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if err := s.check(given); err != nil {
		return s, err
	}
	return s, s.readKey(keyEnv)
}

// explain completes what package flag says with what is allowed.
func explain(fs *flag.FlagSet, err error) error {
	text := err.Error()
	for _, kind := range []struct{ flags, allowed string }{
		{" -timeout:", "a duration with its unit, such as 30s or 2m"},
		{" -rpm: -burst:", "a number, such as 500"},
		{" -max-in-flight: -max-attempts:", "a whole number, such as 64"},
	} {
		for name := range strings.FieldsSeq(kind.flags) {
			if strings.Contains(text, "for flag "+name) || strings.Contains(text, "for flag "+strings.TrimSuffix(name, ":")+" ") {
				return fmt.Errorf("%s is not what it takes: %w; allowed: %s", strings.TrimSuffix(name, ":"), err, kind.allowed)
			}
		}
	}
	return fmt.Errorf("%w; allowed: %s", err, flagNames(fs))
}

// flagNames lists the flags there are.
func flagNames(fs *flag.FlagSet) string {
	var names []string
	fs.VisitAll(func(f *flag.Flag) { names = append(names, "-"+f.Name) })
	return strings.Join(names, " ")
}

// check reports all that is wrong with the flags, one fault a line.
func (s *settings) check(given map[string]bool) error {
	var faults []error
	fault := func(bad bool, name string, value any, allowed string) {
		if bad {
			faults = append(faults, fmt.Errorf("-%s is %v; allowed: %s", name, value, allowed))
		}
	}
	fault(s.in == "", "i", "missing", "a file of prompts, or - for stdin (llmbatch without any flag is the demo)")
	fault(s.out == "", "o", `""`, "a file that does not exist yet, or - for stdout")
	fault(s.promptField == "", "prompt-field", `""`, "the name of a field")
	base, err := url.Parse(s.baseURL)
	fault(err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" || base.RawQuery != "" || base.Fragment != "",
		"base-url", fmt.Sprintf("%q", s.baseURL), "an http or https URL without ? or #, such as https://api.openai.com/v1")
	fault(given["rpm"] && !(s.rpm > 0 && s.rpm <= 1e9), "rpm", s.rpm, "requests a minute, above 0 and at most 1e9")
	fault(given["burst"] && !given["rpm"], "burst", s.burst, "only together with -rpm")
	fault(given["burst"] && !(s.burst >= 1), "burst", s.burst, "at least 1")
	if given["rpm"] && !given["burst"] {
		s.burst = max(1, s.rpm/60)
	}
	fault(given["rpm"] && s.rpm > 0 && s.rpm <= s.burst, "rpm", s.rpm, fmt.Sprintf("more than the burst of %g: what goes at once and what is refilled in 60 s must fit into it together", s.burst))
	fault(s.maxInFlight < 1, "max-in-flight", s.maxInFlight, "at least 1")
	fault(s.maxAttempts < 1, "max-attempts", s.maxAttempts, "at least 1")
	fault(s.timeout <= 0, "timeout", s.timeout, "a duration above 0, such as 30s or 2m")
	modes := []string{"auto", "plain", "json", "off"}
	fault(!slices.Contains(modes, s.progress), "progress", fmt.Sprintf("%q", s.progress), strings.Join(modes, ", "))
	s.baseURL = strings.TrimSuffix(s.baseURL, "/")
	return errors.Join(faults...)
}

// readKey takes the key from the environment: on a command line it could be read by everybody on the machine.
func (s *settings) readKey(variable string) error {
	switch s.key = os.Getenv(variable); {
	case variable == "":
		return errors.New("-api-key-env is \"\"; allowed: the name of an environment variable that holds the API key")
	case strings.ContainsFunc(s.key, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return fmt.Errorf("-api-key-env is %s, whose value holds a space, a line break or the like; allowed: a key without", variable)
	case s.key == "":
		return fmt.Errorf("%s is not set; export your API key in it (any word will do for a server that asks for none), or name another variable with -api-key-env", variable)
	}
	return nil
}

// limits is the rule that -rpm and -burst ask for: a bucket that can never let more than rpm requests go in any 60 s, the
// burst at the start included.
func (s *settings) limits() []policy.Limit {
	if s.rpm == 0 {
		return nil
	}
	return []policy.Limit{{Name: "requests", Rate: policy.PerMinute(s.rpm - s.burst), Burst: s.burst, PerKey: true}}
}
