package main

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/toller-go/toller/bench/sim/oracle"
	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/scheduler"
)

// player plays turns to cores, and has each judged.
type player struct {
	world     *world
	cores     []*actor
	pools     []*scheduler.Shared
	known     []*oracle.Pool
	jobs      []played // by number
	steps     int
	expressed int // jobs that took the express way
	turns     int
	told      []turn // all that have been played, when keep is set
	keep      bool
	look      int       // how many turns pass between two looks at all levels
	cover     *coverage // nil when nobody counts
}

// lookEvery is player.look where speed counts: a snapshot costs more than a turn.
const lookEvery = 8

// actor is one core and its judge.
type actor struct {
	core    *scheduler.Core
	judge   *oracle.Judge
	spec    *coreSpec
	now     policy.Time
	numbers []int // of jobs, as its judge counts them
	keys    []*scheduler.KeyRules
	known   []*oracle.KeyRules
	stopped bool
	express *scheduler.Entry // what has taken the express way in this turn

	events  []oracle.Event
	effects []oracle.Effect
}

// played is a job that was submitted.
type played struct {
	entry     *scheduler.Entry
	core      int
	local     int // its judge's number
	corrected int // the attempt whose cost was corrected: it has run, and can't be taken back as unstarted
	submitted bool
}

func newPlayer(w *world, cover *coverage) *player {
	p := &player{world: w, cover: cover, look: lookEvery}
	for _, pool := range w.pools {
		p.pools = append(p.pools, scheduler.NewShared(pool.limit()))
		p.known = append(p.known, oracle.NewPool(pool.judged()))
	}
	tickets := uint64(0)
	for i := range w.cores {
		spec := &w.cores[i]
		a := &actor{spec: spec}
		a.core = scheduler.New(w.config(spec, p.pools, func() uint64 { tickets++; return tickets }))
		a.judge = oracle.New(w.judged(spec, i, p.known))
		if cover != nil {
			a.judge.Watch = cover.watch(w, spec)
		}
		for k := range w.keys {
			rules, known := w.keys[k].rules()
			a.keys, a.known = append(a.keys, rules), append(a.known, known)
		}
		p.cores = append(p.cores, a)
	}
	return p
}

// rules returns what a key has of its own, for the core and for the oracle; nil for nothing.
func (k *keySpec) rules() (*scheduler.KeyRules, *oracle.KeyRules) {
	if k.weight == 0 && k.workers == 0 && k.breaker == nil && k.limits == nil {
		return nil, nil
	}
	rules := &scheduler.KeyRules{Weight: k.weight, Workers: k.workers}
	known := &oracle.KeyRules{Workers: k.workers}
	if k.breaker != nil {
		breaker, judged := k.breaker.breaker(), k.breaker.judged()
		rules.Breaker, known.Breaker = &breaker, &judged
	}
	for i, l := range k.limits {
		rules.Limits = append(rules.Limits, scheduler.KeyLimit{Limit: i, Rule: l.limit()})
		if known.Limits == nil {
			known.Limits = make(map[int]oracle.Limit)
		}
		known.Limits[i] = l.judged()
	}
	return rules, known
}

// play plays one turn, and those of other cores that it wakes.
func (p *player) play(t turn) *oracle.Fault {
	if p.keep {
		p.told = append(p.told, t)
	}
	p.turns++
	if t.pool >= 0 {
		return p.change(&t)
	}
	if fault := p.turn(&t); fault != nil {
		return fault
	}
	return p.wakeOthers(t.at)
}

// change changes a pool, and has all cores look at their jobs again.
func (p *player) change(t *turn) *oracle.Fault {
	at := policy.Time(t.at)
	pool, known, a := p.pools[t.pool], p.known[t.pool], &t.acts[0]
	p.steps++
	for _, c := range p.cores {
		c.judge.Doom()
	}
	switch a.kind {
	case scheduler.SetRate:
		pool.SetRate(at, a.rate.rate())
		known.SetRate(oracle.Time(at), a.rate.judged())
	case scheduler.SetBurst:
		pool.SetBurst(at, a.amount)
		known.SetBurst(oracle.Time(at), micro(a.amount))
	default:
		pool.Observe(at, amount(a.amount))
		known.Observe(oracle.Time(at), micro(a.amount))
		return nil // nothing becomes possible
	}
	for i, c := range p.cores {
		revise := turn{at: t.at, core: i, pool: -1, acts: []act{{kind: scheduler.Revise, limit: len(c.spec.limits) + t.pool}}}
		if fault := p.turn(&revise); fault != nil {
			return fault
		}
	}
	return p.wakeOthers(t.at)
}

// wakeOthers lets those cores look again that a pool has woken.
func (p *player) wakeOthers(at time.Duration) *oracle.Fault {
	for turns := 0; len(p.pools) > 0; turns++ {
		var woken []*scheduler.Core
		for range p.cores { // each may be at several pools
			for _, pool := range p.pools {
				for _, c := range pool.Woken() {
					if !slices.Contains(woken, c) {
						woken = append(woken, c)
					}
				}
			}
		}
		if len(woken) == 0 {
			break
		}
		if turns > 100 {
			return &oracle.Fault{Rule: "S-L11", Text: "the cores wake each other for ever"}
		}
		for _, c := range woken {
			i := slices.IndexFunc(p.cores, func(a *actor) bool { return a.core == c })
			if fault := p.turn(&turn{at: at, core: i, pool: -1}); fault != nil {
				return fault
			}
		}
	}
	for i, pool := range p.pools {
		now := oracle.Time(at)
		if fault := p.known[i].See(now, seen(pool.Level(policy.Time(at)).Tokens())); fault != nil {
			return fault
		}
	}
	return nil
}

func amount(tokens float64) policy.Amount {
	a, err := policy.AmountOf("tokens", tokens)
	if err != nil {
		panic(err) // of a number from the lists above
	}
	return a
}

func seen(tokens float64) oracle.Micro { return oracle.Micro(math.Round(tokens * 1e6)) }

// turn steps the acts of one turn, takes the effects, and asks the judge.
func (p *player) turn(t *turn) *oracle.Fault {
	a := p.cores[t.core]
	at := policy.Time(0).Add(t.at - a.spec.ahead)
	a.now = max(a.now, at)
	a.core.Advance(at)
	a.events = append(a.events[:0], oracle.Event{Kind: oracle.Tick, At: oracle.Time(at)})
	for i := range t.acts {
		p.step(a, t.core, at, &t.acts[i], len(t.acts) == 1)
	}
	p.steps += max(1, len(t.acts))
	a.effects = a.effects[:0]
	if a.express != nil { // whose start the core does not tell of
		a.effects = append(a.effects, p.judged(&scheduler.Effect{Kind: scheduler.Start, Entry: a.express}))
		a.express = nil
		p.expressed++
	}
	for _, e := range a.core.Effects() {
		a.effects = append(a.effects, p.judged(&e))
	}
	wake := a.core.NextWake()
	if wake <= a.now { // one wake-up for nothing may be left: of a lane that was looked at when it was empty
		a.core.Advance(a.now)
		if late := a.core.Effects(); len(late) > 0 {
			return &oracle.Fault{Rule: "S-L9", Text: fmt.Sprintf("only when woken once more at %v the core came to %v", a.now, late[0].Kind)}
		}
		wake = a.core.NextWake()
	}
	view := oracle.View{InFlight: a.core.InFlight(), Unsettled: a.core.Unsettled(), NextWake: oracle.Time(wake), State: func(local int) oracle.State {
		return oracle.State(p.jobs[a.numbers[local]].entry.State())
	}}
	if p.turns%p.look == 0 {
		view.Levels, view.Keys = a.see()
	}
	judged := oracle.Turn{Events: a.events, Effects: a.effects, View: view}
	if tamper != nil {
		tamper(&judged)
	}
	return a.judge.Turn(&judged)
}

// tamper, when a test has set it, changes what the judge is told.
var tamper func(*oracle.Turn)

// judged puts an effect into the judge's words.
func (p *player) judged(e *scheduler.Effect) oracle.Effect {
	out := oracle.Effect{Kind: oracle.EffectKind(e.Kind), Reason: oracle.Reason(e.Reason), Until: oracle.Time(e.Until), Attempt: e.Attempt}
	if e.Entry != nil {
		out.Job = p.jobs[e.Entry.Owner.(int)].local
	}
	if e.Key != "" {
		out.Key = int(e.Key[0] - 'a')
	}
	return out
}

// see returns what all buckets hold, and how all keys stand.
func (a *actor) see() (levels []oracle.Level, keys []oracle.Key) {
	s := a.core.Snapshot()
	for i := range s.Keys {
		k := &s.Keys[i]
		keys = append(keys, oracle.Key{Key: int(k.Key[0] - 'a'), State: uint8(k.Circuit), Mode: oracle.Mode(k.Mode)})
	}
	shared, own := 0, 0
	for i := range a.spec.limits {
		if !a.spec.limits[i].perKey {
			levels = append(levels, oracle.Level{Limit: i, Key: -1, Micro: seen(s.Limits[shared].Level)})
			shared++
			continue
		}
		for k := range s.Keys {
			levels = append(levels, oracle.Level{Limit: i, Key: int(s.Keys[k].Key[0] - 'a'), Micro: seen(s.Keys[k].Limits[own].Level)})
		}
		own++
	}
	return levels, keys
}
