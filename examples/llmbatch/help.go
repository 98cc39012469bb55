package main

import "strings"

// Each page of the help fits a terminal of 24 lines and 80 columns, with a line left for the shell. So the flags of run have a page of
// those that most people need, and one for each topic.

const help = `usage: llmbatch                      the demo: a hostile API on this machine,
                                     258 prompts, results.jsonl
       llmbatch [run] -i IN [flags]  answer every prompt of a file
       llmbatch estimate -i IN …     what a run will cost and take, unsent
       llmbatch verify -i IN -o OUT  prove that OUT answers IN
       llmbatch fakellm [flags]      the demo's API alone, for any client

Each command tells its flags with -h: llmbatch run -h. To begin with:

  export OPENAI_API_KEY=…
  llmbatch -i prompts.jsonl -o results.jsonl -model gpt-4o-mini -rpm 500

exit: 0 all answered, 1 could not record, 2 some failed (each has its line),
      3 paused: key refused, out of money, budget or time used up; prompts are
      left, 4 bad flags or files, nothing was sent, 130 interrupted
`

const runHelp = `usage: llmbatch [run] -i IN [flags]      (defaults in brackets; D is 30s, 2m, …)
  -i IN                prompts: OpenAI Batch lines, bare bodies, objects with a
                       prompt field, or plain text; gzip by .gz; - is stdin
  -o OUT               answers, a line each; - is stdout (results.jsonl)
  -model M             for prompts that name none
  -base-url URL        the API (https://api.openai.com/v1)
  -api-key-env A[,B…]  variables that hold the keys (OPENAI_API_KEY)
  -rpm N  -tpm N       requests and tokens in any 60 s, of each key (no limit)
  -max-in-flight N     requests at once, of all keys (64)
  -budget-usd X        pause before more is spent; needs -price in=P,out=P
  -listen ADDR         a live page, JSON and Prometheus metrics (off)
The same command again goes on where it was. All flags, by topic:
  llmbatch help input    -i -prompt-field -model -set -base-url -api-key-env
  llmbatch help limits   -rpm -burst -rpd -tpm -itpm -otpm -max-in-flight
  llmbatch help retries  -max-attempts -retry-ambiguous -max-throttle-wait
                         -timeout -connect-timeout -idle-timeout
                         -deadline -run-deadline -seed
  llmbatch help money    -price -budget-usd -budget-tokens
  llmbatch help resume   -journal -sync -in-flight -retry-failed -allow-changed
  llmbatch help output   -o -order -dedupe -strict -max-response-bytes
                         -progress -listen
exit: 0 all answered, 1 could not record, 2 some failed, 3 paused, 4 bad flags
`

// topics are the pages about the flags of run.
var topics = []struct{ name, text string }{
	{"input", `what is sent, and where to
  -i IN                 prompts: OpenAI Batch lines, bare bodies, objects with a
                        prompt field, or plain text; gzip by .gz; - is stdin
  -prompt-field NAME    where plain objects hold the prompt (prompt)
  -model M              for prompts that name none
  -set NAME=VALUE       put this member into every body; may be repeated
  -base-url URL         the API (https://api.openai.com/v1)
  -api-key-env A[,B…]   variables that hold the keys, which are used side by
                        side (OPENAI_API_KEY)
`}, {"limits", `limits, of each key with each model; none unless given
  -rpm N                requests in any 60 s
  -burst B              of these, how many at once (N/60, at least 1)
  -rpd N                requests in any 24 h
  -tpm N                tokens in any 60 s, estimated, corrected by each answer
  -itpm N               likewise, of prompts alone
  -otpm N               likewise, of answers alone
  -max-in-flight N      requests at once, of all keys (64)
They hold over all runs with one journal: what was sent in the last minute, or
day, counts, whatever ended that run; tokens as they were estimated. What other
journals have, or had before a resume with "-allow-changed", does not count, nor
what was sent with a key whose variable had another name.
`}, {"retries", `trying again
  -max-attempts N       executions of one prompt, throttles not counted (6)
  -retry-ambiguous N    of them, after ones that may have been billed for
                        nothing, in earlier runs as well (2)
  -max-throttle-wait D  that a prompt may wait for throttles, in all (15m)
  -timeout D            of one attempt (2m)
  -connect-timeout D    of making a connection (10s)
  -idle-timeout D       that an answer may be silent (1m)
  -deadline D           of one prompt, from its first attempt on (none)
  -run-deadline D       of the run, which then pauses (none)
  -seed N               makes the choice of waits repeatable
`}, {"money", `money
  -price in=P,out=P[,cached=P]  in US dollars for a million tokens
  -budget-usd X         pause before more would be spent; needs -price
  -budget-tokens N      pause before more would be used; both are of this run
Before a request is sent, what it may cost is set aside: its prompt by its
length, and its answer by its max_tokens. For a body without, that is a guess
(1024 tokens, later what nine of ten answers stay below), and the requests under
way may overshoot the budget, together. To rule that out, bound the answers:
"-set max_tokens=N", or "-set max_completion_tokens=N" where the API wants that.
`}, {"resume", `going on: the same command again, after whatever ended the run
  -journal FILE         says how far the run has come (OUT.journal)
  -sync WHEN            forces it to the disk, against power cuts: always,
                        interval (of 1 s), off (interval)
  -in-flight HOW        what a crash, or a second Ctrl-C, has cut off, and may
                        be billed: retry, fail (retry)
  -retry-failed         sends again what has failed for good
  -allow-changed        runs lines that have changed, instead of refusing; what
                        has only moved, and a custom_id, keeps its answer
`}, {"output", `what comes of it
  -o OUT                answers, a line each; - is stdout (results.jsonl)
  -order HOW            of the output: completion, or input (completion)
  -dedupe HOW           identical requests share an answer: always, auto (if
                        their temperature is 0), off (off)
  -strict               answers cut short or withheld count as failed
  -max-response-bytes N of one answer, up to 66060288 (33554432)
  -progress HOW         auto, plain, json or off (auto); json is a line a second
                        with all figures, and {"note":…} for what else is said
  -listen ADDR          a live page, JSON and Prometheus metrics (off)
exit: 0 all answered, 1 could not record, 2 some failed, 3 paused, 4 bad flags
      or files, 130 interrupted
`},
}

// helpOn returns the page about a topic of run, or all of them; ok is false if there is none.
func helpOn(topic string) (text string, ok bool) {
	var all strings.Builder
	for _, t := range topics {
		if t.name == topic {
			return t.text, true
		}
		all.WriteString(t.text)
	}
	return all.String(), topic == "all"
}

// topicNames lists what helpOn knows.
func topicNames() string {
	var names []string
	for _, t := range topics {
		names = append(names, t.name)
	}
	return strings.Join(append(names, "all"), ", ")
}

const estimateHelp = `usage: llmbatch estimate -i IN [flags]   (defaults in brackets; D is 30s, 2m, …)

Says what a run with these flags will come to, and sends nothing: how many
tokens the prompts have, which can never fit into the limits, what it costs, and
how long it takes. That is found by running the scheduler itself, on a clock of
its own.

As of run, see llmbatch run -h:
  -i IN  -prompt-field NAME  -model M  -set NAME=VALUE
  -api-key-env A[,B…]   of which only the number counts (OPENAI_API_KEY)
  -rpm N  -burst B  -rpd N  -tpm N  -itpm N  -otpm N
  -max-in-flight N  -max-attempts N  -seed N
  -price in=P,out=P[,cached=P]
what is assumed of the server:
  -latency D|D-D        how long a request takes, or from … to (2s)
  -fail-rate F          share of the requests that fail, 0 to 0.9 (0)
  -output-tokens N      of an answer on average (as many as it may have)
exit: 0 done, 4 bad flags or input
`
