package main

import "github.com/prometheus/client_golang/prometheus"

// metrics are the figures of a run in the words of Prometheus. They are made of one report each time somebody asks, so that they are
// of the same moment.
type metrics struct {
	look func() report

	prompts, requests, tokens, cost, maybe, inFlight, oldest, waiting, limitLeft, circuit, cooling, elapsed *prometheus.Desc
}

func newMetrics(look func() report) *metrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("llmbatch_"+name, help, labels, nil)
	}
	return &metrics{
		look:      look,
		prompts:   desc("prompts", "Prompts, by what has become of them: answered, failed, or left.", "state"),
		requests:  desc("requests_total", "Requests that have ended: answered, throttled, or failed otherwise.", "result"),
		tokens:    desc("tokens_total", "Tokens that were billed.", "kind"),
		cost:      desc("cost_usd_total", "What was billed, in US dollars, by -price."),
		maybe:     desc("requests_maybe_billed_total", "Failed requests of which nobody knows whether they were billed."),
		inFlight:  desc("requests_in_flight", "Requests under way."),
		oldest:    desc("oldest_request_seconds", "How long the longest of the requests under way has taken."),
		waiting:   desc("prompts_waiting", "Prompts that wait: for a turn, or to be tried again.", "for"),
		limitLeft: desc("limit_left", "What is left of a limit, in requests or tokens.", "lane", "limit"),
		circuit:   desc("circuit_open", "1 while the circuit of a key and model is not closed.", "lane"),
		cooling:   desc("cooldown_seconds", "How long a key and model is still cooling down.", "lane"),
		elapsed:   desc("run_seconds", "How long the run has taken."),
	}
}

// Describe is for the registry.
func (m *metrics) Describe(to chan<- *prometheus.Desc) { prometheus.DescribeByCollect(m, to) }

// Collect is for the registry.
func (m *metrics) Collect(to chan<- prometheus.Metric) {
	r := m.look()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	gauge(m.prompts, float64(r.Answered), "answered")
	gauge(m.prompts, float64(r.Failed), "failed")
	gauge(m.prompts, float64(r.Left), "left")
	counter(m.requests, float64(r.Requests-r.Throttled-r.Errors), "answered")
	counter(m.requests, float64(r.Throttled), "throttled")
	counter(m.requests, float64(r.Errors), "failed")
	counter(m.tokens, float64(r.PromptTokens), "prompt")
	counter(m.tokens, float64(r.CompletionTokens), "completion")
	counter(m.cost, r.USD)
	counter(m.maybe, float64(r.MaybeBilled))
	gauge(m.inFlight, float64(r.InFlight))
	gauge(m.oldest, r.Oldest)
	gauge(m.waiting, float64(r.Queued), "turn")
	gauge(m.waiting, float64(r.Waiting), "retry")
	gauge(m.elapsed, r.Seconds)
	for _, lane := range r.Lanes {
		open := 0.0
		if lane.Circuit != "closed" {
			open = 1
		}
		gauge(m.circuit, open, lane.Name)
		gauge(m.cooling, lane.Cooling, lane.Name)
		for _, l := range lane.Limits {
			gauge(m.limitLeft, l.Left, lane.Name, l.Name)
		}
	}
}
