package scheduler_test

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
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
	p := &player{t: t, pools: make(map[string]*scheduler.Shared)}
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

// player plays one file.
type player struct {
	t       *testing.T
	cores   []*actor // of the present story
	pools   map[string]*scheduler.Shared
	tickets uint64 // of all cores
	out     strings.Builder
	where   string // in the file, for messages
}

// actor is one core and what its owner knows.
type actor struct {
	awaited map[string]*scheduler.Awaited // by who waits, and for what
	name    string                        // empty when it is the only one
	core    *scheduler.Core
	jobs    map[string]*scheduler.Entry
	flying  []*scheduler.Entry // attempts that were started, in that order; some may have ended
	groups  []string           // names, in the order of their bits
	pools   []string           // names of the shared limits that it uses
	limits  int                // how many limits of its own stand before those
	ahead   time.Duration
}

// input takes one line: `core …` or `shared …`, or an instant followed by the events of one turn, separated by a semicolon.
func (p *player) input(words []string) {
	switch words[0] {
	case "core":
		p.enter(words[1:])
		return
	case "shared":
		limit := p.limit(strings.Split(words[1], ":"))
		p.cores, p.pools[limit.Name] = nil, scheduler.NewShared(limit)
		return
	}
	at := policy.Time(p.duration(words[0]))
	words = words[1:]
	a := p.actor("")
	if name, named := strings.CutSuffix(words[0], ":"); named {
		if pool := p.pools[name]; pool != nil {
			p.change(name, pool, at, words[1:])
			return
		}
		a, words = p.actor(name), words[1:]
	}
	require.NotNil(p.t, a, "%s: no such core", p.where)
	p.turn(a, at, strings.Split(strings.Join(words, " "), ";")...)
	p.wakeOthers(at.Add(a.ahead))
}

// actor returns the core of that name, or nil.
func (p *player) actor(name string) *actor {
	for _, a := range p.cores {
		if a.name == name {
			return a
		}
	}
	return nil
}

// turn steps the events of one turn and writes down what comes out.
func (p *player) turn(a *actor, at policy.Time, events ...string) {
	show := false
	for _, event := range events {
		switch fields := strings.Fields(event); {
		case fields[0] == "show":
			show = true
			a.core.Step(scheduler.Event{At: at})
		case fields[0] == "done" && fields[1] == "all":
			for _, e := range a.flying {
				a.core.Step(scheduler.Event{Kind: scheduler.Done, At: at, Entry: e, Attempt: e.Runs(), Outcome: p.outcome(fields[2])})
			}
			a.flying = nil
		default:
			a.core.Step(p.event(a, at, fields))
		}
	}
	for _, effect := range a.core.Effects() {
		if effect.Kind == scheduler.Start {
			a.flying = append(a.flying, effect.Entry)
		}
		if effect.Kind == scheduler.Forgotten && effect.Key == "" {
			continue // nearly every story of the empty key would end with it
		}
		p.write(a, "%s", describe(effect))
	}
	if show {
		p.show(a)
	}
	p.write(a, "next %v", a.core.NextWake())
}

// write writes one line of output; where there are several cores it begins with the core's name.
func (p *player) write(a *actor, format string, args ...any) {
	p.out.WriteString("    ")
	if a.name != "" {
		p.out.WriteString(a.name + ": ")
	}
	fmt.Fprintf(&p.out, format+"\n", args...)
}

// wakeOthers steps those cores that shared limits want to look again, at an instant of the limits' clock. They may wake others
// in turn.
func (p *player) wakeOthers(at policy.Time) {
	for turns := 0; ; {
		var woken []*scheduler.Core
		for _, a := range p.cores { // in the order of their lines in the file
			for _, name := range a.pools {
				for _, core := range p.pools[name].Woken() {
					if !slices.Contains(woken, core) {
						woken = append(woken, core)
					}
				}
			}
		}
		if len(woken) == 0 {
			return
		}
		for _, core := range woken {
			a := p.cores[slices.IndexFunc(p.cores, func(a *actor) bool { return a.core == core })]
			p.write(a, "woken")
			p.turn(a, at.Add(-a.ahead), "tick")
			turns++
			require.Less(p.t, turns, 100, "%s: the cores wake each other for ever", p.where)
		}
	}
}

// change changes a shared limit, and has all cores look at their jobs again that use it.
func (p *player) change(name string, pool *scheduler.Shared, at policy.Time, words []string) {
	switch words[0] {
	case "setrate":
		pool.SetRate(at, p.rate(words[1]))
	case "setburst":
		pool.SetBurst(at, p.float(words[1]))
	case "observe":
		pool.Observe(at, p.amount(words[1]))
		return // nothing becomes possible, and nothing impossible
	case "show":
		fmt.Fprintf(&p.out, "    limit %s: %g\n", name, pool.Level(at).Tokens())
		return
	default:
		p.t.Fatalf("%s: no event %q of a shared limit", p.where, words[0])
	}
	for _, a := range p.cores {
		if i := slices.Index(a.pools, name); i >= 0 {
			p.turn(a, at.Add(-a.ahead), fmt.Sprint("revise ", a.limits+i))
		}
	}
	p.wakeOthers(at)
}

func describe(effect scheduler.Effect) string {
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

func (p *player) show(a *actor) {
	s := a.core.Snapshot()
	paused := ""
	if s.Paused {
		paused = ", paused"
	}
	p.write(a, "queued %d, waiting %d, running %d, unsettled %d%s", s.Queued, s.Waiting, s.Running, a.core.Unsettled(), paused)
	for _, k := range s.Keys {
		circuit := k.Circuit.String()
		if k.Mode != policy.Automatic {
			circuit += " (" + k.Mode.String() + ")"
		}
		if k.Trips > 0 {
			circuit += fmt.Sprintf(" (trips %d)", k.Trips)
		}
		p.write(a, "key %q: queued %d, waiting %d, running %d, circuit %s, cooling %v",
			cmp.Or(k.Key, "-"), k.Queued, k.Waiting, k.Running, circuit, k.Cooling)
		for _, l := range k.Limits {
			p.write(a, "  its %s", limitWords(l))
		}
		for _, w := range k.Waits {
			until := ""
			if w.In >= 0 {
				until = fmt.Sprintf(", in %v", w.In)
			}
			p.write(a, "  waits for %s%s", strings.TrimSpace(w.Kind.String()+" "+w.Name), until)
		}
	}
	for _, l := range s.Limits {
		p.write(a, "%s", limitWords(l))
	}
	for _, g := range s.Groups {
		p.write(a, "group %s: running %d of %d%s", g.Name, g.Running, g.Workers, waitingWords(g.Waiting))
	}
}

func limitWords(l scheduler.LimitSnapshot) string {
	return fmt.Sprintf("limit %s: %g of %g at %v%s", l.Name, l.Level, l.Burst, l.Rate, waitingWords(l.Waiting))
}

func waitingWords(jobs int) string {
	if jobs == 0 {
		return ""
	}
	return fmt.Sprintf(", %d waiting", jobs)
}
