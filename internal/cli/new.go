package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/scaffold"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/workspace"
)

// newOptions are the flags and arguments of `msctl new`.
type newOptions struct {
	name     string
	module   string
	services []string
	example  string
	version  string
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
	flags.BoolVar(&o.force, "force", false, "overwrite files that differ")
}

func newNewCommand(s *term.IO, version string) *cobra.Command {
	o := newOptions{version: version}
	cmd := &cobra.Command{
		Use:     "new [NAME]",
		Short:   "Create a workspace, a service, or a handler",
		GroupID: groupProject,
		Long: `Create a workspace in the folder NAME: a gateway and services that build, pass their
tests, and are ready to run, in a git repository with a first commit. Without NAME,
prompt for everything.

In a workspace, use ` + "`msctl new service`" + ` and ` + "`msctl new handler`" + ` to add to it.`,
		Example: `  msctl new shop
  msctl new shop --service items:tcp:3002 --service mail:rabbitmq --service audit:nats
  msctl new shop --example notifications
  msctl new shop --module github.com/you/shop --dry-run
  msctl new service payments
  msctl new service mail --transport rabbitmq
  msctl new handler items archiveItem --route 'POST /items/archive'`,
		Args: argCount(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				o.name = args[0]
			}
			return runNew(cmd.Context(), s, o)
		},
	}
	cmd.Flags().StringArrayVar(&o.services, "service", nil, "add a service, `NAME[:TRANSPORT[:PORT]]`, with the transport tcp, rabbitmq, redis, or nats (repeatable; default items:tcp:3002 and orders:tcp:3003)")
	cmd.Flags().StringVar(&o.example, "example", "", "add an `EXAMPLE` to items and orders: notifications (email over RabbitMQ, with retries and dead letters)")
	cmd.Flags().StringVar(&o.module, "module", "", "Go module `PATH` (default NAME)")
	o.register(cmd)
	cmd.AddCommand(newNewServiceCommand(s, version), newNewHandlerCommand(s))
	return cmd
}

func runNew(ctx context.Context, s *term.IO, o newOptions) error {
	w, err := o.workspace()
	if err != nil {
		return err
	}
	if o.name == "" {
		if w, err = askWorkspace(ctx, s, o, w); err != nil {
			return err
		}
	}
	if err := w.Check(); err != nil {
		return exit.Usagef("%w", err)
	}
	dir, err := filepath.Abs(w.Name)
	if err != nil {
		return fmt.Errorf("find the folder of %s: %w", w.Name, err)
	}
	if path, err := workspace.Find(filepath.Dir(dir)); err == nil {
		return exit.WithHint(exit.Usagef("this folder is already in a workspace: %s", path), "`msctl new service %s` adds a service to it", w.Name)
	}
	files, err := w.Files()
	if err != nil {
		return err
	}
	fresh := emptyFolder(dir)
	done, err := writeFiles(s, dir, files, o.writeOptions)
	if err != nil || !done {
		return err
	}
	if fresh {
		commitWorkspace(ctx, s, dir, w.Name)
	}
	printNext(s, w)
	return nil
}

// workspace converts the flags.
func (o newOptions) workspace() (scaffold.Workspace, error) {
	w := scaffold.Workspace{Name: o.name, Module: o.module, Version: readVersion(o.version).Version}
	for _, text := range o.services {
		service, err := parseService("--service ", text)
		if err != nil {
			return w, err
		}
		w.Services = append(w.Services, service)
	}
	if len(o.services) == 0 {
		w.Services = scaffold.DefaultServices()
	}
	if o.example != "" {
		if err := w.AddExample(o.example); err != nil {
			return w, exit.Usagef("--example: %w", err)
		}
	}
	w.Services = withPorts(w.Services)
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

// withPorts assigns free ports to the TCP services that have none.
func withPorts(services []scaffold.Service) []scaffold.Service {
	taken := map[int]bool{scaffold.DefaultGatewayPort: true}
	for _, s := range services {
		taken[s.Port] = true
	}
	next := scaffold.DefaultGatewayPort
	for i := range services {
		for services[i].Port == 0 && !services[i].OnBroker() {
			if next++; !taken[next] {
				services[i].Port = next
			}
		}
	}
	return services
}

// emptyFolder reports whether dir is empty or does not exist.
func emptyFolder(dir string) bool {
	entries, err := os.ReadDir(dir)
	return errors.Is(err, os.ErrNotExist) || err == nil && len(entries) == 0
}

// commitWorkspace makes the first commit. A failure is only a note, because the
// workspace is complete without it.
func commitWorkspace(ctx context.Context, s *term.IO, dir, name string) {
	if scaffold.InRepository(ctx, dir) {
		return
	}
	err := scaffold.FirstCommit(ctx, dir, "Create "+name+" with msctl new")
	if err != nil && !errors.Is(err, scaffold.ErrNoGit) {
		s.Notef("%s cannot make the first commit: %v", s.ErrPalette().Warn("note:"), err)
	}
}

// printNext prints the next steps.
func printNext(s *term.IO, w scaffold.Workspace) {
	p := s.ErrPalette()
	s.Notef("\nNext:\n  %s\n  %s", p.Accent("cd "+w.Name), p.Accent("msctl run"))
	s.Notef("\nThe API will be at http://localhost:%d, its documentation at http://localhost:%d/api", scaffold.DefaultGatewayPort, scaffold.DefaultGatewayPort)
}
