package batchfile

import (
	"errors"
	"flag"
	"fmt"
	"io"
)

// The exit codes of VerifyMain, as the whole of llmbatch has them.
const (
	exitProven    = 0
	exitNotProven = 2
	exitBadInput  = 4
)

const verifyHelp = `usage: llmbatch verify -i IN [-o OUT]

Proves that OUT answers IN: one line for each input, no line twice, none that
belongs to no input, every line in the output format, and the last one whole.
Sends nothing and changes nothing.

  -i IN               the input of the run; gzip by .gz, - is stdin
  -o OUT              the output of the run, likewise (results.jsonl)
  -prompt-field NAME  } accepted so that the flags of the run can be repeated;
  -model M            } ids are all that is compared

exit: 0 proven, 2 not proven, 4 bad flags, or a file that can't be read or is
      no input. Items that failed have their line too: they are counted, and
      are no fault of the output.
`

// VerifyMain is the command "llmbatch verify": args are those after the word verify, the result is the exit code: 0 proven, 2
// not proven, 4 bad flags or files that can't be read. The report goes to stdout, everything else to stderr.
func VerifyMain(args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("verify", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // its own usage lists single flags without a word of what they are for
	in := fs.String("i", "", "")
	out := fs.String("o", "results.jsonl", "")
	var opt Options
	fs.StringVar(&opt.PromptField, "prompt-field", "", "")
	fs.StringVar(&opt.Model, "model", "", "")

	refuse := func(why string) int {
		fmt.Fprintf(stderr, "llmbatch verify: %s\nallowed: -i IN, -o OUT, -prompt-field NAME, -model M; -h explains them\n", why)
		return exitBadInput
	}
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		_, _ = io.WriteString(stdout, verifyHelp)
		return exitProven
	case err != nil:
		return refuse(err.Error())
	case fs.NArg() > 0:
		return refuse(fmt.Sprintf("unexpected argument %q", fs.Arg(0)))
	case *in == "":
		return refuse("-i is missing")
	case *out == "":
		return refuse("-o is empty")
	case *in == "-" && *out == "-":
		return refuse("only one of -i and -o can be standard input")
	}
	report, err := Verify(*in, *out, opt)
	if err != nil {
		fmt.Fprintf(stderr, "llmbatch verify: %s\n", err)
		return exitBadInput
	}
	if _, err := report.WriteTo(stdout); err != nil {
		fmt.Fprintf(stderr, "llmbatch verify: printing the report: %s\n", err) // the exit code has the verdict all the same
	}
	if !report.OK() {
		return exitNotProven
	}
	return exitProven
}
