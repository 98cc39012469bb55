package scheduler_test

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/scheduler"
)

var update = flag.Bool("update", false, "write what the core does into testdata/*.txt, for a person to review")

// TestTranscripts drives the core alone. Each testdata/*.txt is a story: lines at the margin go in, indented ones come
// out. testdata/README.md has the grammar. The whole file is compared, byte for byte, and played twice (S-T1).
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			got := play(t, string(want))
			require.Equal(t, got, play(t, string(want)), "the same events gave other effects the second time")
			if *update {
				require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
				return
			}
			require.Equal(t, string(want), got)
		})
	}
}

// play runs the input lines of a transcript and returns the transcript they give.
func play(t *testing.T, text string) string {
	t.Helper()
	p := &player{t: t, jobs: make(map[string]*scheduler.Entry)}
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		p.where = fmt.Sprintf("line %d: %q", i+1, line)
		if strings.HasPrefix(line, "    ") {
			continue // output, which is made anew
		}
		fmt.Fprintln(&p.out, line)
		if line != "" && !strings.HasPrefix(line, "#") {
			p.input(strings.Fields(line))
		}
	}
	return p.out.String()
}

type player struct {
	t     *testing.T
	core  *scheduler.Core
	jobs  map[string]*scheduler.Entry
	out   strings.Builder
	where string
}

// input takes one line: `core …`, or an instant followed by the events of one turn, separated by a semicolon.
func (p *player) input(words []string) {
	if words[0] == "core" {
		p.core = scheduler.New(p.config(words[1:]))
		return
	}
	at := policy.Time(p.duration(words[0]))
	show := false
	for event := range strings.SplitSeq(strings.Join(words[1:], " "), ";") {
		if fields := strings.Fields(event); fields[0] == "show" {
			show = true
			p.core.Step(scheduler.Event{At: at})
		} else {
			p.core.Step(p.event(at, fields))
		}
	}
	for _, effect := range p.core.Effects() {
		if effect.Kind == scheduler.Forgotten && effect.Key == "" {
			continue // nearly every story of the empty key would end with it
		}
		fmt.Fprintf(&p.out, "    %s\n", p.describe(effect))
	}
	if show {
		p.show()
	}
	fmt.Fprintf(&p.out, "    next %v\n", p.core.NextWake())
}

func (p *player) event(at policy.Time, words []string) scheduler.Event {
	kinds := map[string]scheduler.EventKind{}
	for k := scheduler.Tick; k <= scheduler.SetWorkers; k++ {
		kinds[k.String()] = k
	}
	kind, known := kinds[words[0]]
	require.True(p.t, known, "%s: no event %q", p.where, words[0])
	ev := scheduler.Event{Kind: kind, At: at}
	switch kind {
	case scheduler.Submit:
		ev.Entry = p.submit(words[1], words[2:])
	case scheduler.Done, scheduler.Unstarted, scheduler.Cancel:
		name, attempt, numbered := strings.Cut(words[1], "#")
		ev.Entry = p.jobs[name]
		require.NotNil(p.t, ev.Entry, "%s: no job %q", p.where, name)
		ev.Attempt = ev.Entry.Runs()
		if numbered {
			ev.Attempt = p.number(attempt)
		}
		if kind == scheduler.Done {
			ev.Outcome = p.outcome(words[2])
		}
	case scheduler.Correct:
		ev.Entry, ev.Limit, ev.Amount = p.jobs[words[1]], p.number(words[2]), policy.Amount(p.float(words[3])*1e6)
		ev.Attempt = ev.Entry.Runs()
	case scheduler.SetRate:
		ev.Limit, ev.Rate = p.number(words[1]), p.rate(words[2])
	case scheduler.SetBurst:
		ev.Limit, ev.Burst = p.number(words[1]), p.float(words[2])
	case scheduler.Observe:
		ev.Limit, ev.Amount, ev.Key = p.number(words[1]), policy.Amount(p.float(words[2])*1e6), strings.Join(words[3:], "")
	case scheduler.SetWorkers:
		ev.Workers = p.number(words[1])
	case scheduler.Override:
		modes := map[string]policy.Mode{"auto": policy.Automatic, "open": policy.ForcedOpen, "closed": policy.ForcedClosed, "disabled": policy.Disabled}
		mode, known := modes[words[1]]
		require.True(p.t, known, "%s: no mode %q", p.where, words[1])
		ev.Mode, ev.Key = mode, strings.Join(words[2:], "")
	default:
	}
	return ev
}

func (p *player) submit(name string, settings []string) *scheduler.Entry {
	e := &scheduler.Entry{Owner: name}
	for _, setting := range settings {
		word, value, _ := strings.Cut(setting, "=")
		switch word {
		case "key":
			e.Key = value
		case "costs":
			for tokens := range strings.SplitSeq(value, ",") {
				e.Costs = append(e.Costs, policy.Amount(p.float(tokens)*1e6))
			}
		case "deadline":
			e.Deadline = policy.Time(p.duration(value))
		case "notbefore":
			e.NotBefore = policy.Time(p.duration(value))
		case "failfast":
			e.FailFast = true
		case "priority":
			e.Priority = p.number(value)
		default:
			p.t.Fatalf("%s: no setting %q", p.where, word)
		}
	}
	p.jobs[name] = e
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

// config reads `workers=4 limit=calls:10/s:20[:perkey] retry=3:100ms:2 breaker=5:30s:probes=2`; jitter is off, so that
// times can be read, save for retry=…:jitter.
func (p *player) config(settings []string) scheduler.Config {
	cfg := scheduler.Config{Workers: 1, Seed: 1}
	for _, setting := range settings {
		word, value, _ := strings.Cut(setting, "=")
		parts := strings.Split(value, ":")
		switch word {
		case "workers":
			cfg.Workers = p.number(value)
		case "age":
			cfg.AgeAfter = p.duration(value)
		case "limit":
			cfg.Limits = append(cfg.Limits, p.limit(parts))
		case "retry":
			cfg.Retry = p.retry(parts)
		case "breaker":
			cfg.Breaker = p.breaker(parts)
		default:
			p.t.Fatalf("%s: no setting %q", p.where, word)
		}
	}
	require.NoError(p.t, cfg.Retry.Validate(), p.where)
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
		default:
			p.t.Fatalf("%s: no limit setting %q", p.where, part)
		}
	}
	require.NoError(p.t, limit.Validate(), p.where)
	return limit
}

func (p *player) rate(text string) policy.Rate {
	amount, unit, _ := strings.Cut(text, "/")
	spans := map[string]time.Duration{"s": time.Second, "min": time.Minute}
	return policy.Per(p.float(amount), spans[unit])
}

func (p *player) retry(parts []string) policy.Retry {
	r := policy.Retry{MaxAttempts: p.number(parts[0]), Delay: p.duration(parts[1]), Backoff: p.float(parts[2]), Jitter: policy.NoJitter}
	for _, part := range parts[3:] {
		word, value, _ := strings.Cut(part, "=")
		switch word {
		case "jitter":
			r.Jitter = policy.FullJitter
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
		default:
			p.t.Fatalf("%s: no breaker setting %q", p.where, word)
		}
	}
	return b
}

func (p *player) describe(effect scheduler.Effect) string {
	words := []string{effect.Kind.String()}
	if effect.Entry != nil {
		words = append(words, effect.Entry.Owner.(string))
	}
	switch effect.Kind {
	case scheduler.Start:
		words[1] += "#" + strconv.Itoa(effect.Entry.Runs())
	case scheduler.Settle, scheduler.Signal:
		words = append(words, effect.Reason.String())
		if effect.Reason == scheduler.CircuitOpen {
			words = append(words, "until", effect.Until.String())
		}
	case scheduler.Parked, scheduler.Cooling, scheduler.Opened:
		words = append(words, "until", effect.Until.String())
	default:
	}
	if effect.Key != "" {
		words = append(words, "key="+effect.Key)
	}
	return strings.Join(words, " ")
}

func (p *player) show() {
	s := p.core.Snapshot()
	fmt.Fprintf(&p.out, "    queued %d, waiting %d, running %d, unsettled %d\n", s.Queued, s.Waiting, s.Running, p.core.Unsettled())
	for _, k := range s.Keys {
		fmt.Fprintf(&p.out, "    key %q: queued %d, waiting %d, running %d, circuit %v, cooling %v\n",
			cmp.Or(k.Key, "-"), k.Queued, k.Waiting, k.Running, k.Circuit, k.Cooling)
	}
	for _, l := range s.Limits {
		fmt.Fprintf(&p.out, "    limit %s: %g\n", l.Name, l.Level)
	}
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
