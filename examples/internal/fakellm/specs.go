package fakellm

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// parseDialect reads the name of a dialect.
func parseDialect(s string) (Dialect, error) {
	for i, name := range dialectNames {
		if s == name {
			return Dialect(i), nil
		}
	}
	return 0, errors.New("allowed: " + strings.Join(dialectNames[:], ", "))
}

// parseLimit reads a limit such as 600/1m, 30000tokens/1m,sliding or 60/1m,burst=5,each.
func parseLimit(s string) (Limit, error) {
	wrong := errors.New("allowed: N/D, N with tokens, input or output behind it if that is counted, " +
		"and then of ,sliding ,fixed ,burst=N ,each ,hidden: 600/1m or 30000tokens/1m,fixed,each")
	words := strings.Split(s, ",")
	amount, per, ok := strings.Cut(words[0], "/")
	if !ok {
		return Limit{}, wrong
	}
	var l Limit
	for unit, name := range map[Unit]string{Tokens: "tokens", InputTokens: "input", OutputTokens: "output"} {
		if rest, ok := strings.CutSuffix(amount, name); ok {
			amount, l.Counts = rest, unit
		}
	}
	var err1, err2 error
	l.Max, err1 = strconv.ParseFloat(amount, 64)
	l.Per, err2 = time.ParseDuration(per)
	if err1 != nil || err2 != nil {
		return Limit{}, wrong
	}
	for _, word := range words[1:] {
		burst, isBurst := strings.CutPrefix(word, "burst=")
		switch {
		case word == "sliding":
			l.Engine = SlidingWindow
		case word == "fixed":
			l.Engine = FixedWindow
		case word == "each":
			l.PerKey = true
		case word == "hidden":
			l.Hidden = true
		case isBurst:
			if l.Burst, err1 = strconv.ParseFloat(burst, 64); err1 != nil {
				return Limit{}, wrong
			}
		default:
			return Limit{}, wrong
		}
	}
	return l, nil
}

// parseFault reads the name of a fault.
func parseFault(s string) (Fault, error) {
	if _, ok := natures[Fault(s)]; !ok {
		return "", fmt.Errorf("%q is none; allowed: %v, and %v", s, Transients(), Fatals())
	}
	return Fault(s), nil
}

// parseFaults reads the names of faults, with commas between.
func parseFaults(s string) ([]Fault, error) {
	var all []Fault
	for name := range strings.SplitSeq(s, ",") {
		f, err := parseFault(name)
		if err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	return all, nil
}

// parseRule reads a rule such as no-quota, 401@gpt-4o or too-long@gpt-4o:Tell me all.
func parseRule(s string) (r Rule, err error) {
	s, r.Prompt, _ = strings.Cut(s, ":")
	s, r.Model, _ = strings.Cut(s, "@")
	r.Fault, err = parseFault(s)
	return r, err
}

// parsePhase reads a phase such as 30s,down or 1m,speed=0.5 or 2m,500 or 3m.
func parsePhase(s string) (p Phase, err error) {
	wrong := errors.New("allowed: D, and then of ,down ,speed=F ,FAULT: 30s,down or 1m,speed=0.5")
	words := strings.Split(s, ",")
	if p.At, err = time.ParseDuration(words[0]); err != nil {
		return p, wrong
	}
	for _, word := range words[1:] {
		factor, isSpeed := strings.CutPrefix(word, "speed=")
		switch {
		case word == "down":
			p.Down = true
		case isSpeed:
			if p.Speed, err = strconv.ParseFloat(factor, 64); err != nil {
				return p, wrong
			}
		default:
			if p.Fault, err = parseFault(word); err != nil {
				return p, wrong
			}
		}
	}
	return p, nil
}
