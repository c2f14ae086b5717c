package create

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/cli/command"
	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/scaffold"
	"github.com/msctl/msctl/internal/shorthand"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/workspace"
)

// newOptions are the flags and arguments of `msctl new`.
type newOptions struct {
	folder      string
	name        string
	module      string
	services    []string
	example     string
	store       string
	gatewayPort int
	freePorts   bool
	telemetry   bool
	version     string
	writeOptions
}

// writeOptions are the flags of all commands that write files.
type writeOptions struct {
	yes, dryRun, force bool
}

func (o *writeOptions) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVarP(&o.yes, "yes", "y", false, "do not prompt")
	flags.BoolVar(&o.dryRun, "dry-run", false, "print the files that would be written, without writing them")
	flags.BoolVar(&o.force, "force", false, "replace files that msctl wrote earlier, unless they have been changed since")
}

// NewNewCommand returns `msctl new` and the commands below it, for msctl of a version.
func NewNewCommand(s *term.IO, version string) *cobra.Command {
	o := newOptions{version: version}
	cmd := &cobra.Command{
		Use:     "new [FOLDER]",
		Short:   "Create a workspace, a service, a handler, a web client, or manifests",
		GroupID: command.GroupProject,
		Long: `Create a workspace in FOLDER, which may exist: a gateway and services that build, pass
their tests, and are ready to run, in a git repository with a first commit. Its name is
that of the folder. Without FOLDER, prompt for everything.

A file that msctl did not write, or that has been changed since, is never overwritten.

In a workspace, use ` + "`msctl new service`, `msctl new handler`, `msctl new web`, and" + `
` + "`msctl new deploy`" + ` to add to it.`,
		Example: `  msctl new shop
  msctl new shop --service items:tcp:3002 --service mail:rabbitmq --service audit:nats
  msctl new shop --example notifications
  msctl new shop --store postgres
  msctl new shop --telemetry
  msctl new . --module github.com/you/shop --dry-run
  msctl new second-shop --free-ports
  msctl new service payments
  msctl new service mail --transport rabbitmq
  msctl new handler items archiveItem --route 'POST /items/archive'
  msctl new handler items restocked --event --pattern item.v1.restocked
  msctl new web
  msctl new deploy kubernetes`,
		Args: command.ArgCount(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				o.folder = args[0]
			}
			return runNew(cmd.Context(), s, o)
		},
	}
	cmd.Flags().StringArrayVar(&o.services, "service", nil, "add a service, `NAME[:TRANSPORT[:PORT]]`, with the transport tcp, rabbitmq, redis, or nats (repeatable; default items:tcp:3002 and orders:tcp:3003)")
	cmd.Flags().StringVar(&o.example, "example", "", "add an `EXAMPLE` to items and orders: notifications (email over RabbitMQ, with retries and dead letters)")
	cmd.Flags().StringVar(&o.store, "store", string(scaffold.SQLite), "`STORE` of the data of items and orders: sqlite (a file for each service), postgres, or memory")
	cmd.Flags().StringVar(&o.name, "name", "", "`NAME` of the workspace (default: the name of the folder)")
	cmd.Flags().StringVar(&o.module, "module", "", "Go module `PATH` (default: the name of the workspace)")
	cmd.Flags().IntVar(&o.gatewayPort, "gateway-port", scaffold.DefaultGatewayPort, "`PORT` of the gateway; services without a port get those that follow")
	cmd.Flags().BoolVar(&o.telemetry, "telemetry", false, "add metrics (Prometheus), traces (OpenTelemetry), and profiles to all programs")
	cmd.Flags().BoolVar(&o.freePorts, "free-ports", false, "use ports that are free now, starting the search at --gateway-port")
	o.register(cmd)
	cmd.AddCommand(newNewServiceCommand(s, version), newNewHandlerCommand(s, version), newNewWebCommand(s, version), newNewDeployCommand(s, version))
	return cmd
}

func runNew(ctx context.Context, s *term.IO, o newOptions) error {
	w, err := o.workspace(ctx)
	if err != nil {
		return err
	}
	if o.folder == "" {
		if w, err = askWorkspace(ctx, s, o, w); err != nil {
			return err
		}
		o.folder = w.Name
	}
	dir, err := filepath.Abs(o.folder)
	if err != nil {
		return fmt.Errorf("find the folder %s: %w", o.folder, err)
	}
	w.Name = cmp.Or(w.Name, filepath.Base(dir))
	if err := o.check(w); err != nil {
		return err
	}
	if path, err := workspace.Find(filepath.Dir(dir)); err == nil {
		return exit.WithHint(exit.Usagef("this folder is already in a workspace: %s", path), "`msctl new service %s` adds a service to it", w.Name)
	}
	return createWorkspace(ctx, s, dir, w, o.writeOptions)
}

// check verifies the workspace. If the name of a folder is not a valid name, the hint is to
// set another one.
func (o newOptions) check(w scaffold.Workspace) error {
	err := w.Check()
	if err == nil {
		return nil
	}
	err = exit.Usagef("%w", err)
	if workspace.CheckName(w.Name) != nil && o.name == "" && o.folder != w.Name {
		return exit.WithHint(err, "--name sets another name: `msctl new %s --name %s`", shorthand.Word(o.folder), cmp.Or(workspace.SimilarName(w.Name), "shop"))
	}
	return err
}

// createWorkspace writes the workspace to dir.
func createWorkspace(ctx context.Context, s *term.IO, dir string, w scaffold.Workspace, o writeOptions) error {
	err := command.CheckAge(dir, w.Version)
	if err != nil {
		return err
	}
	if w.Secrets, err = scaffold.SecretsIn(dir); err != nil {
		return fmt.Errorf("read the secrets of the workspace: %w", err)
	}
	files, err := w.Files()
	if err != nil {
		return err
	}
	if files, err = scaffold.Adopt(dir, files); err != nil {
		return err
	}
	fresh := scaffold.Fresh(dir)
	done, err := writeFiles(s, dir, files, o)
	var conflict *scaffold.ConflictError
	if errors.As(err, &conflict) && scaffold.IsWorkspace(dir) && len(conflict.Yours) > 0 {
		return exit.WithHint(err, "nothing was written: the folder is a workspace already, and `msctl new service NAME` adds a service to it")
	}
	if err != nil || !done {
		return err
	}
	if fresh {
		commitWorkspace(ctx, s, dir, w.Name)
	}
	printNext(s, dir, w)
	return nil
}

// workspace converts the flags.
func (o newOptions) workspace(ctx context.Context) (scaffold.Workspace, error) {
	w := scaffold.Workspace{Name: o.name, Module: o.module, GatewayPort: o.gatewayPort, Store: scaffold.Store(o.store), Telemetry: o.telemetry, Version: o.version}
	if o.gatewayPort < 1 || o.gatewayPort > 65535 {
		return w, exit.Usagef("invalid --gateway-port %d: must be between 1 and 65535", o.gatewayPort)
	}
	for _, text := range o.services {
		service, err := parseService("--service ", text)
		if err != nil {
			return w, err
		}
		w.Services = append(w.Services, service)
	}
	if o.freePorts {
		var err error
		if w.GatewayPort, err = scaffold.FreePorts(ctx, o.gatewayPort, 3+len(w.Services)); err != nil {
			return w, exit.Usagef("--free-ports: %w", err)
		}
	}
	if len(o.services) == 0 {
		w.Services = scaffold.DefaultServices(w.GatewayPort)
	}
	if o.example != "" {
		if err := w.AddExample(o.example); err != nil {
			return w, exit.Usagef("--example: %w", err)
		}
	}
	w.Services = withPorts(w.Services, w.GatewayPort)
	return w, nil
}

// parseService parses NAME[:TRANSPORT[:PORT]]. flag is the prefix of errors:
// "--service " or "".
func parseService(flag, text string) (scaffold.Service, error) {
	parts := strings.Split(text, ":")
	if len(parts) > 3 {
		return scaffold.Service{}, exit.Usagef("%s%q: must be NAME:TRANSPORT:PORT, such as items:tcp:3002 or email:rabbitmq", flag, text)
	}
	service := scaffold.Service{Name: parts[0]}
	if len(parts) > 1 {
		service.Transport = workspace.Transport(parts[1])
	}
	if len(parts) > 2 {
		port, err := strconv.Atoi(parts[2])
		if err != nil || port < 1 || port > 65535 {
			return scaffold.Service{}, exit.Usagef("%s%q: invalid port %q: must be between 1 and 65535", flag, text, parts[2])
		}
		service.Port = port
	}
	return service, nil
}

// withPorts assigns free ports to the TCP services that have none: those that follow the
// gateway's.
func withPorts(services []scaffold.Service, gateway int) []scaffold.Service {
	taken := map[int]bool{gateway: true}
	for _, s := range services {
		taken[s.Port] = true
	}
	next := gateway
	for i := range services {
		for services[i].Port == 0 && !services[i].OnBroker() {
			if next++; !taken[next] {
				services[i].Port = next
			}
		}
	}
	return services
}

// commitWorkspace makes the first commit. A failure is only a note, because the
// workspace is complete without it.
func commitWorkspace(ctx context.Context, s *term.IO, dir, name string) {
	if scaffold.InRepository(ctx, dir) {
		s.Remarkf("the folder is in a git repository: the new files are not committed yet")
		return
	}
	// A signal must not leave half a repository behind.
	err := scaffold.FirstCommit(context.WithoutCancel(ctx), dir, "Create "+name+" with msctl new")
	switch {
	case errors.Is(err, scaffold.ErrNoGit):
		s.Remarkf("git is not installed, so there is no repository and no first commit")
	case err != nil:
		s.Remarkf("cannot make the first commit: %v", err)
	}
}

// printNext prints the next steps.
func printNext(s *term.IO, dir string, w scaffold.Workspace) {
	p := s.ErrPalette()
	steps := "\nNext:"
	if folder := shortPath(dir); folder != "." {
		steps += "\n  " + p.Accent("cd "+folder)
	}
	s.Notef("%s\n  %s", steps, p.Accent("msctl run"))
	s.Notef("\nThe API will be at http://localhost:%[1]d, its documentation at http://localhost:%[1]d/api", w.GatewayPort)
	s.Notef("The API requires a token: `msctl token` prints one")
}
