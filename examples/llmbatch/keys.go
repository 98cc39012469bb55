package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// credential is an API key under the name of the variable that holds it. The name is what is shown of it.
type credential struct {
	name, secret string
}

// Format keeps the secret out of whatever is printed.
func (c credential) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, c.name) }

// apiKey is a key in use. Once it is dead, because it was refused or is out of money, nothing is sent with it any more.
type apiKey struct {
	credential

	mu  sync.Mutex
	why string // guarded by mu; why it is dead; empty while it is not
}

// kill sets the key aside, and reports whether it was in use until now.
func (k *apiKey) kill(why string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	first := k.why == ""
	if first {
		k.why = why
	}
	return first
}

// dead returns why the key is set aside; empty if it is not.
func (k *apiKey) dead() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.why
}

// lane is one key with one model, to which the dispatcher gives limits, a cooldown and a circuit of its own.
type lane struct {
	key     *apiKey
	name    string // what the dispatcher calls it
	held    bool   // loop only: it is cooling down, or its circuit is open, as of the last look
	waiting int    // loop only: prompts handed to the dispatcher and never begun
	under   int    // loop only: prompts handed to the dispatcher

	allowance *allowance // immutable once the run has begun; nil: earlier runs leave it all that its limits have
}

// allowed reports whether its key, and what earlier runs have left of -rpd, let another prompt be bound to the lane.
func (l *lane) allowed() bool { return l.key.dead() == "" && l.allowance.left() > l.waiting }

// free reports whether the lane can send by itself, as far as is known.
func (l *lane) free() bool { return !l.held && l.allowed() }

// keyring is the keys, and which of them takes the next prompt. It belongs to the loop.
type keyring struct {
	keys  []*apiKey
	lanes map[string][]*lane // by model, one for each key
	most  int                // prompts that wait in one lane
	count atomic.Int32       // of lanes; anybody may read it
}

func newKeyring(credentials []credential, most int) *keyring {
	r := &keyring{lanes: make(map[string][]*lane), most: most}
	for _, c := range credentials {
		r.keys = append(r.keys, &apiKey{credential: c})
	}
	return r
}

// of returns the lanes of a model.
func (r *keyring) of(model string) []*lane {
	lanes := r.lanes[model]
	if lanes == nil {
		for _, key := range r.keys {
			name := model
			if len(r.keys) > 1 {
				name = key.name + " " + model
			}
			lanes = append(lanes, &lane{key: key, name: name})
		}
		r.lanes[model] = lanes
		r.count.Add(int32(len(lanes)))
	}
	return lanes
}

// pick returns the lane that is to take the next prompt for a model: the one in which the fewest wait, so that each takes what its
// limits let through; nil if enough wait in all of them, or no key is left. One that is held gets none as long as there are others.
//
// Few prompts wait in a lane. They are bound to its key, and the fewer they are, the less the choice is one of long ago.
func (r *keyring) pick(model string) *lane {
	var best *lane
	lanes := r.of(model)
	free := slices.ContainsFunc(lanes, (*lane).free)
	for _, l := range lanes {
		if l.waiting >= r.most || !l.allowed() || free && l.held {
			continue
		}
		if best == nil || l.waiting < best.waiting || l.waiting == best.waiting && l.under < best.under {
			best = l
		}
	}
	return best
}

// alive reports whether a key is left.
func (r *keyring) alive() bool {
	for _, key := range r.keys {
		if key.dead() == "" {
			return true
		}
	}
	return false
}

// obituary says why no key is left.
func (r *keyring) obituary() string {
	if len(r.keys) == 1 {
		return r.keys[0].dead()
	}
	reasons := make([]string, len(r.keys))
	for i, key := range r.keys {
		reasons[i] = key.name + ": " + key.dead()
	}
	return "no API key is left (" + strings.Join(reasons, "; ") + ")"
}

// deadKeys lists the keys that were set aside, with the reason.
func (r *keyring) deadKeys() []string {
	var list []string
	for _, key := range r.keys {
		if why := key.dead(); why != "" {
			list = append(list, key.name+": "+why)
		}
	}
	return list
}
