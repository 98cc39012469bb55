package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// keyVariable holds the key that llmbatch wants and the API does not.
const keyVariable = "LLMBATCH_COMPARE_KEY"

// build makes the program llmbatch in dir and returns its path.
func build(ctx context.Context, dir string) (string, error) {
	program := filepath.Join(dir, "llmbatch")
	command := exec.CommandContext(ctx, "go", "build", "-o", program, "github.com/toller-go/toller/examples/llmbatch")
	if said, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("llmbatch can't be built, which takes the go command and a directory of this repository: %w\n%s", err, said)
	}
	return program, nil
}

// oursContender is llmbatch, told of the API's limits what a user would tell it.
func oursContender(s *scenario, program string) contender {
	flags := []string{
		"-rpm", fmt.Sprint(s.perMinute() + s.api.Burst), "-burst", fmt.Sprint(s.api.Burst), "-seed", fmt.Sprint(s.api.Seed), "-progress", "off",
	}
	how := fmt.Sprintf("`llmbatch -i IN -o OUT -base-url URL %s`, a process of its own with a journal: of the API it is told that no minute may "+
		"hold more than %g requests, %g of them at once.", strings.Join(flags, " "), s.perMinute()+s.api.Burst, s.api.Burst)
	return contender{name: "llmbatch", how: how, run: func(ctx context.Context, t task) error {
		args := append([]string{"run", "-i", t.in, "-o", t.out, "-base-url", t.baseURL, "-api-key-env", keyVariable}, flags...)
		command := exec.CommandContext(ctx, program, args...)
		command.Env = append(os.Environ(), keyVariable+"=none")
		command.WaitDelay = 10 * time.Second
		said, err := command.CombinedOutput()
		var ended *exec.ExitError
		if errors.As(err, &ended) && ended.ExitCode() == 2 { // some prompts failed: the table has it
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w\n%s", err, said)
		}
		return nil
	}}
}
