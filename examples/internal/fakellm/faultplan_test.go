package fakellm

import (
	"slices"
	"testing"
)

// Over a batch whose prompts are asked until they are answered: the share, an even mix of all kinds, and the cap.
func TestFaultsOfTheSchedule(t *testing.T) {
	for seed := range uint64(20) {
		d := opened(t, Config{Faults: Faults{Share: 0.2}, Seed: seed})
		met := map[Fault]int{}
		for i := range byte(250) {
			sends := 0
			for outcome := faulted; outcome == faulted; sends++ {
				d.arrive(0)
				v := d.decide(0, promptKey{i}, completed)
				d.finish(v, usage{Prompt: 10, Completion: 3}, false)
				d.balanced()
				if outcome = v.outcome; outcome == faulted {
					met[v.fault]++
				}
			}
			if r := d.book.record(promptKey{i}); sends > 3 || r.Sends != sends || r.Faulted != sends-1 || r.Completed != 1 {
				t.Fatalf("seed %d: %d sends of a prompt, %+v", seed, sends, r)
			}
		}
		l := d.book.ledger()
		if share := float64(l.Faulted) / float64(l.Admitted); share < 0.19 || share > 0.21 {
			t.Errorf("seed %d: %.3f of the admitted met a fault", seed, share)
		}
		least, most, billed := l.Faulted, 0, 250
		for _, f := range Transients() {
			least, most = min(least, met[f]), max(most, met[f])
			if natures[f].billed {
				billed += met[f]
			}
			if met[f] != l.Faults[f] {
				t.Errorf("seed %d: %d of %s, the ledger has %d", seed, met[f], f, l.Faults[f])
			}
		}
		if least < 1 || most-least > 1 {
			t.Errorf("seed %d: %v", seed, met)
		}
		if l.Billed != billed || l.PromptTokens != int64(10*billed) || l.CompletionTokens != int64(3*billed) {
			t.Errorf("seed %d: %d billed, %d + %d tokens, want %d", seed, l.Billed, l.PromptTokens, l.CompletionTokens, billed)
		}
	}
}

// Only the kinds that are named are dealt, as often as each other, and PerPrompt is the cap.
func TestFaultsOfSomeKinds(t *testing.T) {
	d := opened(t, Config{Faults: Faults{Share: 0.5, Kinds: []Fault{Status500, Reset}, PerPrompt: 1}})
	for i := range byte(100) {
		for range 2 {
			d.arrive(0)
			d.finish(d.decide(0, promptKey{i}, completed), usage{}, false)
		}
		if r := d.book.record(promptKey{i}); r.Faulted > 1 {
			t.Errorf("%+v", r)
		}
	}
	met := d.book.ledger().Faults
	if len(met) != 2 || met[Reset] < 40 || met[Status500]-met[Reset] > 1 || met[Reset]-met[Status500] > 1 {
		t.Errorf("%v", met)
	}
}

func TestFaultsAreDeterministic(t *testing.T) {
	run := func(seed uint64) (all []Fault) {
		d := opened(t, Config{Faults: Faults{Share: 0.5}, Seed: seed})
		for i := range byte(200) {
			d.arrive(0)
			all = append(all, d.decide(0, promptKey{i}, completed).fault)
		}
		return all
	}
	if !slices.Equal(run(1), run(1)) || slices.Equal(run(1), run(2)) {
		t.Error("the seed does not decide")
	}
}

func TestRules(t *testing.T) {
	d := opened(t, Config{Rules: []Rule{
		{Model: "dear", Fault: NoQuota}, {Prompt: "twice", Fault: Status500, Times: 2}, {Model: "m", Prompt: "now", Fault: Reset},
		{Prompt: "twice", Fault: Status503, Times: 1},
	}})
	for i, c := range []struct {
		key         byte
		model, text string
		want        Fault
	}{
		{1, "dear", "a", NoQuota}, {1, "dear", "a", NoQuota}, {1, "m", "a", ""}, {2, "x", "not now", ""}, {2, "m", "not now", Reset},
		{3, "m", "twice", Status500}, {3, "m", "twice", Status500}, {3, "m", "twice", Status503}, {3, "m", "twice", ""},
		{4, "m", "twice!", Status500},
	} {
		d.arrive(0)
		v := d.desk.decide(0, demand{key: promptKey{c.key}, model: c.model, text: c.text})
		d.finish(v, usage{}, false)
		if v.fault != c.want || (v.outcome == faulted) != (c.want != "") {
			t.Errorf("%d: %+v, want %q", i, v, c.want)
		}
	}
	d.balanced()
}

// Every fault has a status or a way of its own, and the two lists are all there are.
func TestTheTableOfFaults(t *testing.T) {
	all := append(Transients(), Fatals()...)
	if len(all) != len(natures) || len(Transients()) != 21 || len(Fatals()) != 11 {
		t.Errorf("%d faults: %v", len(all), all)
	}
	for _, f := range all {
		n := natures[f]
		if n.transient != f.Transient() || n.wire == asError && (n.status < 400 || n.problem.Message == "") {
			t.Errorf("%s: %+v", f, n)
		}
	}
}
