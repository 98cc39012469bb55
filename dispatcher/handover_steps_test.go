package dispatcher_test

// What the actors of the model do, step by step.

// steps calls next with every state that can follow by a step of actor i.
func (s *scenario) steps(w world, i int, next func(world)) {
	a := &w.actors[i]
	switch a.at {
	case reading:
		a.saw, a.at = w.come, turning
	case turning:
		s.turn(&w, a.saw)
		a.saw, a.at = false, handing
	case handing:
		s.hand(&w)
		s.served(&w, i)
	case ringing:
		w.bell, a.call = true, false
		s.goOn(&w, i)
	case rousing:
		s.rouse(&w, a)
		s.goOn(&w, i)
	case over, absent:
		return
	default:
		s.ownSteps(w, i, next)
		return
	}
	next(w)
}

// ownSteps are those that differ from actor to actor.
func (s *scenario) ownSteps(w world, i int, next func(world)) {
	a := &w.actors[i]
	switch {
	case i == schedulerActor:
		s.scheduler(w, next)
		return
	case i == firstSubmitter, i == secondSubmitter, i == doActor && a.at == begins:
		s.submit(&w, i)
	case i == doActor:
		s.do(w, next)
		return
	case i == closeActor && a.at == begins:
		w.closed, a.at = true, runs
	case i == closeActor && a.at == runs:
		if w.ended {
			a.at = looking
		} else {
			w.posts |= 1 << closePost
			s.leave(&w, a)
			s.goOn(&w, i)
		}
	case i == closeActor:
		if w.actors[schedulerActor].at != over {
			return
		}
		a.at = over
	case i == pokeActor:
		w.ticked = true
		s.leave(&w, a)
		s.goOn(&w, i)
	case i == timeActor && !w.come:
		w.come = true
	case i == timeActor:
		if !w.set {
			return
		}
		w.rung, w.set = true, false
	case i == trimActor:
		if w.trims == 0 || w.idle == 0 {
			return
		}
		w.trims--
		s.dismiss(&w)
	default:
		s.worker(w, i, next)
		return
	}
	next(w)
}

func (s *scenario) scheduler(w world, next func(world)) {
	a := &w.actors[schedulerActor]
	switch a.at {
	case begins:
		if w.bell {
			v := w
			v.bell = false
			v.actors[schedulerActor].at, v.actors[schedulerActor].bell = looking, true
			next(v)
		}
		if w.rung {
			w.rung = false
			a.at, a.tick = looking, true
			next(w)
		}
		return
	case looking:
		if a.bell && s.bug != callStays {
			w.called = false
		}
		w.ticked = w.ticked || a.tick && s.bug != timerUnheeded
		again := !a.bell && !a.tick
		a.bell, a.tick = false, false
		switch {
		case !w.served && s.work(&w) && (!again || s.bug != servesOnce):
			s.serve(&w, a)
		case w.ended:
			a.at = leaves
		default:
			a.at = begins
		}
	case leaves:
		s.dismiss(&w)
		a.at = over
	}
	next(w)
}

func (s *scenario) submit(w *world, i int) {
	job, a := i-firstSubmitter, &w.actors[i]
	switch {
	case w.closed:
		w.refused |= 1 << job
		a.at = over
		return
	case has(w.posts, job):
		w.fault = submittedTwice
	}
	w.posts |= 1 << job
	if (!w.served || s.bug == servesWithout) && (i == doActor || w.running == 0 && w.admitted == 0) {
		s.serve(w, a)
		return
	}
	s.leave(w, a)
	s.goOn(w, i)
}

// do is the caller of a Do that waits for its turn, or has it.
func (s *scenario) do(w world, next func(world)) {
	a := &w.actors[doActor]
	switch {
	case a.at == runs:
		s.end(&w, doJob)
		if !w.served {
			s.serve(&w, a)
		} else {
			a.at = looking
		}
	case w.doTurn:
		w.doTurn, a.at = false, runs
		s.begin(&w, doJob)
	case has(w.settled, doJob):
		a.at = over
	default:
		return
	}
	next(w)
}

func (s *scenario) worker(w world, i int, next func(world)) {
	a, k := &w.actors[i], i-firstWorker
	switch a.at {
	case begins:
		if s.bug != wakingStays {
			w.waking = false
		}
		if a.job = s.pop(&w); a.job == 0 {
			s.rest(&w, i)
			break
		}
		if s.bug != chainBreaks {
			a.up = s.chain(&w)
		}
		a.at = rousing
		s.goOn(&w, i)
	case sleeps:
		switch w.token[k] {
		case noToken:
			return
		case workToken:
			a.at = begins
		case leaveToken:
			a.at = absent
		}
		w.token[k] = noToken
	case runs:
		if s.goexit && a.job == 1 {
			v := w
			b := &v.actors[i]
			v.running--
			s.end(&v, 0)
			b.job, b.lost, b.up = 0, true, s.chain(&v)
			if s.bug != lostUnsaid {
				s.leave(&v, b)
			}
			s.goOn(&v, i)
			next(v)
		}
		w.running--
		s.end(&w, int(a.job)-1)
		s.follow(&w, i)
	}
	next(w)
}

// follow is what a worker does that has handed back the end of its attempt.
func (s *scenario) follow(w *world, i int) {
	a := &w.actors[i]
	a.job = s.pop(w)
	if a.job == 0 && !w.served && s.work(w) && s.bug != restsBlindly {
		s.serve(w, a)
		return
	}
	a.at = runs
	if a.job == 0 {
		s.rest(w, i)
	}
	a.up = s.chain(w)
	if s.bug != restsBlindly {
		s.leave(w, a)
	}
	s.goOn(w, i)
}

// served goes on after a turn, with the lock.
func (s *scenario) served(w *world, i int) {
	a := &w.actors[i]
	if i >= firstWorker {
		s.follow(w, i)
		return
	}
	a.up = s.chain(w)
	a.at = rousing
	if i != schedulerActor && s.bug != leavesSilently {
		s.leave(w, a)
	}
	s.goOn(w, i)
}

// goOn finds the next step, after some that may have nothing to do.
func (s *scenario) goOn(w *world, i int) {
	a := &w.actors[i]
	switch {
	case a.call:
		a.at = ringing
	case a.up != 0:
		a.at = rousing
	case i == schedulerActor, i == doActor, i == closeActor:
		a.at = looking
	case i < firstWorker:
		a.at = over
	case a.lost:
		*a = actor{at: absent}
	case a.job != 0:
		a.at = runs
		s.begin(w, int(a.job)-1)
	default:
		a.at = sleeps
	}
}

// begin notes that a job's function is called, end that it has returned.
func (s *scenario) begin(w *world, job int) {
	if has(w.started, job) || !has(w.flying, job) {
		w.fault = runsTwice
	}
	w.started |= 1 << job
}

func (s *scenario) end(w *world, job int) { w.posts |= 1 << (endsFrom + job) }
