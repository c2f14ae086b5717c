package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/nearest"
	"github.com/msctl/msctl/internal/proc"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/workspace"
)

// The values of --log.
const (
	logText = "text"
	logJSON = "json"
)

type runOptions struct {
	services     []string
	noWatch      bool
	detach       bool
	log          string
	readyTimeout time.Duration
	stopTimeout  time.Duration
}

func newRunCommand(s *term.IO) *cobra.Command {
	o := runOptions{}
	cmd := &cobra.Command{
		Use:     "run [SERVICE…]",
		Short:   "Build and run the workspace, rebuild on change",
		GroupID: groupProject,
		Long: `Builds and starts the services of the workspace in dependency order, or only
those named and what they depend on. Each must answer a message before the next
one starts. Then their logs follow in one stream; a change of their files
rebuilds them and swaps the new process in without a failed request, and a
program that does not compile leaves the old one serving. A crashed service is
started again. Ctrl-C drains and stops everything in reverse order, a second
Ctrl-C kills.

Brokers are looked for where RABBITMQ_URL, REDIS_URL and NATS_URL say, or env and
brokers in msctl.yaml, or where they usually are on this machine. One of this
machine that does not answer is started for the run: NATS is built in, Redis and
RabbitMQ must be installed. What they log is shown when something is wrong, or
with --log json.

A service's lines go to standard output, what msctl says to standard error.`,
		Example: `  msctl run
  msctl run orders              orders and what it depends on
  msctl run --log json | jq 'select(.service == "items")'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.services = args
			return runRun(cmd.Context(), s, o)
		},
		ValidArgsFunction: completeServices,
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.noWatch, "no-watch", false, "do not rebuild or restart on change")
	flags.StringVar(&o.log, "log", logText, "print `FORMAT`: text, or json with one object a line")
	flags.BoolVarP(&o.detach, "detach", "d", false, "return when all are ready, and go on in the background (see ps, logs, stop)")
	flags.DurationVar(&o.readyTimeout, "ready-timeout", time.Minute, "how long a service may take to answer")
	flags.DurationVar(&o.stopTimeout, "stop-timeout", 12*time.Second, "how long a service may take to drain before it is killed")
	return cmd
}

func runRun(ctx context.Context, s *term.IO, o runOptions) error {
	w, err := o.check()
	if err != nil {
		return err
	}
	if o.detach {
		return runDetached(ctx, s, o, w)
	}
	guard, err := ownCommand(guardName)
	if err != nil {
		return err
	}
	nats, err := ownCommand(natsName)
	if err != nil {
		return err
	}
	supervisor := proc.New(proc.Options{
		Workspace:    w,
		Services:     o.services,
		NoWatch:      o.noWatch,
		ReadyTimeout: o.readyTimeout,
		StopTimeout:  o.stopTimeout,
		Guard:        guard,
		NATS:         nats,
		Color:        s.OutPalette().Enabled() && o.log == logText,
	})
	ctx, release := killOnSecondSignal(ctx, supervisor)
	defer release()
	printed := make(chan struct{})
	printer := newRunPrinter(s, o, w, supervisor.Services())
	go func() {
		defer close(printed)
		printer.follow(supervisor.Events())
	}()
	err = supervisor.Run(ctx)
	<-printed
	return explainRun(s, o, err)
}

// check loads the workspace and checks what was asked for.
func (o *runOptions) check() (*workspace.Workspace, error) {
	if o.readyTimeout <= 0 || o.stopTimeout <= 0 {
		return nil, exit.Usagef("flags --ready-timeout and --stop-timeout must be more than 0")
	}
	w, err := requireWorkspace()
	if err != nil {
		return nil, err
	}
	if len(w.Services) == 0 {
		return nil, exit.WithHint(exit.Usagef("%s has no services", workspace.FileName), "`msctl new service NAME` adds one")
	}
	if err := o.checkNames(w); err != nil {
		return nil, err
	}
	return w, nil
}

// checkNames checks the format of the log and the services' names.
func (o *runOptions) checkNames(w *workspace.Workspace) error {
	if o.log != logText && o.log != logJSON {
		return exit.Usagef("flag --log: unknown format %q: use text or json", o.log)
	}
	for _, name := range o.services {
		if w.Service(name) != nil {
			continue
		}
		err := exit.Usagef("there is no service %q in this workspace", name)
		if near := nearest.Word(name, w.Names()); near != "" {
			return exit.WithHint(err, "did you mean %s?", near)
		}
		return exit.WithHint(err, "its services are %s", strings.Join(w.Names(), ", "))
	}
	return nil
}

// killOnSecondSignal ends the context with the first signal, as it is with all
// commands, the loss of the terminal included; a second one kills.
func killOnSecondSignal(parent context.Context, supervisor *proc.Supervisor) (ctx context.Context, release func()) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	finished := make(chan struct{})
	go func() {
		for count := 1; ; count++ {
			select {
			case <-signals:
				cancel()
				if count > 1 {
					supervisor.Kill()
				}
			case <-finished:
				return
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(finished)
		cancel()
	}
}

// explainRun says why a run ended, unless it was told to.
func explainRun(s *term.IO, o runOptions, err error) error {
	var (
		build  *proc.BuildError
		start  *proc.StartError
		port   *proc.PortError
		broker *proc.BrokerError
	)
	switch {
	case errors.Is(err, proc.ErrKilled):
		return exit.WithCode(errors.New("killed"), exit.Interrupted)
	case errors.Is(err, exec.ErrNotFound):
		return exit.WithHint(err, "install Go from https://go.dev/dl")
	case errors.As(err, &build):
		return err // the compiler's words have been printed
	case errors.As(err, &start):
		if o.log == logText && len(start.Output) > 0 {
			s.Notef("%s", s.ErrPalette().Dim("the last that "+start.Service+" wrote:"))
			for _, line := range start.Output {
				s.Notef("  %s", cleanLine(line, s.ErrPalette().Enabled()))
			}
		}
		if strings.Contains(strings.Join(start.Output, "\n"), "address already in use") {
			return exit.WithHint(err, "msctl hands a Go service the open socket of its port: listen with microtcp or gateway, or start it as a `command:`")
		}
		return err
	case errors.As(err, &port):
		return exit.WithHint(err, "stop that program, or change the port in %s", workspace.FileName)
	case errors.As(err, &broker):
		return exit.WithHint(err, "%s", brokerHint(broker))
	}
	return err
}

// brokerHint says how to come by a broker.
func brokerHint(e *proc.BrokerError) string {
	name := string(e.Transport)
	if e.Program == "" {
		return fmt.Sprintf("start it, or say in %s or under `brokers:` in %s where it is", e.Transport.Variable(), workspace.FileName)
	}
	return fmt.Sprintf("`apt install %s` or `brew install %s` lets msctl start one; or `docker compose up -d %s`, or set %s to one elsewhere",
		e.Program, name, name, e.Transport.Variable())
}

// completeServices gives the shell the names of services that are not there yet.
func completeServices(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	w, err := workspace.Current()
	if err != nil || w == nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names := slices.DeleteFunc(w.Names(), func(name string) bool { return slices.Contains(args, name) })
	return names, cobra.ShellCompDirectiveNoFileComp
}

// The hidden commands that msctl runs itself in beside a run.
const (
	guardName = "__guard" // proc.Guard
	natsName  = "__nats"  // proc.ServeNATS
)

// ownCommand is the command line of a hidden command of this very program.
func ownCommand(name string) ([]string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find msctl's own program: %w", err)
	}
	return []string{self, name}, nil
}

// newGuardCommand is what `msctl run` starts beside itself: it ends what a
// killed msctl has left behind.
func newGuardCommand(s *term.IO) *cobra.Command {
	return &cobra.Command{
		Use:    guardName,
		Hidden: true,
		Args:   argCount(0, 0),
		RunE: func(*cobra.Command, []string) error {
			return proc.Guard(s.In)
		},
	}
}

// newNATSCommand is the NATS server of a `msctl run` for which none answered, on
// the port that it is given.
func newNATSCommand(s *term.IO) *cobra.Command {
	return &cobra.Command{
		Use:    natsName,
		Hidden: true,
		Args:   argCount(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			port, err := strconv.Atoi(args[0])
			if err != nil {
				return exit.Usagef("port %q is no number", args[0])
			}
			return proc.ServeNATS(cmd.Context(), s.Out, port)
		},
	}
}
