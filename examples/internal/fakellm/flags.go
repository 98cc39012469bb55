package fakellm

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// parseFlags reads the command line. Its errors name the flag, the value, and what is allowed.
func parseFlags(args []string) (cfg Config, listen string, err error) {
	fs := flag.NewFlagSet("fakellm", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // the caller says it, once
	fs.Usage = func() {}
	fs.StringVar(&listen, "listen", "127.0.0.1:0", "")
	number(fs, "rps", &cfg.Rate)
	number(fs, "burst", &cfg.Burst)
	number(fs, "fail", &cfg.Fail)
	number(fs, "throttle", &cfg.Throttle)
	duration(fs, "retry-after", &cfg.RetryAfter)
	fs.Func("latency", "", func(s string) (err error) { cfg.Latency, err = parseRange(s); return err })
	number(fs, "slow", &cfg.Slow)
	duration(fs, "slow-latency", &cfg.SlowLatency)
	duration(fs, "outage-at", &cfg.OutageAt)
	duration(fs, "outage-for", &cfg.OutageFor)
	wholeNumber(fs, "concurrent", &cfg.Concurrent)
	number(fs, "faults", &cfg.Faults.Share)
	duration(fs, "stall", &cfg.Stall)
	duration(fs, "word-delay", &cfg.WordDelay)
	fs.Func("dialect", "", func(s string) (err error) { cfg.Dialect, err = parseDialect(s); return err })
	fs.Func("kinds", "", func(s string) (err error) { cfg.Faults.Kinds, err = parseFaults(s); return err })
	repeated(fs, "limit", &cfg.Limits, parseLimit)
	repeated(fs, "rule", &cfg.Rules, parseRule)
	repeated(fs, "phase", &cfg.Phases, parsePhase)
	fs.Func("seed", "", func(s string) (err error) {
		if cfg.Seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			return errors.New("allowed: a whole number from 0 to 18446744073709551615")
		}
		return nil
	})
	fs.Func("account", "", func(s string) error {
		if cfg.Accounts == nil {
			cfg.Accounts = make(map[string]int)
		}
		return parseAccount(s, cfg.Accounts)
	})
	fs.Func("key", "", func(s string) error { cfg.Keys = append(cfg.Keys, strings.Split(s, ",")...); return nil })

	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return cfg, listen, err
	case err != nil:
		return cfg, listen, explain(fs, err)
	case fs.NArg() > 0:
		return cfg, listen, fmt.Errorf("unexpected argument %q; allowed: flags only (see -h)", fs.Arg(0))
	}
	return cfg, listen, inFlags(cfg.Validate())
}

func number(fs *flag.FlagSet, name string, to *float64) {
	fs.Func(name, "", func(s string) (err error) {
		if *to, err = strconv.ParseFloat(s, 64); err != nil {
			return errors.New("allowed: a number such as 0.05 or 20")
		}
		return nil
	})
}

func duration(fs *flag.FlagSet, name string, to *time.Duration) {
	fs.Func(name, "", func(s string) (err error) {
		if *to, err = time.ParseDuration(s); err != nil {
			return errors.New("allowed: a duration with its unit, such as 250ms, 1.5s or 2m")
		}
		return nil
	})
}

func wholeNumber(fs *flag.FlagSet, name string, to *int) {
	fs.Func(name, "", func(s string) (err error) {
		if *to, err = strconv.Atoi(s); err != nil {
			return errors.New("allowed: a whole number such as 20")
		}
		return nil
	})
}

// repeated is a flag that adds to a list.
func repeated[T any](fs *flag.FlagSet, name string, to *[]T, parse func(string) (T, error)) {
	fs.Func(name, "", func(s string) error {
		one, err := parse(s)
		if err == nil {
			*to = append(*to, one)
		}
		return err
	})
}

// parseRange reads one duration, or two joined by a hyphen.
func parseRange(s string) (Range, error) {
	wrong := errors.New("allowed: a duration, or a range with the smaller first, such as 100ms or 50ms-300ms")
	low, high, ranged := strings.Cut(s, "-")
	if !ranged {
		high = low
	}
	from, err1 := time.ParseDuration(low)
	to, err2 := time.ParseDuration(high)
	if err1 != nil || err2 != nil || to < from {
		return Range{}, wrong
	}
	return Range{Min: from, Max: to}, nil
}

// explain completes what package flag says of an unknown flag or a missing value with what is allowed.
func explain(fs *flag.FlagSet, err error) error {
	if strings.Contains(err.Error(), "allowed: ") {
		return err
	}
	var names []string
	fs.VisitAll(func(f *flag.Flag) { names = append(names, "-"+f.Name) })
	return fmt.Errorf("%w; allowed: %s, each with a value", err, strings.Join(names, ", "))
}

// flagOf maps the fields of Config to the flags that set them.
var flagOf = map[string]string{
	"Rate": "-rps", "Burst": "-burst", "Fail": "-fail", "Throttle": "-throttle", "RetryAfter": "-retry-after",
	"Latency.Min": "-latency", "Latency.Max": "-latency", "Slow": "-slow", "SlowLatency": "-slow-latency",
	"OutageAt": "-outage-at", "OutageFor": "-outage-for", "Keys": "-key", "Accounts": "-account",
	"Dialect": "-dialect", "Limits": "-limit", "Concurrent": "-concurrent", "Faults.Share": "-faults", "Faults.Kinds": "-kinds",
	"Rules": "-rule", "Phases": "-phase", "Stall": "-stall", "WordDelay": "-word-delay",
}

// inFlags restates the faults of a Config in the words of the command line, one a line.
func inFlags(err error) error {
	joined, ok := err.(interface{ Unwrap() []error }) // what errors.Join returns
	if !ok {
		return err
	}
	var faults []error
	for _, fault := range joined.Unwrap() {
		if field, ok := errors.AsType[*FieldError](fault); ok {
			name, member, _ := strings.Cut(field.Field, "[") // of a list: "Limits[0].Max"
			_, member, _ = strings.Cut(member, "].")
			fault = fmt.Errorf("%s is %v; allowed: %s", strings.TrimSpace(flagOf[name]+" "+member), field.Value, field.Allowed)
		}
		faults = append(faults, fault)
	}
	return errors.Join(faults...)
}
