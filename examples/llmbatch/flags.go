package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/toller-go/toller/examples/llmbatch/internal/batchfile"
)

// settings is what the flags of run come to.
type settings struct {
	in, out     string
	promptField string
	baseURL     string
	model       string
	keys        []credential

	rpm, burst, rpd float64 // 0: no limit
	tpm, itpm, otpm float64 // 0: no limit

	maxInFlight    int
	maxAttempts    int
	retryAmbiguous int
	throttleWait   time.Duration

	timeout, connectTimeout, idleTimeout time.Duration
	deadline, runDeadline                time.Duration // 0: none

	price        price
	budgetUSD    float64 // 0: none
	budgetTokens float64 // 0: none

	set         []batchfile.Member
	strict      bool
	maxResponse int64
	seed        uint64 // 0: a random one
	progress    string
	order       string // completion or input
	dedupe      string // auto, always or off
	listen      string // empty: nobody can look

	journal      string // empty: nothing is recorded but the output
	sync         string // always, interval or off
	allowChanged bool
	failInFlight bool
	retryFailed  bool

	overwrite bool     // the demo's
	command   []string // what was typed, without the program's name

	dial func(ctx context.Context, network, addr string) (net.Conn, error) // that of a test; nil: the network
}

// defaults is the settings of a run without flags.
func defaults() settings {
	return settings{
		out: "results.jsonl", promptField: "prompt", baseURL: "https://api.openai.com/v1", maxInFlight: 64, maxAttempts: 6, retryAmbiguous: 2,
		throttleWait: 15 * time.Minute, timeout: 2 * time.Minute, connectTimeout: 10 * time.Second, idleTimeout: time.Minute,
		maxResponse: 32 << 20, progress: "auto", order: "completion", dedupe: "off", sync: "interval",
	}
}

// flagSet is a command line under way.
type flagSet struct {
	*flag.FlagSet
	name  string          // of the command, for its -h
	given map[string]bool // after parse
}

func newFlagSet(name string) *flagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(io.Discard) // the caller says it, once
	fs.Usage = func() {}
	return &flagSet{FlagSet: fs, name: name}
}

// number, whole and length are flags whose errors say what is allowed.
func (fs *flagSet) number(name string, to *float64) {
	fs.Func(name, "", func(s string) error {
		v, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return errors.New("allowed: a number, such as 500")
		}
		*to = v
		return nil
	})
}

func (fs *flagSet) whole(name string, to *int) {
	fs.Func(name, "", func(s string) error {
		v, err := strconv.Atoi(s)
		if err != nil {
			return errors.New("allowed: a whole number, such as 64")
		}
		*to = v
		return nil
	})
}

func (fs *flagSet) length(name string, to *time.Duration) {
	fs.Func(name, "", func(s string) error {
		v, err := time.ParseDuration(s)
		if err != nil {
			return errors.New("allowed: a duration with its unit, such as 30s or 2m")
		}
		*to = v
		return nil
	})
}

// parse reads the command line. Every error says which flag, what was given, and what is allowed.
func (fs *flagSet) parse(args []string) error {
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return err
	case err != nil && strings.Contains(err.Error(), "allowed: "):
		return err
	case err != nil && strings.Contains(err.Error(), "needs an argument"):
		return fmt.Errorf("%w; allowed: a value behind it, see llmbatch %s -h", err, fs.name)
	case err != nil:
		var names []string
		fs.VisitAll(func(f *flag.Flag) { names = append(names, "-"+f.Name) })
		return fmt.Errorf("%w; allowed: %s", err, strings.Join(names, " "))
	case fs.NArg() > 0:
		return fmt.Errorf("unexpected argument %q; allowed: flags only, see llmbatch %s -h", fs.Arg(0), fs.name)
	}
	fs.given = make(map[string]bool)
	fs.Visit(func(f *flag.Flag) { fs.given[f.Name] = true })
	return nil
}

// input declares the flags that say what is sent, which limits hold and what it may cost.
func (s *settings) input(fs *flagSet) {
	fs.StringVar(&s.in, "i", s.in, "")
	fs.StringVar(&s.promptField, "prompt-field", s.promptField, "")
	fs.StringVar(&s.model, "model", s.model, "")
	fs.Func("set", "", func(text string) error { return s.setMember(text) })
	fs.number("rpm", &s.rpm)
	fs.number("burst", &s.burst)
	fs.number("rpd", &s.rpd)
	fs.number("tpm", &s.tpm)
	fs.number("itpm", &s.itpm)
	fs.number("otpm", &s.otpm)
	fs.whole("max-in-flight", &s.maxInFlight)
	fs.whole("max-attempts", &s.maxAttempts)
	fs.Func("price", "", func(text string) (err error) { s.price, err = parsePrice(text); return err })
	fs.Func("seed", "", func(text string) (err error) {
		if s.seed, err = strconv.ParseUint(text, 10, 64); err != nil || s.seed == 0 {
			return errors.New("allowed: a whole number from 1 to 18446744073709551615")
		}
		return nil
	})
}

// parseFlags reads the command line of run.
func parseFlags(args []string) (settings, error) {
	s, keyEnv := defaults(), "OPENAI_API_KEY"
	fs := newFlagSet("run")
	s.input(fs)
	fs.StringVar(&s.out, "o", s.out, "")
	fs.StringVar(&s.baseURL, "base-url", s.baseURL, "")
	fs.StringVar(&keyEnv, "api-key-env", keyEnv, "")
	fs.whole("retry-ambiguous", &s.retryAmbiguous)
	fs.length("max-throttle-wait", &s.throttleWait)
	fs.length("timeout", &s.timeout)
	fs.length("connect-timeout", &s.connectTimeout)
	fs.length("idle-timeout", &s.idleTimeout)
	fs.length("deadline", &s.deadline)
	fs.length("run-deadline", &s.runDeadline)
	fs.number("budget-usd", &s.budgetUSD)
	fs.number("budget-tokens", &s.budgetTokens)
	fs.BoolVar(&s.strict, "strict", s.strict, "")
	fs.Func("max-response-bytes", "", func(text string) (err error) {
		if s.maxResponse, err = strconv.ParseInt(text, 10, 64); err != nil {
			return errors.New("allowed: a whole number of bytes")
		}
		return nil
	})
	fs.StringVar(&s.progress, "progress", s.progress, "")
	fs.StringVar(&s.order, "order", s.order, "")
	fs.StringVar(&s.dedupe, "dedupe", s.dedupe, "")
	inFlight := "retry"
	fs.StringVar(&s.journal, "journal", s.journal, "")
	fs.StringVar(&s.sync, "sync", s.sync, "")
	fs.StringVar(&inFlight, "in-flight", inFlight, "")
	fs.BoolVar(&s.allowChanged, "allow-changed", s.allowChanged, "")
	fs.BoolVar(&s.retryFailed, "retry-failed", s.retryFailed, "")
	fs.StringVar(&s.listen, "listen", s.listen, "")
	if err := fs.parse(args); err != nil {
		return s, err
	}
	s.failInFlight = inFlight == "fail"
	if err := errors.Join(s.checkInput(fs.given), s.check(fs.given), s.checkResume(inFlight)); err != nil {
		return s, err
	}
	s.command = args
	return s, s.readKeys(keyEnv)
}

// setMember takes the value of -set: a member of each body, as JSON or, where it is none, as text.
func (s *settings) setMember(text string) error {
	member, err := batchfile.ParseMember(text)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(s.set, func(m batchfile.Member) bool { return m.Name == member.Name }) {
		return errors.New("the member is set twice; allowed: each once")
	}
	if member.Name == "model" && (member.Value[0] != '"' || string(member.Value) == `""`) {
		return errors.New("allowed: a model that is text")
	}
	if member.Name == "stream" && string(member.Value) != "false" && string(member.Value) != "null" {
		return errors.New("allowed: stream=false: answers are read whole")
	}
	s.set = append(s.set, member)
	return nil
}

// faults gathers what is wrong with the flags, one fault a line.
type faults []error

func (f *faults) note(bad bool, name string, value any, allowed string) {
	if bad {
		*f = append(*f, fmt.Errorf("-%s is %v; allowed: %s", name, value, allowed))
	}
}

// checkInput reports all that is wrong with the flags of input.
func (s *settings) checkInput(given map[string]bool) error {
	var f faults
	f.note(s.in == "", "i", "missing", "a file of prompts, or - for stdin (llmbatch without any flag is the demo)")
	f.note(s.promptField == "", "prompt-field", `""`, "the name of a field")
	most := func(name string, value float64, what string) {
		f.note(given[name] && !(value > 0 && value <= 1e9), name, value, what+", above 0 and at most 1e9")
	}
	most("rpm", s.rpm, "requests a minute")
	most("rpd", s.rpd, "requests in 24 hours")
	most("tpm", s.tpm, "tokens a minute")
	most("itpm", s.itpm, "tokens a minute")
	most("otpm", s.otpm, "tokens a minute")
	f.note(given["rpd"] && s.rpd > 0 && s.rpd < 1, "rpd", s.rpd, "at least 1, or nothing would ever be sent")
	f.note(given["burst"] && !given["rpm"], "burst", s.burst, "only together with -rpm")
	f.note(given["burst"] && !(s.burst >= 1), "burst", s.burst, "at least 1")
	if given["rpm"] && !given["burst"] {
		s.burst = max(1, s.rpm/60)
	}
	f.note(given["rpm"] && s.rpm > 0 && s.rpm <= s.burst, "rpm", s.rpm, fmt.Sprintf("more than the burst of %g: what goes at once and what is refilled in 60 s must fit into it together", s.burst))
	f.note(s.maxInFlight < 1 || s.maxInFlight > 1e6, "max-in-flight", s.maxInFlight, "at least 1, and at most 1000000")
	f.note(s.maxAttempts < 1, "max-attempts", s.maxAttempts, "at least 1")
	return errors.Join(f...)
}

// check reports all that is wrong with the other flags.
func (s *settings) check(given map[string]bool) error {
	var f faults
	f.note(s.out == "", "o", `""`, "a file, or - for stdout")
	base, err := url.Parse(s.baseURL)
	f.note(err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" || base.RawQuery != "" || base.Fragment != "",
		"base-url", shownURL(base, err), "an http or https URL without ? or #, such as https://api.openai.com/v1")
	f.note(err == nil && base.User != nil, "base-url", "one with a user or a password in it", "one without: it is shown and logged; keys come from the environment")
	f.note(s.retryAmbiguous < 0, "retry-ambiguous", s.retryAmbiguous, "0 or more")
	for _, length := range []struct {
		name  string
		value time.Duration
	}{{"max-throttle-wait", s.throttleWait}, {"timeout", s.timeout}, {"connect-timeout", s.connectTimeout}, {"idle-timeout", s.idleTimeout}} {
		f.note(length.value <= 0, length.name, length.value, "a duration above 0, such as 30s or 2m")
	}
	f.note(s.deadline < 0, "deadline", s.deadline, "a duration above 0, such as 10m, or 0 for none")
	f.note(s.runDeadline < 0, "run-deadline", s.runDeadline, "a duration above 0, such as 8h, or 0 for none")
	f.note(given["budget-usd"] && !(s.budgetUSD > 0 && s.budgetUSD <= 1e9), "budget-usd", s.budgetUSD, "US dollars, above 0 and at most 1e9")
	f.note(given["budget-usd"] && !s.price.known, "budget-usd", s.budgetUSD, "only together with -price")
	f.note(given["budget-tokens"] && !(s.budgetTokens >= 1 && s.budgetTokens <= 1e12), "budget-tokens", s.budgetTokens, "tokens, from 1 to 1e12")
	f.note(s.maxResponse < 1 || s.maxResponse > mostResponse, "max-response-bytes", s.maxResponse, fmt.Sprintf("from 1 to %d", mostResponse))
	for _, choice := range []struct {
		name, value string
		of          []string
	}{
		{"progress", s.progress, []string{"auto", "plain", "json", "off"}}, {"order", s.order, []string{"completion", "input"}},
		{"dedupe", s.dedupe, []string{"auto", "always", "off"}}, {"sync", s.sync, []string{"always", "interval", "off"}},
	} {
		f.note(!slices.Contains(choice.of, choice.value), choice.name, fmt.Sprintf("%q", choice.value), strings.Join(choice.of, ", "))
	}
	s.baseURL = strings.TrimSuffix(s.baseURL, "/")
	return errors.Join(f...)
}

// shownURL is a base URL as an error may repeat it: without what may be a password, or a key.
func shownURL(base *url.URL, err error) string {
	if err != nil {
		return "no URL"
	}
	shown := *base
	if shown.User != nil {
		shown.User = url.User("…")
	}
	if shown.RawQuery != "" {
		shown.RawQuery = "…"
	}
	if shown.Fragment != "" {
		shown.Fragment, shown.RawFragment = "…", "…"
	}
	text, _ := url.PathUnescape(shown.String())
	return strconv.Quote(text)
}

// journalSuffix is what the name of a journal has more than that of its output, unless -journal names another.
const journalSuffix = ".journal"

// checkResume reports all that is wrong with the flags about the journal, and fills in where that is.
func (s *settings) checkResume(inFlight string) error {
	var f faults
	if s.journal == "" && s.out != "-" && s.out != "" {
		s.journal = s.out + journalSuffix
	}
	f.note(s.journal == "" && s.out == "-", "journal", "missing", "with -o -, the name of a file that says how far the run has come")
	f.note(s.journal != "" && (s.journal == s.out || s.journal == s.in), "journal", fmt.Sprintf("%q", s.journal), "another file than those of -i and -o")
	f.note(inFlight != "retry" && inFlight != "fail", "in-flight", fmt.Sprintf("%q", inFlight), "retry, fail")
	return errors.Join(f...)
}

// readKeys takes the keys from the environment: on a command line they could be read by everybody on the machine.
func (s *settings) readKeys(variables string) error {
	for name := range strings.SplitSeq(variables, ",") {
		name = strings.TrimSpace(name)
		secret := os.Getenv(name)
		switch {
		case name == "":
			return errors.New("-api-key-env has an empty name; allowed: the names of environment variables that hold an API key, with commas between")
		case strings.ContainsFunc(secret, func(r rune) bool { return r <= ' ' || r == 0x7f }):
			return fmt.Errorf("-api-key-env is %s, whose value holds a space, a line break or the like; allowed: a key without", name)
		case secret == "" && !isVariable(name):
			return errors.New("-api-key-env has a word that is no variable's name, and may be the key itself, so that it is not repeated here; " +
				"allowed: the names of environment variables that hold an API key, such as OPENAI_API_KEY")
		case secret == "":
			return fmt.Errorf("%s is not set; export your API key in it (any word will do for a server that asks for none), or name another variable with -api-key-env", name)
		}
		for _, other := range s.keys {
			if other.name == name || other.secret == secret {
				return fmt.Errorf("-api-key-env names %s and %s, which hold the same key; allowed: each key once, since its limits would count twice", other.name, name)
			}
		}
		s.keys = append(s.keys, credential{name: name, secret: secret})
	}
	return nil
}

// isVariable reports whether a word looks like the name of an environment variable, and not like a key.
func isVariable(word string) bool {
	return !strings.ContainsFunc(word, func(r rune) bool { return (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' })
}
