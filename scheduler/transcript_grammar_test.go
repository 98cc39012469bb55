package scheduler_test

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/scheduler"
)

// How the words of a transcript are read; testdata/README.md says what they mean.

// enter makes the core of a line `core [NAME] SETTINGS`. One without a name is alone, and all cores of before are forgotten.
func (p *player) enter(words []string) {
	a := &actor{jobs: make(map[string]*scheduler.Entry), awaited: make(map[string]*scheduler.Awaited)}
	if len(words) > 0 && !strings.Contains(words[0], "=") {
		a.name, words = words[0], words[1:]
	} else {
		p.cores = nil
	}
	require.Nil(p.t, p.actor(a.name), "%s: there is such a core", p.where)
	a.core = scheduler.New(p.config(a, words))
	p.cores = append(p.cores, a)
}

// config reads the settings of a core. Jitter is off, so that times can be read, save for retry=…:jitter.
func (p *player) config(a *actor, settings []string) scheduler.Config {
	cfg := scheduler.Config{Workers: 1, Seed: 1, Ticket: func() uint64 { p.tickets++; return p.tickets }}
	for _, setting := range settings {
		word, value, _ := strings.Cut(setting, "=")
		parts := strings.Split(value, ":")
		switch word {
		case "workers":
			cfg.Workers = p.number(value)
		case "keyworkers":
			cfg.KeyWorkers = p.number(value)
		case "age":
			cfg.AgeAfter = p.duration(value)
		case "group":
			a.groups = append(a.groups, parts[0])
			cfg.Groups = append(cfg.Groups, scheduler.Group{Name: parts[0], Workers: p.number(parts[1])})
		case "limit":
			cfg.Limits = append(cfg.Limits, p.limit(parts))
		case "shared":
			require.NotNil(p.t, p.pools[value], "%s: no shared limit %q", p.where, value)
			a.pools = append(a.pools, value)
		case "ahead":
			a.ahead = p.duration(value)
		case "retry":
			cfg.Retry = p.retry(parts)
		case "budget":
			cfg.Budget = policy.Budget{Ratio: p.float(parts[0]), MinRetries: p.number(parts[1]), Window: p.duration(parts[2])}
		case "breaker":
			cfg.Breaker = p.breaker(parts)
		default:
			p.t.Fatalf("%s: no setting %q", p.where, word)
		}
	}
	for _, name := range a.pools {
		cfg.Shared = append(cfg.Shared, scheduler.SharedUse{Limit: p.pools[name], Ahead: a.ahead})
	}
	a.limits = len(cfg.Limits)
	require.NoError(p.t, cfg.Retry.Validate(), p.where)
	require.NoError(p.t, cfg.Budget.Validate(), p.where)
	require.NoError(p.t, cfg.Breaker.Validate(), p.where)
	return cfg
}

func (p *player) limit(parts []string) policy.Limit {
	limit := policy.Limit{Name: parts[0], Rate: p.rate(parts[1]), Burst: p.float(parts[2])}
	for _, part := range parts[3:] {
		switch word, value, _ := strings.Cut(part, "="); word {
		case "perkey":
			limit.PerKey = true
		case "strict":
			limit.Strict = true
		case "settled":
			limit.Settled = true
		case "maxdebt":
			limit.MaxDebt = p.float(value)
		case "sliding":
			limit.Sliding = true
		case "initial":
			limit.Initial = p.float(value)
			if limit.Initial == 0 {
				limit.Initial = policy.Empty
			}
		case "cost":
			limit.DefaultCost = p.float(value)
		default:
			p.t.Fatalf("%s: no limit setting %q", p.where, part)
		}
	}
	require.NoError(p.t, limit.Validate(), p.where)
	return limit
}

func (p *player) retry(parts []string) policy.Retry {
	r := policy.Retry{MaxAttempts: p.number(parts[0]), Delay: p.duration(parts[1]), Backoff: p.float(parts[2]), Jitter: policy.NoJitter}
	for _, part := range parts[3:] {
		word, value, _ := strings.Cut(part, "=")
		switch word {
		case "jitter":
			r.Jitter = policy.FullJitter
		case "maxdelay":
			r.MaxDelay = p.duration(value)
		case "elapsed":
			r.MaxElapsed = p.duration(value)
		case "maxhint":
			r.MaxHint = p.duration(value)
		case "throttle":
			r.MaxThrottleWait = p.duration(value)
		default:
			p.t.Fatalf("%s: no retry setting %q", p.where, word)
		}
	}
	return r
}

func (p *player) breaker(parts []string) policy.Breaker {
	b := policy.Breaker{FailureThreshold: p.number(parts[0]), RecoveryTimeout: p.duration(parts[1])}
	for _, part := range parts[2:] {
		word, value, _ := strings.Cut(part, "=")
		switch word {
		case "probes":
			b.Probes = p.number(value)
		case "successes":
			b.Successes = p.number(value)
		case "lease":
			b.ProbeTimeout = p.duration(value)
		case "growth":
			b.RecoveryBackoff = p.float(value)
		case "ratio":
			b.FailureRatio = p.float(value)
		case "slow":
			b.SlowCall = p.duration(value)
		case "slowratio":
			b.SlowRatio = p.float(value)
		case "samples":
			b.MinSamples = p.number(value)
		case "window":
			b.WindowTime = p.duration(value)
		case "jobs":
			b.Counts = policy.CountJobs
		case "reprobe":
			b.Reprobe = p.duration(value)
		default:
			p.t.Fatalf("%s: no breaker setting %q", p.where, word)
		}
	}
	return b
}

// event reads one event of a turn.
func (p *player) event(a *actor, at policy.Time, words []string) scheduler.Event {
	ev := scheduler.Event{Kind: p.kind(words[0]), At: at}
	switch ev.Kind {
	case scheduler.Submit:
		ev.Entry = p.submit(a, words[1], words[2:])
	case scheduler.Done, scheduler.Unstarted, scheduler.Cancel:
		ev.Entry, ev.Attempt = p.attempt(a, words[1])
		if ev.Kind == scheduler.Done {
			ev.Outcome = p.outcome(words[2])
		}
	case scheduler.Await, scheduler.Unawait:
		ev.By, ev.Attempt = p.attempt(a, words[1])
		if strings.Contains(words[2], ",") {
			ev.Any, ev.Left = p.awaited(a, words[1]+" "+words[2]), 1+strings.Count(words[2], ",")
			if len(words) > 3 { // some of them have been taken
				ev.Left = p.number(words[3])
			}
		} else {
			ev.Entry, _ = p.attempt(a, words[2])
		}
	case scheduler.Correct:
		ev.Entry, ev.Attempt = p.attempt(a, words[1])
		ev.Limit, ev.Amount = p.number(words[2]), p.amount(words[3])
	case scheduler.SetRate:
		ev.Limit, ev.Rate = p.number(words[1]), p.rate(words[2])
	case scheduler.SetBurst:
		ev.Limit, ev.Burst = p.number(words[1]), p.float(words[2])
	case scheduler.Revise:
		ev.Limit = p.number(words[1])
	case scheduler.Observe:
		ev.Limit, ev.Amount, ev.Key = p.number(words[1]), p.amount(words[2]), strings.Join(words[3:], "")
	case scheduler.SetWorkers, scheduler.SetKeyWorkers:
		ev.Workers = p.number(words[1])
	case scheduler.SetGroup:
		ev.Group, ev.Workers = p.group(a, words[1]), p.number(words[2])
	case scheduler.Override:
		modes := map[string]policy.Mode{"auto": policy.Automatic, "open": policy.ForcedOpen, "closed": policy.ForcedClosed, "disabled": policy.Disabled}
		mode, known := modes[words[1]]
		require.True(p.t, known, "%s: no mode %q", p.where, words[1])
		ev.Mode, ev.Key = mode, strings.Join(words[2:], "")
	default:
	}
	return ev
}

// awaited returns the jobs of an "a b,c", of which a waits for any one: the same each time.
func (p *player) awaited(a *actor, words string) *scheduler.Awaited {
	if a.awaited[words] == nil {
		anyOf := new(scheduler.Awaited)
		for name := range strings.SplitSeq(strings.Fields(words)[1], ",") {
			e, _ := p.attempt(a, name)
			anyOf.Add(e)
		}
		a.awaited[words] = anyOf
	}
	return a.awaited[words]
}

func (p *player) kind(word string) scheduler.EventKind {
	for k := scheduler.Tick; k <= scheduler.Unawait; k++ {
		if k.String() == word {
			return k
		}
	}
	p.t.Fatalf("%s: no event %q", p.where, word)
	return 0
}

// attempt reads a job's name, which stands for its latest attempt, or `a#1`.
func (p *player) attempt(a *actor, text string) (*scheduler.Entry, int) {
	name, number, numbered := strings.Cut(text, "#")
	e := a.jobs[name]
	require.NotNil(p.t, e, "%s: no job %q", p.where, name)
	if numbered {
		return e, p.number(number)
	}
	return e, e.Runs()
}

func (p *player) submit(a *actor, name string, settings []string) *scheduler.Entry {
	e := &scheduler.Entry{Owner: name, Terms: new(scheduler.Terms)}
	var rules *scheduler.KeyRules
	own := func() *scheduler.KeyRules {
		if rules == nil {
			rules = &scheduler.KeyRules{}
		}
		return rules
	}
	for _, setting := range settings {
		word, value, _ := strings.Cut(setting, "=")
		switch word {
		case "key":
			e.Key = value
		case "costs":
			for tokens := range strings.SplitSeq(value, ",") {
				e.Costs = append(e.Costs, p.amount(tokens))
			}
		case "deadline":
			e.Deadline = policy.Time(p.duration(value))
		case "announced":
			e.Announced = true
		case "notbefore":
			e.NotBefore = policy.Time(p.duration(value))
		case "failfast":
			e.FailFast = true
		case "priority":
			e.Priority = int8(p.number(value))
		case "groups":
			for group := range strings.SplitSeq(value, ",") {
				e.Groups |= 1 << p.group(a, group)
			}
		case "weight":
			own().Weight = p.number(value)
		case "keyworkers":
			own().Workers = p.number(value)
		case "limit":
			limit := p.limit(strings.Split(value, ":"))
			own().Limits = append(own().Limits, scheduler.KeyLimit{Limit: p.number(limit.Name), Rule: limit})
		case "breaker":
			breaker := p.breaker(strings.Split(value, ":"))
			own().Breaker = &breaker
		case "retry":
			retry := p.retry(strings.Split(value, ":"))
			e.Retry = &retry
		default:
			p.t.Fatalf("%s: no setting %q", p.where, word)
		}
	}
	e.Rules = rules
	a.jobs[name] = e
	return e
}

func (p *player) outcome(text string) policy.Outcome {
	word, hint, hinted := strings.Cut(text, ":")
	out := policy.Outcome{Hinted: hinted}
	if hinted {
		out.Hint = p.duration(hint)
	}
	switch word {
	case "ok":
	case "transient":
		out.Verdict, out.Retry = policy.VerdictFailure, true
	case "failed":
		out.Verdict = policy.VerdictFailure
	case "fatal":
		out.Verdict = policy.VerdictNeutral
	case "throttled":
		out.Verdict, out.Retry, out.Throttled = policy.VerdictNeutral, true, true
	case "unbilled":
		out.Verdict, out.Retry, out.Unbilled = policy.VerdictFailure, true, true
	case "unusable":
		out.Verdict = policy.VerdictUnusable
	default:
		p.t.Fatalf("%s: no outcome %q", p.where, word)
	}
	return out
}

func (p *player) group(a *actor, name string) int {
	i := slices.Index(a.groups, name)
	require.GreaterOrEqual(p.t, i, 0, "%s: no group %q", p.where, name)
	return i
}

func (p *player) rate(text string) policy.Rate {
	switch text {
	case "blocked":
		return policy.Blocked
	case "unlimited":
		return policy.Unlimited
	}
	amount, unit, _ := strings.Cut(text, "/")
	spans := map[string]time.Duration{"s": time.Second, "min": time.Minute, "h": time.Hour}
	return policy.Per(p.float(amount), spans[unit])
}

func (p *player) amount(text string) policy.Amount {
	amount, err := policy.AmountOf("cost", p.float(text))
	require.NoError(p.t, err, p.where)
	return amount
}

func (p *player) duration(text string) time.Duration {
	d, err := time.ParseDuration(text)
	require.NoError(p.t, err, p.where)
	return d
}

func (p *player) number(text string) int {
	n, err := strconv.Atoi(text)
	require.NoError(p.t, err, p.where)
	return n
}

func (p *player) float(text string) float64 {
	f, err := strconv.ParseFloat(text, 64)
	require.NoError(p.t, err, p.where)
	return f
}
