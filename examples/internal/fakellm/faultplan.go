package fakellm

import (
	"math/rand/v2"
	"strings"
	"time"
)

// faultPlan decides which admitted requests meet a fault, and which. Not safe for concurrent use.
type faultPlan struct {
	rules     []Rule
	due       share
	rng       *rand.Rand
	kinds     []Fault // immutable
	deck      []Fault // those not dealt yet of this round: each comes once before any comes again
	perPrompt uint32
	owed      int // fell due and were not given yet, and the prompt at hand could take no more
}

func newFaultPlan(cfg Config) faultPlan {
	return faultPlan{
		rules: cfg.Rules, due: newShare(cfg.Faults.Share, stream(cfg.Seed, streamFault)),
		rng: stream(cfg.Seed, streamFaultKind), kinds: cfg.Faults.Kinds, perPrompt: uint32(cfg.Faults.PerPrompt),
	}
}

// ruled returns the fault of the first rule that fits.
func (f *faultPlan) ruled(p *prompt, model, text string) (Fault, bool) {
	for i, r := range f.rules {
		if r.Model != "" && r.Model != model || !strings.Contains(text, r.Prompt) {
			continue
		}
		if r.Times > 0 {
			if p.ruled == nil {
				p.ruled = map[int]int{}
			}
			if p.ruled[i] >= r.Times {
				continue
			}
			p.ruled[i]++
		}
		return r.Fault, true
	}
	return "", false
}

// next returns the fault that falls to the next admitted request, one of prompt p.
func (f *faultPlan) next(p *prompt) (Fault, bool) {
	if f.due.next() {
		f.owed++
	}
	if f.owed == 0 || p.dealt >= f.perPrompt {
		return "", false
	}
	f.owed--
	p.dealt++
	if len(f.deck) == 0 {
		f.deck = append(f.deck, f.kinds...)
		f.rng.Shuffle(len(f.deck), func(i, j int) { f.deck[i], f.deck[j] = f.deck[j], f.deck[i] })
	}
	dealt := f.deck[0]
	f.deck = f.deck[1:]
	return dealt, true
}

// phaseAt returns the phase that holds at a time since the first arrival; the zero Phase before the first.
func phaseAt(phases []Phase, since time.Duration) Phase {
	now := Phase{}
	for _, p := range phases {
		if p.At <= since {
			now = p
		}
	}
	return now
}
