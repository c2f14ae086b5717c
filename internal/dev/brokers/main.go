// Command brokers runs a command with a RabbitMQ that all its tests share, and stops the broker when the command ends:
//
//	brokers command [argument…]
//
// RabbitMQ takes seconds to start and much of a small machine. One therefore serves all tests, which use queues and
// exchanges of their own. The command finds its URL in MSCTL_TEST_AMQP_URL. If that variable is set already, brokers
// starts none. Redis and NATS start in milliseconds, and their channels and subjects are global, so each test starts its
// own, unless MSCTL_TEST_REDIS_URL or MSCTL_TEST_NATS_URL is set.
//
// Without an installed RabbitMQ the command runs without one. If MSCTL_TEST_BROKERS is "required", that is an error.
//
// The exit code is the command's, or 1 if the broker or the command does not start. The command decides what Ctrl-C and
// SIGTERM do; the broker stops after it. It also stops when this process is killed.
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
	interrupts := make(chan os.Signal, 1) // the terminal sends them to the command, too
	signal.Notify(interrupts, os.Interrupt)
	defer signal.Stop(interrupts)
	env := os.Environ()
	if os.Getenv(urlVariable) == "" && (testenv.RabbitMQMissing() == "" || os.Getenv("MSCTL_TEST_BROKERS") == "required") {
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

// runCommand runs the command, terminates it when the context ends, and returns its exit code. It returns 1 for a
// command that a signal ended.
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
