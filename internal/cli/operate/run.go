package operate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/cli/command"
	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/nearest"
	"github.com/msctl/msctl/internal/proc"
	"github.com/msctl/msctl/internal/proc/broker"
	"github.com/msctl/msctl/internal/proc/socket"
	"github.com/msctl/msctl/internal/runlog"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/term/visible"
	"github.com/msctl/msctl/internal/workspace"
)

// logText is the value of --log for text.
const logText = "text"

type runOptions struct {
	services     []string
	noWatch      bool
	failFast     bool
	detach       bool
	tui          bool
	debug        []string // SERVICE or SERVICE:PORT
	log          string
	portOffset   int
	logFile      string // that standard output is
	readyTimeout time.Duration
	stopTimeout  time.Duration
	version      string
}

// NewRunCommand returns `msctl run`, for msctl of a version.
func NewRunCommand(s *term.IO, version string) *cobra.Command {
	o := runOptions{version: version}
	cmd := &cobra.Command{
		Use:         "run [SERVICE…]",
		Short:       "Build and run the workspace, rebuild on change",
		GroupID:     command.GroupProject,
		Annotations: command.IncidentalOutput(),
		Long: `Build the services of the workspace and start them in dependency order. With
SERVICE, start only these services and their dependencies. Each service must answer
a message before the next one starts.

The logs of all services follow in one stream. When a source file changes, msctl
rebuilds the service and replaces its process without failing a request. If the build
fails, the previous build keeps serving. Crashed services are restarted. A service that
does not build or start does not end the run: the others start, those that depend on it
wait, and msctl continues when it is fixed. With --fail-fast, the run ends instead.

Services get the variables of the shell, of .env.local, of .env, and of env in
msctl.yaml, in this order of precedence. Both files are next to msctl.yaml.

Ctrl-C drains and stops all services in reverse order; a second one, at least half a
second later, kills them.

The address of a broker comes from RABBITMQ_URL, REDIS_URL, or NATS_URL, from env or
brokers in msctl.yaml, or is the default port on this machine. If a broker on this
machine is not running, msctl starts one: NATS is built in; Redis and RabbitMQ must be
installed. Broker logs appear only if something is wrong, or with --log json.

With --debug, debuggers attach to a service at a port that msctl prints and that stays
the same when the service is replaced: Go services through Delve, and Node.js programs
through their inspector. While a debugger holds a service, msctl waits for it.

With --tui, the terminal shows a screen instead of one stream: the services with their
state, CPU time, and memory; the logs, which can be searched and filtered; and the
messages between services, as ` + "`msctl tap`" + ` does. Keys restart, stop, start, and rebuild a
service, open the API docs, and send a message: ? lists them, and q stops all services.

The output of services goes to standard output, the messages of msctl to standard
error.`,
		Example: `  msctl run
  msctl run --tui               # on a screen
  msctl run orders              # only orders and its dependencies
  msctl run --debug items       # debuggers attach at the port that is printed
  msctl run --log json | jq 'select(.service == "items")'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.services = args
			return runRun(cmd.Context(), s, o)
		},
		ValidArgsFunction: completeServices,
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.noWatch, "no-watch", false, "do not rebuild or restart services when files change")
	flags.BoolVar(&o.failFast, "fail-fast", false, "end the run if a service does not start, for CI")
	flags.StringSliceVar(&o.debug, "debug", nil, "let debuggers attach to `SERVICE[:PORT]` (repeatable)")
	flags.StringVar(&o.log, "log", logText, "log `FORMAT`: text, or json (one object per line)")
	flags.IntVar(&o.portOffset, "port-offset", 0, "add `N` to every port, to run two workspaces with the same ports")
	flags.StringVar(&o.logFile, "log-file", "", "limit the size of `FILE`, which is standard output")
	if err := flags.MarkHidden("log-file"); err != nil { // run --detach sets it
		panic(err)
	}
	flags.BoolVar(&o.tui, "tui", false, "draw a screen with the services, their logs, and their messages")
	flags.BoolVarP(&o.detach, "detach", "d", false, "return when all services are ready and keep running in the background (see ps, logs, stop)")
	if err := cmd.RegisterFlagCompletionFunc("debug", completeServices); err != nil {
		panic(err)
	}
	command.PositiveFlag(flags, &o.readyTimeout, "ready-timeout", time.Minute, "wait up to `DURATION` for a service to become ready")
	command.PositiveFlag(flags, &o.stopTimeout, "stop-timeout", 12*time.Second, "wait up to `DURATION` for a service to drain before it is killed")
	return cmd
}

func runRun(ctx context.Context, s *term.IO, o runOptions) error {
	w, err := o.check(s)
	if err != nil {
		return err
	}
	if o.logFile == "" { // run --detach has printed it
		command.NoteAge(s, w.Dir, o.version)
	}
	if o.detach {
		if _, err := o.debugged(ctx, w); err != nil {
			return err
		}
		return runDetached(ctx, s, o, w)
	}
	r := &runner{o: o, io: s, work: w}
	if r.guard, err = ownCommand(guardName); err != nil {
		return err
	}
	if r.nats, err = ownCommand(natsName); err != nil {
		return err
	}
	proc.RemoveOldLogs(time.Now())
	ctx, stop, release := killOnSecondSignal(ctx, r.kill)
	defer release()
	if o.tui {
		return explainRun(s, o, r.draw(ctx, stop))
	}
	format := runlog.Options{JSON: o.log == command.JSON, NoWatch: o.noWatch, FailFast: o.failFast}
	if o.logFile != "" {
		format.File = runlog.NewFile(o.logFile)
	}
	return explainRun(s, o, r.run(ctx, func(supervisor *proc.Supervisor) func(proc.Event) {
		return runlog.New(s, r.work, supervisor.Services(), format).Print
	}))
}

// colored reports whether services are asked to write in color.
func (o *runOptions) colored(s *term.IO) bool {
	if o.tui {
		return s.ErrPalette().Enabled()
	}
	return s.OutPalette().Enabled() && o.log == logText
}

// check loads the workspace and checks the flags and arguments.
func (o *runOptions) check(s *term.IO) (*workspace.Workspace, error) {
	if o.tui {
		if err := o.checkScreen(s); err != nil {
			return nil, err
		}
	}
	w, err := command.RequireWorkspace()
	if err != nil {
		return nil, err
	}
	if len(w.Services) == 0 {
		hint := "`msctl help msctl.yaml` describes how to add one"
		if _, err := os.Stat(filepath.Join(w.Dir, "go.mod")); err == nil {
			hint = "`msctl new service NAME` adds one"
		}
		return nil, exit.WithHint(exit.Usagef("%s has no services", workspace.FileName), "%s", hint)
	}
	if err := o.checkNames(w); err != nil {
		return nil, err
	}
	if err := w.CheckVariables(); err != nil {
		return nil, exit.Usagef("%w", err)
	}
	shifted, err := w.Shifted(o.portOffset)
	if err != nil {
		return nil, exit.Usagef("--port-offset %d: %w", o.portOffset, err)
	}
	return shifted, nil
}

// checkNames checks the log format and the names of services.
func (o *runOptions) checkNames(w *workspace.Workspace) error {
	if o.log != logText && o.log != command.JSON {
		return exit.Usagef("unknown --log format %q: use text or json", o.log)
	}
	for _, name := range o.services {
		if w.Service(name) != nil {
			continue
		}
		return unknownService(w, name)
	}
	return nil
}

// unknownService is the error of a service that the workspace does not have.
func unknownService(w *workspace.Workspace, name string) error {
	err := exit.Usagef("workspace %s has no service %q", w.Name, name)
	if near := nearest.Word(name, w.Names()); near != "" {
		return exit.WithHint(err, "did you mean %s?", near)
	}
	return exit.WithHint(err, "its services are %s", strings.Join(w.Names(), ", "))
}

// killOnSecondSignal returns a context that the first signal cancels. For a run, the
// loss of the terminal counts as a signal. A later signal kills all services. A call of
// stop counts as a signal.
func killOnSecondSignal(parent context.Context, kill func()) (ctx context.Context, stop, release func()) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	finished := make(chan struct{})
	requested := make(chan struct{})
	go func() {
		var count command.SignalCount
		for {
			select {
			case <-signals:
			case <-requested:
			case <-finished:
				return
			}
			cancel()
			if count.Second(time.Now()) {
				kill()
			}
		}
	}()
	stop = func() {
		select {
		case requested <- struct{}{}:
		case <-finished:
		}
	}
	return ctx, stop, func() {
		signal.Stop(signals)
		close(finished)
		cancel()
	}
}

// explainRun explains why a run failed.
func explainRun(s *term.IO, o runOptions, err error) error {
	var (
		build   *proc.BuildError
		start   *proc.StartError
		port    *socket.PortError
		ofDebug *proc.DebugPortError
		missing *broker.Error
	)
	switch {
	case errors.Is(err, proc.ErrKilled):
		return exit.WithCode(errors.New("killed"), exit.Interrupted)
	case errors.Is(err, exec.ErrNotFound):
		return exit.WithHint(err, "install Go from https://go.dev/dl")
	case errors.As(err, &build):
		if o.tui { // in full, because the screen has gone
			for line := range strings.SplitSeq(build.Output, "\n") {
				s.Notef("  %s", s.Secrets().Mask(line))
			}
		}
		return err // otherwise, the output of the compiler has been printed
	case errors.As(err, &start):
		if o.log == logText && len(start.Output) > 0 {
			s.Notef("%s", s.ErrPalette().Dim("last output of "+start.Service+":"))
			for _, line := range start.Output {
				s.Notef("  %s", visible.Log(s.Secrets().Mask(line), s.ErrPalette().Enabled()))
			}
		}
		if strings.Contains(strings.Join(start.Output, "\n"), "address already in use") {
			return exit.WithHint(err, "msctl passes the open socket of the port to Go services: listen with microtcp or gateway, or start the service with `command:`")
		}
		return err
	case errors.As(err, &ofDebug):
		return explainDebugPort(ofDebug)
	case errors.As(err, &port):
		return exit.WithHint(err, "stop that program, change the port in %s, or add a number to all ports: --port-offset 100", workspace.FileName)
	case errors.As(err, &missing):
		return exit.WithHint(err, "%s", brokerHint(missing))
	}
	return err
}

// brokerHint returns how to get a broker.
func brokerHint(e *broker.Error) string {
	name := string(e.Transport)
	if e.Program == "" {
		return fmt.Sprintf("start it, or set its address in %s or under `brokers:` in %s", e.Transport.Variable(), workspace.FileName)
	}
	_, address, _ := strings.Cut(workspace.DefaultBrokerURL(e.Transport), "://")
	_, port, _ := strings.Cut(address, ":")
	return fmt.Sprintf("`apt install %s` or `brew install %s` lets msctl start one; or run `docker run -d -p 127.0.0.1:%s:%s %s`, or set %s",
		e.Program, name, port, port, name, e.Transport.Variable())
}

// completeServices completes the names of services that are not among the arguments.
func completeServices(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	w, err := workspace.Current()
	if err != nil || w == nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names := slices.DeleteFunc(w.Names(), func(name string) bool { return slices.Contains(args, name) })
	return names, cobra.ShellCompDirectiveNoFileComp
}
