package dispatcher_test

// A model of how callers, the scheduler and workers hand things over, as exchange.go and crew.go say it is done, for an explorer
// that looks at every order in which that can happen (handover_test.go). It is written down once more here, and shares nothing with
// the code: what is held while the lock is held is one step, and so is each thing that is done without it.
//
// Two callers submit a job each, the second of which may start only once a moment has come; one runs a job by itself, like Do.
// Somebody pokes, the timer goes off, idle workers are trimmed, the first job's function may end its goroutine, and somebody
// closes.

const (
	modelWorkers = 3 // goroutines there can be: one may be lost
	doJob        = 2 // of the caller who runs it himself; jobs 0 and 1 are for workers
	lateJob      = 1 // has to wait for the moment
	modelJobs    = 3
)

// A set of posts has one bit for each submission, one for each end, and one for the word to close.
const (
	endsFrom  = modelJobs
	closePost = 2 * modelJobs
)

// world is a state of the model. It is compared as a whole, so sets are bits.
type world struct {
	// The exchange and the crew, guarded by the lock.
	posts    uint8 // set of posts that are not attended to
	served   bool
	called   bool
	ticked   bool
	closed   bool
	ended    bool
	admitted uint8 // set of jobs
	running  uint8 // how many attempts have been handed over that have not ended
	idle     uint8 // set of workers
	waking   bool

	// Channels.
	bell   bool
	token  [modelWorkers]uint8
	doTurn bool // the caller of the Do has been told that it is his turn

	// The server's, who is one at a time.
	batch                   uint8 // set of posts
	queued, flying, settled uint8 // sets of jobs
	starts                  uint8 // set of jobs admitted in this turn
	closing                 bool
	armed, set, rung        bool // the timer: he believes that it is set; it is; it has gone off

	// What only the model knows.
	refused, started uint8 // sets of jobs
	come             bool  // the moment that the late job waits for
	trims            uint8 // left
	fault            fault
	actors           [actorCount]actor
}

// fault is what must not happen in any step.
type fault uint8

const (
	noFault fault = iota
	submittedTwice
	runsTwice
	twoServers
	tooManyWorkers
	fullChannel
)

// What is in a worker's channel.
const (
	noToken uint8 = iota
	workToken
	leaveToken
)

// actor is one goroutine.
type actor struct {
	at   place
	job  uint8 // a worker's, plus one; 0: none
	up   uint8 // whom it has to wake: a worker plus one, or newWorker; 0: nobody
	call bool  // it has to ring
	saw  bool  // that the moment had come, at the beginning of its turn
	lost bool  // its goroutine is about to end
	bell bool  // the scheduler: it was the bell
	tick bool  // likewise the timer
}

const newWorker = modelWorkers + 1

// The actors.
const (
	schedulerActor = iota
	firstSubmitter
	secondSubmitter
	doActor
	closeActor
	pokeActor
	timeActor
	trimActor
	firstWorker
	actorCount = firstWorker + modelWorkers
)

// place is where an actor is in its program.
type place uint8

const (
	begins  place = iota // of workers: it has been started, or woken
	reading              // serves: about to read the clock
	turning              // serves: about to do the turn
	handing              // serves: about to take the lock again
	ringing              // about to ring the bell, if call
	rousing              // about to wake somebody, if up
	looking              // the scheduler, about to take the lock to see whether there is more; of others: waits for what comes next
	runs                 // runs its job
	sleeps               // a worker without work
	leaves               // the scheduler: the loop has ended
	over                 // has done all
	absent               // a worker that does not exist
)

// bug is a mistake in the protocol that is made on purpose.
type bug string

const (
	restsBlindly   bug = "a worker rests without looking whether posts have come"
	leavesSilently bug = "who has borrowed the scheduler leaves without calling it"
	wakingStays    bug = "waking is never reset"
	chainBreaks    bug = "who wakes up wakes nobody"
	callStays      bug = "the scheduler does not note that it has come"
	servesOnce     bug = "the scheduler looks once"
	timerUnheeded  bug = "the scheduler does not note that the timer has gone off"
	endUntold      bug = "nobody is called to the end"
	restsAtTheEnd  bug = "who comes to rest at the end is not sent away"
	forgetsPosts   bug = "what comes in during a turn is forgotten"
	servesWithout  bug = "who borrows the scheduler does not look whether somebody serves"
	lostUnsaid     bug = "who hands back the attempt of a lost goroutine calls nobody"
)

func has(set uint8, i int) bool { return set&(1<<i) != 0 }

func newWorld(scenario scenario) world {
	var w world
	for i := range w.actors {
		if i >= firstWorker {
			w.actors[i].at = absent
		}
	}
	for _, i := range scenario.without {
		w.actors[i].at = over
		if job := i - firstSubmitter; i >= firstSubmitter && i <= doActor {
			w.refused |= 1 << job
		}
	}
	w.trims = scenario.trims
	w.come = w.actors[timeActor].at == over
	return w
}

// scenario is who takes part.
type scenario struct {
	workers int   // of the dispatcher: attempts in flight
	without []int // actors
	trims   uint8 // how often idle workers may be sent away
	goexit  bool  // the first job's function may end its goroutine
	bug     bug   // empty: none
}
