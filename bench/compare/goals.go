package main

// targets are what the dispatcher promises of its speed, for the workloads of a scale. Those that trail are not met yet;
// RESULTS.md says by how much.
func (s *scale) targets() []target {
	var all []target
	for _, from := range submitters {
		title := jobsTitle(s.roundTrip(from))
		all = append(all,
			against(title, oursName, antsPool.name, 1.25).trailing(3),
			against(title, oursShared.name, antsPool.name, 1.5).trailing(3))
	}
	for _, l := range s.throughput() {
		title := jobsTitle(l)
		all = append(all,
			against(title, oursName, antsPool.name, 0.5).trailing(2.5),
			against(title, oursName, pondFutures.name, 0.3).trailing(2.5),
			against(title, oursName, failsafeAsync.name, 0.08).trailing(2))
	}
	for _, from := range submitters {
		title := callTitle(from)
		all = append(all,
			against(title, oursName, failsafeSync.name, 0.15).trailing(5),
			target{what: title + ", a call", workload: title, figure: allocs, ours: oursName, by: alone, unit: "allocations", bound: 1})
	}
	all = append(all, s.costTargets()...)
	all = append(all, s.timeTargets()...)
	all = append(all, s.limitTargets()...)
	all = append(all,
		against(pendingTitle, schedulerHeap, standardHeap, 0.7),
		target{what: pendingTitle + ", a push and a pop", workload: pendingTitle, figure: allocs, ours: schedulerHeap, by: alone, unit: "allocations"})
	return append(all, s.procsTargets()...)
}

// against is a target for the time of a job, as a multiple of a rival's.
func against(title, ours, rival string, bound float64) target {
	what := title
	if ours != oursName && ours != schedulerHeap {
		what += " (" + ours + ")"
	}
	return target{what: what, workload: title, figure: perJob, ours: ours, rival: rival, bound: bound}
}

// costTargets are about allocations, memory and idle CPU.
func (s *scale) costTargets() []target {
	window, waiting, idle := jobsTitle(s.windowed(1)), waitingTitle(s.waiting), idleTitle(s.parked)
	return []target{
		{
			what: "a job, beyond the caller's closure", workload: window, figure: allocs,
			ours: oursName, by: difference, rival: closures.name, unit: "allocations", bound: 1,
		},
		{
			what: "a job, beyond the caller's closure", workload: window, figure: allocated,
			ours: oursName, by: difference, rival: closures.name, unit: "B", bound: 192, trails: 1.5,
		},
		{
			what: "an attempt timeout, beyond a job without", workload: window, figure: allocs,
			ours: oursTimeout.name, by: difference, rival: oursName, unit: "allocations", bound: 2,
		},
		{what: waiting + ", each", workload: waiting, figure: resident, ours: oursName, by: alone, unit: "B resident", bound: 240, trails: 1.5},
		{
			what: waiting + ", goroutines beyond those that run", workload: waiting, figure: idleHands,
			ours: oursName, by: alone, unit: "goroutines", bound: 10, always: true,
		},
		{what: idle, workload: idle, figure: cpuShare, ours: oursName, by: alone, unit: "% of a core", bound: 0.1},
	}
}

// timeTargets are about jobs that take time, about many keys, and about many others that wait.
func (s *scale) timeTargets() []target {
	ideal := failingIdeal(s.failing)
	all := []target{{
		what: failingTitle, workload: failingTitle, figure: elapsed, ours: oursName,
		constant: ideal.Seconds(), named: "the ideal, " + length(ideal), bound: 1.1,
	}}
	for i, f := range s.fan {
		title := fanTitle(f.each)
		limited := 1.1
		if i == 0 { // the shortest
			limited = 1.3
		}
		all = append(all,
			target{what: title + ", no limits", workload: title, figure: elapsed, ours: oursUnlimited.name, rival: rawWorkers.name, bound: 1.1},
			target{what: title, workload: title, figure: elapsed, ours: oursName, rival: rawWorkers.name, bound: limited})
	}
	few, most := oursKeys(manyKeys[0]).name, manyKeys[len(manyKeys)-1]
	for _, c := range []struct {
		what, ours string
		trails     float64
	}{
		{plural(most, "key"), oursKeys(most).name, 2},
		{number(float64(s.parked)) + " queued", oursQueued(s.parked).name, 0},
		{number(float64(s.parked)) + " parked", oursParked(s.parked).name, 0},
	} {
		all = append(all, target{what: c.what, workload: keysTitle, figure: perJob, ours: c.ours, rival: few, bound: 2, trails: c.trails})
	}
	return all
}

// limitTargets are about what a limit lets through.
func (s *scale) limitTargets() []target {
	var all []target
	for _, rate := range s.limitRates {
		title := limitTitle(rate)
		all = append(all,
			target{
				what: title, workload: title, figure: limitShare, ours: oursName, by: alone,
				unit: "% of rate × time + burst", bound: 99, atLeast: true,
			},
			target{what: title + ", worst span", workload: title, figure: limitOver, ours: oursName, by: alone, unit: "over", always: true})
	}
	return all
}

// procsTargets are that the dispatcher does not fall apart at another GOMAXPROCS.
func (s *scale) procsTargets() []target {
	titles := make([]string, 0, 10)
	for _, from := range submitters {
		titles = append(titles, jobsTitle(s.roundTrip(from)))
	}
	for _, l := range s.throughput() {
		titles = append(titles, jobsTitle(l))
	}
	for _, from := range submitters {
		titles = append(titles, callTitle(from))
	}
	const reference = 2
	var all []target
	for _, title := range titles {
		for _, procs := range otherProcs {
			if procs != reference {
				all = append(all, against(title, oursWith(procs).name, oursWith(reference).name, 2))
			}
		}
	}
	return all
}
