package dispatcher_test

import "math/bits"

// The parts of the protocol, as the actors of the model use them. All but turn and rouse happen while the lock is held.

// work reports whether there is something to attend to.
func (s *scenario) work(w *world) bool {
	return w.posts != 0 || w.ticked || w.ended && s.bug != endUntold
}

// leave is callServer: it may have to ring, once the lock is released.
func (s *scenario) leave(w *world, a *actor) {
	a.call = (!w.served || w.ended) && !w.called && s.work(w)
	w.called = w.called || a.call
}

// serve makes an actor the server.
func (s *scenario) serve(w *world, a *actor) {
	if w.served {
		w.fault = twoServers
	}
	w.served, w.ticked = true, false
	w.batch, w.posts = w.posts, 0
	a.at = reading
}

// turn is the server's, without the lock.
func (s *scenario) turn(w *world, come bool) {
	submitted := w.batch & (1<<modelJobs - 1)
	over := w.batch >> endsFrom & (1<<modelJobs - 1)
	w.queued |= submitted
	w.flying &^= over
	w.settled |= over
	w.closing = w.closing || has(w.batch, closePost)
	w.batch = 0
	for job := range modelJobs {
		if !has(w.queued, job) || bits.OnesCount8(w.flying) >= s.workers || job == lateJob && !come {
			continue
		}
		w.queued &^= 1 << job
		w.flying |= 1 << job
		if job == doJob {
			w.doTurn = true
		} else {
			w.starts |= 1 << job
		}
	}
	switch late := has(w.queued, lateJob) && !come; { // the timer is set while the late job waits for the moment
	case !late:
		w.armed, w.set, w.rung = false, false, false
	case !w.armed:
		w.armed, w.set = true, true
	}
}

// hand ends a turn.
func (s *scenario) hand(w *world) {
	if s.bug == forgetsPosts {
		w.posts = 0
	}
	w.admitted |= w.starts
	w.running += uint8(bits.OnesCount8(w.starts))
	w.starts = 0
	w.ended = w.closing && w.queued == 0 && w.flying == 0 && w.posts == 0
	w.served = w.ended
}

// pop returns the next attempt's job, plus one; 0 when there is none.
func (s *scenario) pop(w *world) uint8 {
	if w.admitted == 0 {
		return 0
	}
	job := bits.TrailingZeros8(w.admitted)
	w.admitted &^= 1 << job
	return uint8(job) + 1
}

// chain returns whom to wake so that no attempt waits.
func (s *scenario) chain(w *world) uint8 {
	if w.waking || w.admitted == 0 {
		return 0
	}
	w.waking = true
	if w.idle == 0 {
		return newWorker
	}
	k := bits.TrailingZeros8(w.idle)
	w.idle &^= 1 << k
	return uint8(k) + 1
}

// rest puts a worker to sleep.
func (s *scenario) rest(w *world, i int) {
	k := i - firstWorker
	w.actors[i].at = sleeps
	if w.ended && s.bug != restsAtTheEnd {
		w.send(k, leaveToken)
		return
	}
	w.idle |= 1 << k
}

// rouse wakes a worker, or starts one.
func (s *scenario) rouse(w *world, a *actor) {
	up := a.up
	a.up = 0
	if up != newWorker {
		w.send(int(up)-1, workToken)
		return
	}
	for k := range modelWorkers {
		if b := &w.actors[firstWorker+k]; b.at == absent {
			*b = actor{at: begins}
			return
		}
	}
	w.fault = tooManyWorkers
}

// dismiss sends all idle workers away.
func (s *scenario) dismiss(w *world) {
	for k := range modelWorkers {
		if has(w.idle, k) {
			w.send(k, leaveToken)
		}
	}
	w.idle = 0
}

// send puts something into a worker's channel, which holds one: nobody must wait there with the lock.
func (w *world) send(k int, token uint8) {
	if w.token[k] != noToken {
		w.fault = fullChannel
	}
	w.token[k] = token
}
