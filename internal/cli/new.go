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

// newOptions are the flags of `msctl new`.
type newOptions struct {
	name     string
	module   string
	services []string
	example  string
	version  string
	writeOptions
}

// writeOptions are shared by everything that writes files.
type writeOptions struct {
	yes, dryRun, force bool
}

func (o *writeOptions) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVarP(&o.yes, "yes", "y", false, "ask nothing")
	flags.BoolVar(&o.dryRun, "dry-run", false, "print what would be written, and write nothing")
	flags.BoolVar(&o.force, "force", false, "write over files that differ")
}

func newNewCommand(s *term.IO, version string) *cobra.Command {
	o := newOptions{version: version}
	cmd := &cobra.Command{
		Use:     "new [NAME]",
		Short:   "Make a workspace, a service or a handler",
		GroupID: groupProject,
		Long: `Makes a workspace in the folder NAME: a gateway and services that build, pass
their tests and run at once, in a git repository with a first commit. Without
NAME, and with a terminal, it asks what to make.

Inside a workspace, ` + "`msctl new service`" + ` and ` + "`msctl new handler`" + ` add to it.`,
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
	cmd.Flags().StringArrayVar(&o.services, "service", nil, "a service, `NAME[:TRANSPORT[:PORT]]`, the transport tcp, rabbitmq, redis or nats; may be given again (default items:tcp:3002 and orders:tcp:3003)")
	cmd.Flags().StringVar(&o.example, "example", "", "an `EXAMPLE` beside items and orders: notifications (mails, over RabbitMQ, with retries and dead letters)")
	cmd.Flags().StringVar(&o.module, "module", "", "Go module `PATH` (default NAME)")
	o.add(cmd)
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
		return exit.WithHint(exit.Usagef("this folder is in a workspace already: %s", path), "`msctl new service %s` adds a service to it", w.Name)
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
	sayNext(s, w)
	return nil
}

// workspace reads the flags.
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

// parseService reads NAME[:TRANSPORT[:PORT]]; flag, "--service " or "", is what
// it was given with.
func parseService(flag, text string) (scaffold.Service, error) {
	parts := strings.Split(text, ":")
	if len(parts) > 3 {
		return scaffold.Service{}, exit.Usagef("%s%q: write NAME:TRANSPORT:PORT, such as items:tcp:3002 or mail:rabbitmq", flag, text)
	}
	service := scaffold.Service{Name: parts[0]}
	if len(parts) > 1 {
		service.Transport = workspace.Transport(parts[1])
	}
	if len(parts) > 2 {
		port, err := strconv.Atoi(parts[2])
		if err != nil || port < 1 || port > 65535 {
			return scaffold.Service{}, exit.Usagef("%s%q: the port must be a number from 1 to 65535", flag, text)
		}
		service.Port = port
	}
	return service, nil
}

// withPorts gives services on TCP without a port the next free ones.
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

// emptyFolder reports whether nothing is in dir, or dir is not there.
func emptyFolder(dir string) bool {
	entries, err := os.ReadDir(dir)
	return errors.Is(err, os.ErrNotExist) || err == nil && len(entries) == 0
}

// commitWorkspace makes the first commit. That it could not is no reason to
// fail: the workspace is there.
func commitWorkspace(ctx context.Context, s *term.IO, dir, name string) {
	if scaffold.InRepository(ctx, dir) {
		return
	}
	err := scaffold.FirstCommit(ctx, dir, "Make "+name+" with msctl new")
	if err != nil && !errors.Is(err, scaffold.ErrNoGit) {
		s.Notef("%s the first commit could not be made: %v", s.ErrPalette().Warn("note:"), err)
	}
}

// sayNext says what to type next.
func sayNext(s *term.IO, w scaffold.Workspace) {
	p := s.ErrPalette()
	s.Notef("\nNext:\n  %s\n  %s", p.Accent("cd "+w.Name), p.Accent("msctl run"))
	s.Notef("\nThen the API is at http://localhost:%d, its docs at http://localhost:%d/api", scaffold.DefaultGatewayPort, scaffold.DefaultGatewayPort)
}
