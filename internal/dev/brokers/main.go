// Command brokers runs a command, `make test`'s, with a RabbitMQ that all its tests share, and stops it when the command
// has ended:
//
//	brokers command [argument…]
//
// RabbitMQ takes seconds to start and a large part of a small machine, so one serves all tests, which use queues and
// exchanges of their own. MSCTL_TEST_AMQP_URL tells them where it is; when that is set already, that broker is used and
// left alone. Redis and NATS start in milliseconds and their channels and subjects are global, so each test has its own,
// unless MSCTL_TEST_REDIS_URL or MSCTL_TEST_NATS_URL is set.
//
// It exits with the command's code, or 1 when there is no broker or no command to start. What Ctrl-C and SIGTERM mean is
// the command's to say; the broker goes after it. It goes too when this process is killed.
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/msctl/msctl/internal/test/testenv"
)

const urlVariable = "MSCTL_TEST_AMQP_URL"

func main() { os.Exit(run(os.Args[1:])) }

func run(command []string) int {
	if len(command) == 0 {
		fmt.Fprintln(os.Stderr, "usage: brokers command [argument…]")
		return 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	interrupts := make(chan os.Signal, 1) // the command gets them too, from the terminal
	signal.Notify(interrupts, os.Interrupt)
	defer signal.Stop(interrupts)
	env := os.Environ()
	if os.Getenv(urlVariable) == "" {
		broker, end, err := testenv.StartRabbitMQ()
		if err != nil {
			fmt.Fprintln(os.Stderr, "brokers:", err)
			return 1
		}
		defer end()
		env = append(env, urlVariable+"="+broker.URL)
	}
	if len(interrupts) > 0 || ctx.Err() != nil { // while the broker started
		return 1
	}
	return runCommand(ctx, command, env)
}

// runCommand runs the command to its end, passes on that the context ended, and returns its code; a command that a
// signal ended has none, and counts as a failure.
func runCommand(ctx context.Context, command, env []string) int {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.Env = env
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := cmd.Run()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() < 0 {
		fmt.Fprintln(os.Stderr, "brokers:", err)
		return 1
	}
	return cmd.ProcessState.ExitCode()
}
