package main

import (
	"fmt"
	"time"
)

// keysTitle is the title of the workload about keys and crowds.
const keysTitle = "keys and crowds"

// manyKeys are the numbers of keys; the first and the last are compared.
var manyKeys = []int{1, 10, 100, 1_000, 10_000}

func oursKeys(keys int) ours {
	return ours{name: fmt.Sprintf("%s, %s", oursName, plural(keys, "key")), keys: keys}
}

func oursQueued(crowd int) ours {
	return ours{name: fmt.Sprintf("%s, beside %s queued jobs", oursName, number(float64(crowd))), keys: 1, crowd: crowdQueued(crowd)}
}

func oursParked(crowd int) ours {
	return ours{name: fmt.Sprintf("%s, beside %s parked jobs", oursName, number(float64(crowd))), keys: 1, crowd: crowdParked(crowd)}
}

// keysWorkload has the dispatcher run a window of jobs whose keys take turns, or beside a crowd of others.
func keysWorkload(l load, crowd int, atLeast time.Duration) workload {
	w := workload{
		title:   keysTitle,
		about:   fmt.Sprintf("%s jobs that do nothing, window of %s, 1 submitter.", number(float64(l.jobs)), number(float64(l.window))),
		columns: jobColumns,
	}
	o := order{load: l, workers: poolSize, task: returnItself, threshold: breakerThreshold}
	for _, keys := range manyKeys {
		w.entrants = append(w.entrants, oursKeys(keys).contender().entrant(o, atLeast))
	}
	w.entrants = append(w.entrants, oursQueued(crowd).contender().entrant(o, atLeast), oursParked(crowd).contender().entrant(o, atLeast))
	return w
}
