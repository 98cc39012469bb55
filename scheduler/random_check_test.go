package scheduler

import (
	"fmt"
	"slices"

	"github.com/toller-go/toller/policy"
)

// What must hold in every story: of the effects one by one, and of the core's inside after every turn.

// takeEffects takes the effects of a turn and looks at each of them.
func (s *story) takeEffects() {
	purse := s.openPurse()
	for _, effect := range s.core.Effects() {
		switch effect.Kind {
		case Start:
			s.checkStart(effect.Entry)
			purse.take(effect.Entry)
			s.flying = append(s.flying, &attempt{entry: effect.Entry, number: effect.Entry.Runs(), started: s.now})
			s.checkGroups(effect.Entry)
			if len(s.flying) > s.workers {
				s.fatalf("%s started as number %d in flight, and there are %d workers", s.nameOf(effect.Entry), len(s.flying), s.workers)
			}
		case Settle:
			if s.settled[effect.Entry] {
				s.fatalf("%s settled twice, now because %v", s.nameOf(effect.Entry), effect.Reason)
			}
			s.settled[effect.Entry] = true
		default:
		}
	}
	purse.compare()
}

// checkStart looks whether e could start at all.
func (s *story) checkStart(e *Entry) {
	circuit := &e.lane().circuit
	switch {
	case s.settled[e]:
		s.fatalf("%s started though it is settled", s.nameOf(e))
	case slices.ContainsFunc(s.flying, func(a *attempt) bool { return a.entry == e }):
		s.fatalf("%s started though it runs", s.nameOf(e))
	case s.paused || s.stopped:
		s.fatalf("%s started: paused %t, stopped %t", s.nameOf(e), s.paused, s.stopped)
	case s.now < e.NotBefore:
		s.fatalf("%s started before %v", s.nameOf(e), e.NotBefore)
	case e.Deadline > 0 && !e.Announced && s.now >= e.Deadline: // of others the owner says when it is over
		s.fatalf("%s started though its deadline was at %v", s.nameOf(e), e.Deadline)
	case e.lane().workers > 0 && e.lane().inFlight > e.lane().workers || e.lane().workers == 0 && s.core.keyWorkers > 0 && e.lane().inFlight > s.core.keyWorkers:
		s.fatalf("%s started as number %d of its key", s.nameOf(e), e.lane().inFlight)
	case circuit.State() == policy.Open:
		s.fatalf("%s started though its circuit is open", s.nameOf(e))
	case circuit.State() == policy.HalfOpen && !e.pass.Probe():
		s.fatalf("%s started though its circuit is half open, and is no probe", s.nameOf(e))
	}
}

// purse is what all buckets hold at one instant, and should hold after the starts and ends that it is told of.
type purse struct {
	story  *story
	levels map[*policy.Bucket]policy.Amount
}

func (s *story) openPurse() purse {
	p := purse{s, map[*policy.Bucket]policy.Amount{}}
	note := func(b *policy.Bucket) {
		b.Advance(s.core.now)
		p.levels[b] = b.Level()
	}
	for _, b := range s.core.limits.buckets {
		if b.Bucket != nil {
			note(b.Bucket)
		}
	}
	for _, l := range s.core.lanes.inOrder() {
		for i := range l.own {
			note(&l.own[i])
		}
	}
	return p
}

// take pays for a start of e; all it costs must be there (S-A2).
func (p purse) take(e *Entry) {
	limits := &p.story.core.limits
	for i, cost := range limits.costs(e) {
		rule, b := limits.ruleOf(e.lane(), i), limits.bucketOf(e.lane(), i).Bucket
		if rule.Rate == policy.Unlimited {
			continue
		}
		if held := p.levels[b]; cost > 0 && held < min(cost, amountOf(p.story.t, rule.Capacity())) {
			p.story.fatalf("%s started at a cost of %v when %s held %v", p.story.nameOf(e), cost, rule.Name, held)
		}
		p.levels[b] -= cost
	}
}

// giveBack undoes take.
func (p purse) giveBack(e *Entry) {
	limits := &p.story.core.limits
	for i, cost := range limits.costs(e) {
		if limits.ruleOf(e.lane(), i).Rate != policy.Unlimited {
			p.levels[limits.bucketOf(e.lane(), i).Bucket] += cost
		}
	}
}

// compare looks whether the buckets hold what they should.
func (p purse) compare() {
	for b, want := range p.levels {
		if b.Level() != want {
			p.story.fatalf("a bucket holds %v, and should hold %v", b.Level(), want)
		}
	}
}

// check looks at the core's inside.
func (s *story) check() {
	s.live = slices.DeleteFunc(s.live, func(e *Entry) bool { return e.state == Settled })
	s.checkCounts()
	s.checkHeaps()
	s.checkRings()
	for _, e := range s.live {
		s.checkEntry(e)
	}
	for _, key := range storyKeys { // in this order, so that a seed always fails with the same words
		if l := s.core.lanes.get(key); s.core.Has(key) {
			s.checkLane(key, l)
		}
	}
	s.checkBursts()
	s.checkNextWake()
	s.checkClaim()
	s.checkIdle()
}

func (s *story) checkCounts() {
	c := s.core
	flying := 0
	for e := c.flying.first; e != nil; e = e.next {
		flying++
	}
	if c.inFlight != len(s.flying) || flying != len(s.flying) {
		s.fatalf("%d attempts in flight and %d in the list, and there are %d", c.inFlight, flying, len(s.flying))
	}
	if want := len(s.jobs) - len(s.settled); c.unsettled != want {
		s.fatalf("%d jobs unsettled, and there are %d", c.unsettled, want)
	}
	if c.now != s.now {
		s.fatalf("the clock shows %v", c.now)
	}
}

func (s *story) checkHeaps() {
	c := s.core
	checkHeap(s, "wake-ups", &c.wakes, func(l *lane) int32 { return l.wakePos })
	checkHeap(s, "parked jobs", &c.parked, func(e *Entry) int32 { return e.pos })
	checkHeap(s, "deadlines", &c.deadline, func(e *Entry) int32 { return e.deadlinePos })
	for _, node := range c.wakes.nodes {
		if l := node.item; l.retired || c.lanes.get(l.key) != l {
			s.fatalf("a wake-up of key %s is that of a lane that is not in use", l.key)
		}
	}
}

// checkHeap looks whether every item knows its place, and whether that is below one that is not greater.
func checkHeap[T any](s *story, name string, h *heap[T], pos func(T) int32) {
	for i := range h.nodes {
		if got := pos(h.nodes[i].item); int(got) != i {
			s.fatalf("%s: an item at %d takes itself to be at %d", name, i, got)
		}
		if h.nodes[i].less(&h.nodes[max(0, i-1)/4]) {
			s.fatalf("%s: an item at %d goes before the one above it", name, i)
		}
	}
}

// checkRings looks whether each seat in a ring belongs there; those that are in none are checkLane's business.
func (s *story) checkRings() {
	standing := map[*seat]bool{}
	for class := range s.core.rings {
		for _, r := range s.core.rings[class] {
			var prev *seat
			for seat := r.first; seat != nil; prev, seat = seat, seat.next {
				if standing[seat] {
					s.fatalf("a seat of key %s stands twice", seat.lane.key)
				}
				standing[seat] = true
				s.checkSeat(seat, r, class, prev)
			}
			if r.last != prev {
				s.fatalf("a ring of class %d ends elsewhere than its list", class)
			}
		}
	}
	for _, l := range s.core.lanes.inOrder() {
		n := 0
		for _, seat := range l.ready.seats {
			if (seat.ring != nil) != standing[seat] {
				s.fatalf("a seat of key %s stands in a ring: %t, and takes itself to: %t", l.key, standing[seat], seat.ring != nil)
			}
			if standing[seat] {
				n++
			}
		}
		if n != l.standing {
			s.fatalf("key %s counts %d seats in rings, and has %d", l.key, l.standing, n)
		}
	}
}

func (s *story) checkSeat(seat *seat, r *seatRing, class int, prev *seat) {
	l := seat.lane
	switch {
	case seat.ring != r || seat.class != class || seat.prev != prev || seat.needs != r.needs:
		s.fatalf("key %s stands in the ring of class %d, %v, and takes itself to be in that of %d, %v", l.key, class, r.needs, seat.class, seat.needs)
	case prev != nil && prev.ticket > seat.ticket:
		s.fatalf("key %s stands behind a later ticket", l.key)
	case seat.len == 0 || s.core.lanes.get(l.key) != l || l.retired:
		s.fatalf("key %s stands in a ring with %d jobs (retired %t)", l.key, seat.len, l.retired)
	case s.core.classOf(s.core.head(seat))-MinPriority != class:
		s.fatalf("key %s stands in the ring of class %d, and its head is of %d", l.key, class, s.core.classOf(s.core.head(seat))-MinPriority)
	}
}

// checkGroups looks whether there was a place for e, which has just started, in each of its groups.
func (s *story) checkGroups(e *Entry) {
	for i, g := range s.core.groups {
		n := 0
		for _, a := range s.flying {
			n += int(a.entry.Groups >> i & 1)
		}
		if e.Groups>>i&1 == 1 && n > g.Workers {
			s.fatalf("%s started as number %d of %s, which has %d workers", s.nameOf(e), n, g.Name, g.Workers)
		}
	}
}

// checkClaim looks whether those who were admitted after the first job that waits have made it wait longer (S-A5).
func (s *story) checkClaim() {
	c := s.core
	first := c.claim
	if first.entry == nil || first.at == policy.Never {
		return
	}
	c.claim = claim{}
	_, at := c.lacking(first.entry)
	c.claim = first
	if at > first.at {
		s.fatalf("%s could have started at %v, and since others have gone before it, not before %v", s.nameOf(first.entry), first.at, at)
	}
}

// checkIdle looks whether, with a worker free, the first in line really lacks something.
func (s *story) checkIdle() {
	c := s.core
	if c.paused || c.inFlight >= c.workers {
		return
	}
	c.claim = claim{}
	c.turn++
	if e := c.next(gates{}); e != nil {
		if lacks, _ := c.lacking(e); lacks.none() {
			s.fatalf("%s is next, and lacks nothing", s.nameOf(e))
		}
	}
}

// checkEntry looks whether a job that is not over stands where its state says.
func (s *story) checkEntry(e *Entry) {
	c := s.core
	if c.lanes.get(e.Key) != e.lane() || e.lane().retired {
		s.fatalf("%s is %v in a lane that is not in use", s.nameOf(e), e.state)
	}
	if s.settled[e] != (e.state == Detached) {
		s.fatalf("%s is %v: settled %t", s.nameOf(e), e.state, s.settled[e])
	}
	flies := slices.ContainsFunc(s.flying, func(a *attempt) bool { return a.entry == e && a.number == e.Runs() })
	if flies != (e.state == Running || e.state == Detached) {
		s.fatalf("%s is %v: in flight %t", s.nameOf(e), e.state, flies)
	}
	if e.state == Waiting && (int(e.pos) >= c.parked.len() || c.parked.nodes[e.pos].item != e) {
		s.fatalf("%s waits, and is not among the parked", s.nameOf(e))
	}
	due := e.Deadline > 0 && e.state != Detached && (!e.Announced || s.now < e.Deadline)
	if due != (e.deadlinePos >= 0) {
		s.fatalf("%s is %v with a deadline at %v: among the deadlines %t", s.nameOf(e), e.state, e.Deadline, !due)
	}
	if due && s.now >= e.Deadline {
		s.fatalf("%s is %v, and its deadline was at %v", s.nameOf(e), e.state, e.Deadline)
	}
}

// checkLane looks at the counts of a lane, at what waits in it, and at when it is looked at again.
func (s *story) checkLane(key string, l *lane) {
	if l.key != key || l.retired {
		s.fatalf("the lane of %s is that of %s (retired %t)", key, l.key, l.retired)
	}
	count := func(states ...EntryState) int {
		n := 0
		for _, e := range s.live {
			if e.lane() == l && slices.Contains(states, e.state) {
				n++
			}
		}
		return n
	}
	if queued := count(Queued); l.ready.len != queued {
		s.fatalf("key %s counts %d ready jobs, and has %d", key, l.ready.len, queued)
	}
	if waiting := count(Waiting); l.parked != waiting {
		s.fatalf("key %s counts %d parked jobs, and has %d", key, l.parked, waiting)
	}
	if flying := count(Running, Detached); l.inFlight != flying {
		s.fatalf("key %s counts %d attempts in flight, and has %d", key, l.inFlight, flying)
	}
	s.checkReady(l)
	s.checkWake(l)
	s.checkShutOut(l)
}

// checkReady looks at the queues of a lane.
func (s *story) checkReady(l *lane) {
	for _, seat := range l.ready.seats {
		n := 0
		for _, q := range seat.queues {
			checkHeap(s, "returned jobs", &q.returned, func(e *Entry) int32 { return e.pos })
			n += len(q.appendTo(nil))
		}
		if n != seat.len || seat.lane != l {
			s.fatalf("a seat of key %s counts %d jobs, and has %d", l.key, seat.len, n)
		}
	}
	all, failFast := l.ready.all(), 0
	for _, e := range all {
		if e.state != Queued || e.lane() != l {
			s.fatalf("%s is %v, and stands in a queue of key %s", s.nameOf(e), e.state, l.key)
		}
		if e.FailFast {
			failFast++
		}
	}
	if len(all) != l.ready.len || failFast != l.ready.failFast {
		s.fatalf("key %s counts %d ready jobs, %d fail-fast; its queues hold %d, %d", l.key, l.ready.len, l.ready.failFast, len(all), failFast)
	}
	if failFast > 0 && l.circuit.Rejects() {
		s.fatalf("key %s has %d fail-fast jobs waiting at a circuit that is %v", l.key, failFast, l.circuit.State())
	}
}

// checkWake looks whether a lane is looked at again no later than something changes in it by itself.
func (s *story) checkWake(l *lane) {
	wake := policy.Never
	if l.wakePos >= 0 {
		wake = policy.Time(s.core.wakes.nodes[l.wakePos].key)
	}
	if at := l.circuit.NextWake(); wake > at {
		s.fatalf("key %s wakes at %v, and its circuit changes at %v", l.key, wake, at)
	}
	for _, seat := range l.ready.seats {
		if seat.len > 0 && seat.ring == nil && wake > seat.gate {
			s.fatalf("key %s wakes at %v, and its gate opens at %v", l.key, wake, seat.gate)
		}
	}
	if at := s.core.risesAt(l); wake > at {
		s.fatalf("key %s wakes at %v, and a job of it rises at %v", l.key, wake, at)
	}
	if l.deserted() {
		if at := l.freshAt(s.now); wake > at {
			s.fatalf("key %s wakes at %v, and can be forgotten at %v", l.key, wake, at)
		}
	}
}

// checkShutOut looks whether a lane that has work and stands in no ring has a gate that is closed.
func (s *story) checkShutOut(l *lane) {
	if !l.circuit.Admits() || s.core.full(l) {
		return
	}
	l.cool.Advance(s.now)
	if l.cool.Undrawn() || l.cool.ReadyAt() > s.now {
		return
	}
	for _, seat := range l.ready.seats {
		if seat.len > 0 && seat.ring == nil && !s.waitsForItsOwn(seat) {
			s.fatalf("key %s has %d ready jobs that stand in no ring, though no gate of their own is closed", l.key, seat.len)
		}
	}
}

// waitsForItsOwn reports whether the head of a seat lacks something of its lane's own limits, or is kept from it.
func (s *story) waitsForItsOwn(seat *seat) bool {
	e, l := s.core.head(seat), seat.lane
	if l.claim.entry != e && l.claim.lacks.meets(seat.needs) {
		return true
	}
	for i, k := range s.core.limits.own {
		if k >= 0 && s.core.limits.costs(e)[i] > 0 && s.core.ownFreeAt(&l.own[k], e, i) > s.now {
			return true
		}
	}
	return false
}

// checkBursts looks whether no bucket that all share holds more than it can.
func (s *story) checkBursts() {
	for i, b := range s.core.limits.buckets {
		rule := &s.core.limits.rules[i]
		if b.Bucket != nil && b.Level() > amountOf(s.t, rule.Capacity()) {
			s.fatalf("%s holds %v, and its burst is %g", rule.Name, b.Level(), rule.Capacity())
		}
	}
}

// checkNextWake looks whether work that is left goes on: something runs, or a wake-up is set, or only somebody's word can
// help.
func (s *story) checkNextWake() {
	s.checkNothingDue()
	next := s.core.NextWake()
	blocked := slices.ContainsFunc(s.core.limits.rules, func(rule policy.Limit) bool { return rule.Rate == policy.Blocked })
	if next != policy.Never || s.core.inFlight > 0 || s.paused || blocked {
		return
	}
	for _, e := range s.live {
		if circuit := &e.lane().circuit; circuit.State() != policy.Open {
			s.fatalf("%s is %v behind a circuit that is %v, and nothing will ever happen", s.nameOf(e), e.state, circuit.State())
		}
	}
}

// checkNothingDue looks whether all that was due has been done. A wake-up for nothing may be left, that of a lane which was
// looked at while it was empty, but only one: or the owner would spin.
func (s *story) checkNothingDue() {
	c := s.core
	if c.NextWake() > s.now {
		return
	}
	due := fmt.Sprintf("line %v, deadlines %v, lanes %v, parked jobs %v",
		c.line, policy.Time(c.deadline.key()), policy.Time(c.wakes.key()), policy.Time(c.parked.key()))
	c.Step(Event{Kind: Tick, At: s.now})
	if late := c.Effects(); len(late) > 0 {
		s.fatalf("only when woken once more at the same instant, the core came to %v for key %q (%s)", late[0].Kind, late[0].Key, due)
	}
	if next := c.NextWake(); next <= s.now {
		s.fatalf("the next wake-up is at %v still (%s)", next, due)
	}
}

// checkKeptLanes looks whether, when nothing happens by itself, the lanes that are left have something to remember.
func (s *story) checkKeptLanes() {
	for _, l := range s.core.lanes.inOrder() {
		if at := l.freshAt(s.now); at != policy.Never {
			s.fatalf("key %s is kept, and cannot be told from a new one from %v on", l.key, at)
		}
	}
}

// checkEmpty looks whether the core, when all is over, is like a new one.
func (s *story) checkEmpty() {
	c := s.core
	for _, e := range s.jobs {
		if e.state != Settled || !s.settled[e] {
			s.fatalf("in the end %s is %v (settled %t)", s.nameOf(e), e.state, s.settled[e])
		}
	}
	if c.flying.first != nil || c.flying.last != nil || c.front(gates{}) != nil {
		s.fatalf("in the end the list of attempts in flight or a ring is not empty")
	}
	if c.wakes.len()+c.parked.len()+c.deadline.len() > 0 {
		s.fatalf("in the end there are %d wake-ups, %d parked jobs, %d deadlines", c.wakes.len(), c.parked.len(), c.deadline.len())
	}
	if kept := len(c.lanes.inOrder()); kept > 0 {
		s.fatalf("in the end %d lanes are kept", kept)
	}
	if c.lanes.len != len(c.spare) {
		s.fatalf("in the end there are %d lanes, of which %d are spare", c.lanes.len, len(c.spare))
	}
	for i, b := range c.limits.buckets {
		if b.Bucket == nil {
			continue
		}
		full := amountOf(s.t, c.limits.rules[i].Capacity())
		b.Advance(b.FullAt())
		if b.Level() != full {
			s.fatalf("in the end %s holds %v of %v", c.limits.rules[i].Name, b.Level(), full)
		}
	}
}
