package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/scheduler"
)

// act is one thing that happens, by numbers and words, so that a story can be told again without some of its acts.
type act struct {
	kind    scheduler.EventKind
	job, by int // by number
	attempt int // counted from 1; 0: the latest
	spec    *jobSpec
	outcome string
	hint    time.Duration // negative: none
	key     int
	mode    policy.Mode
	limit   int
	amount  float64
	rate    rateSpec
	workers int
	group   int
}

// turn is acts that happen at once, at an instant of the world's clock: to a core, or to a pool.
type turn struct {
	at   time.Duration
	core int
	pool int // instead of core, when acts is one SetRate, SetBurst or Observe and pool is not -1
	acts []act
}

// jobSpec is one job.
type jobSpec struct {
	key, priority       int
	failFast, announced bool
	costs               []float64
	deadline, notBefore time.Duration // by the core's clock
	groups              uint64
	retry               *retrySpec
}

// text returns the line of a transcript.
func (t *turn) text(w *world) string {
	name := ""
	at := t.at
	switch {
	case t.pool >= 0:
		name = w.pools[t.pool].name + ": "
	case len(w.pools) > 0:
		name = fmt.Sprintf("c%d: ", t.core)
		fallthrough
	default:
		at -= w.cores[t.core].ahead
	}
	words := make([]string, len(t.acts), len(t.acts)+1)
	for i := range t.acts {
		words[i] = t.acts[i].text(w, t)
	}
	if len(words) == 0 {
		words = append(words, "tick")
	}
	return fmt.Sprintf("%v %s%s\n", at, name, strings.Join(words, "; "))
}

func (a *act) text(w *world, t *turn) string {
	word := a.kind.String()
	switch a.kind {
	case scheduler.Submit:
		return a.spec.text(w, t.core, a.job)
	case scheduler.Done:
		return fmt.Sprintf("%s %s %s", word, a.whose(), a.ending())
	case scheduler.Unstarted:
		return word + " " + a.whose()
	case scheduler.Cancel:
		return fmt.Sprintf("%s j%d", word, a.job)
	case scheduler.Override:
		mode := map[policy.Mode]string{policy.Automatic: "auto", policy.ForcedOpen: "open", policy.ForcedClosed: "closed", policy.Disabled: "disabled"}[a.mode]
		return fmt.Sprintf("%s %s %s", word, mode, keyNames[a.key])
	case scheduler.Correct:
		return fmt.Sprintf("%s %s %d %g", word, a.whose(), a.limit, a.amount)
	case scheduler.SetRate:
		return strings.Join(append(a.which(word, t), a.rate.String()), " ")
	case scheduler.SetBurst:
		return strings.Join(append(a.which(word, t), fmt.Sprintf("%g", a.amount)), " ")
	case scheduler.Observe:
		words := append(a.which(word, t), fmt.Sprintf("%g", a.amount))
		if t.pool < 0 && a.limit < len(w.cores[t.core].limits) && w.cores[t.core].limits[a.limit].perKey {
			words = append(words, keyNames[a.key])
		}
		return strings.Join(words, " ")
	case scheduler.SetWorkers, scheduler.SetKeyWorkers:
		return fmt.Sprintf("%s %d", word, a.workers)
	case scheduler.SetGroup:
		return fmt.Sprintf("%s g%d %d", word, a.group, a.workers)
	case scheduler.Await, scheduler.Unawait:
		return fmt.Sprintf("%s j%d %s", word, a.by, fmt.Sprint("j", a.job))
	default:
		return word
	}
}

// which returns the word, and the limit's number unless a pool is meant.
func (a *act) which(word string, t *turn) []string {
	if t.pool >= 0 {
		return []string{word}
	}
	return []string{word, fmt.Sprint(a.limit)}
}

func (a *act) whose() string {
	if a.attempt == 0 {
		return fmt.Sprintf("j%d", a.job)
	}
	return fmt.Sprintf("j%d#%d", a.job, a.attempt)
}

func (a *act) ending() string {
	if a.hint < 0 {
		return a.outcome
	}
	return fmt.Sprintf("%s:%v", a.outcome, a.hint)
}

func (a *act) result() policy.Outcome {
	out := outcomeOf[a.outcome]
	if a.hint >= 0 {
		out.Hinted, out.Hint = true, a.hint
	}
	return out
}

func (s *jobSpec) text(w *world, core, number int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "submit j%d key=%s", number, keyNames[s.key])
	if s.priority != 0 {
		fmt.Fprintf(&b, " priority=%d", s.priority)
	}
	for i, cost := range s.costs {
		b.WriteString(pick2(i == 0, " costs=", ","))
		fmt.Fprintf(&b, "%g", cost)
	}
	if s.deadline > 0 {
		fmt.Fprintf(&b, " deadline=%v", s.deadline)
	}
	if s.announced {
		b.WriteString(" announced")
	}
	if s.notBefore > 0 {
		fmt.Fprintf(&b, " notbefore=%v", s.notBefore)
	}
	if s.failFast {
		b.WriteString(" failfast")
	}
	for g := range w.cores[core].groups {
		if s.groups&(1<<g) != 0 {
			b.WriteString(pick2(s.groups&(1<<g-1) == 0, " groups=", ","))
			fmt.Fprintf(&b, "g%d", g)
		}
	}
	if s.retry != nil {
		fmt.Fprintf(&b, " retry=%v", s.retry)
	}
	b.WriteString(w.keys[s.key].text())
	return b.String()
}

func (k *keySpec) text() string {
	var b strings.Builder
	if k.weight > 0 {
		fmt.Fprintf(&b, " weight=%d", k.weight)
	}
	if k.workers > 0 {
		fmt.Fprintf(&b, " keyworkers=%d", k.workers)
	}
	if k.breaker != nil {
		fmt.Fprintf(&b, " breaker=%v", k.breaker)
	}
	for _, i := range slices.Sorted(maps.Keys(k.limits)) {
		fmt.Fprintf(&b, " limit=%v", k.limits[i])
	}
	return b.String()
}

func pick2[T any](yes bool, a, b T) T {
	if yes {
		return a
	}
	return b
}
