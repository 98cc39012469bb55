package main

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// Every page of the help fits a terminal of 24 lines and 80 columns, with a line left for the shell's prompt.
func TestHelpFits(t *testing.T) {
	pages := [][]string{{"-h"}, {"help"}, {"run", "-h"}, {"estimate", "-h"}, {"verify", "-h"}, {"fakellm", "-h"}}
	for _, topic := range topics {
		pages = append(pages, []string{"help", topic.name})
	}
	for _, args := range pages {
		stdout, stderr := newScreen(), newScreen()
		if code := start(args, console{out: stdout, err: stderr}); code != exitDone || stderr.String() != "" {
			t.Errorf("%v: exit code %d, %s", args, code, stderr)
		}
		lines := strings.Split(strings.TrimSuffix(stdout.String(), "\n"), "\n")
		if len(lines) < 4 || len(lines) > 23 {
			t.Errorf("%v: %d lines", args, len(lines))
		}
		for n, line := range lines {
			if columns := utf8.RuneCountInString(line); columns > 80 {
				t.Errorf("%v: line %d has %d columns: %s", args, n+1, columns, line)
			}
		}
	}
}

// The help names every flag that there is and no other: that of run among its topics, and on its page as well.
func TestHelpIsComplete(t *testing.T) {
	t.Setenv("OPENAI_API_KEY", "k")
	_, err := parseFlags([]string{"-no-such-flag"})
	all, _ := helpOn("all")
	mustNameFlags(t, "help all", all, err)
	mustNameFlags(t, "run", runHelp, err)
	for _, topic := range topics { // the page of run lists, for each topic, what that has
		_, list, _ := strings.Cut(runHelp, "llmbatch help "+topic.name)
		list, _, _ = strings.Cut(list, "llmbatch help ")
		list, _, _ = strings.Cut(list, "exit:")
		if got, want := flagsOf(list), flagsOf(topic.text); !slices.Equal(got, want) {
			t.Errorf("%s: the page of run has %v, the topic %v", topic.name, got, want)
		}
	}
	_, err = parseForecast([]string{"-no-such-flag"})
	mustNameFlags(t, "estimate", estimateHelp, err)
}

// flagsOf lists the flags that a help names, each once.
func flagsOf(help string) []string {
	var names []string
	for _, name := range regexp.MustCompile(`(?m)(?:^| )(-[a-z][a-z-]*)`).FindAllStringSubmatch(help, -1) {
		names = append(names, name[1])
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// mustNameFlags compares a help with the flags that an error lists.
func mustNameFlags(t *testing.T, name, help string, err error) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	_, list, _ := strings.Cut(err.Error(), "allowed: ")
	want := strings.Fields(list)
	got := slices.DeleteFunc(flagsOf(help), func(name string) bool { return name == "-h" })
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s has\n%v\nwant\n%v", name, got, want)
	}
}

// Help on what there is none is refused, with what there is.
func TestHelpRefused(t *testing.T) {
	for _, args := range [][]string{{"help", "me"}, {"help", "limits", "money"}} {
		stderr := newScreen()
		if code := start(args, console{out: newScreen(), err: stderr}); code != exitUsage || !strings.Contains(stderr.String(), "allowed: a command (run, estimate, verify, fakellm), or a topic of run (input, limits,") {
			t.Errorf("%v: exit code %d, %s", args, code, stderr)
		}
	}
}
