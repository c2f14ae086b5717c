package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/nearest"
	"github.com/msctl/msctl/internal/scaffold"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/workspace"
)

type newServiceOptions struct {
	name      string
	transport string
	port      int
	version   string
	writeOptions
}

func newNewServiceCommand(s *term.IO, version string) *cobra.Command {
	o := newServiceOptions{version: version}
	cmd := &cobra.Command{
		Use:   "service NAME[:TRANSPORT[:PORT]]",
		Short: "Add a service to the workspace",
		Long: `Adds a service with one example message, its test and its route, and wires it
into the gateway, msctl.yaml, compose.yaml and .env.example. Lines are inserted
into your files; nothing in them is lost.

With a broker (rabbitmq, redis, nats) the service has no port: messages reach it
through the broker at RABBITMQ_URL, REDIS_URL or NATS_URL. The first service on
one adds its driver to go.mod and the broker to compose.yaml.`,
		Example: `  msctl new service payments
  msctl new service payments --port 3010 --dry-run
  msctl new service mail:rabbitmq`,
		Args: argCount(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.name = args[0]
			return runNewService(cmd.Context(), s, o)
		},
	}
	cmd.Flags().StringVar(&o.transport, "transport", "", "the `TRANSPORT` of its messages: tcp, rabbitmq, redis or nats (default tcp)")
	cmd.Flags().IntVar(&o.port, "port", 0, "its `PORT` (default the next free one)")
	o.add(cmd)
	return cmd
}

// openWorkspace opens the workspace that the current folder is in.
func openWorkspace() (*scaffold.Dir, error) {
	current, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("find the current folder: %w", err)
	}
	path, err := workspace.Find(current)
	if errors.Is(err, workspace.ErrNotFound) {
		return nil, exit.WithHint(exit.WithCode(err, exit.Usage), "`msctl new NAME` makes a workspace")
	}
	if err != nil {
		return nil, err
	}
	return scaffold.Open(path)
}

func runNewService(_ context.Context, s *term.IO, o newServiceOptions) error {
	dir, err := openWorkspace()
	if err != nil {
		return err
	}
	dir.Version = readVersion(o.version).Version
	service, err := o.service()
	if err != nil {
		return err
	}
	if service.Port == 0 && !service.OnBroker() {
		service.Port = dir.NextPort()
	}
	result, err := dir.NewService(service)
	if err != nil {
		return exit.Usagef("%w", err)
	}
	done, err := writeFiles(s, dir.Root, result.Files, o.writeOptions)
	sayByHand(s, result)
	if err != nil || !done {
		return err
	}
	p := s.ErrPalette()
	s.Notef("\nNext:\n  %s   it answers %s\n  %s",
		p.Accent("msctl run"), service.Where(), p.Accent("msctl send cmd=hello"+service.Title()+" name=Ada --to "+service.Name))
	return nil
}

// service is what the argument and the flags say.
func (o newServiceOptions) service() (scaffold.Service, error) {
	service, err := parseService("", o.name)
	if err != nil {
		return service, err
	}
	transport := workspace.Transport(o.transport)
	switch {
	case transport != "" && service.Transport != "" && transport != service.Transport:
		return service, exit.Usagef("%s is %s, and --transport says %s: say it once", o.name, service.Transport, transport)
	case o.port != 0 && service.Port != 0 && o.port != service.Port:
		return service, exit.Usagef("%s has a port, and --port says %d: say it once", o.name, o.port)
	}
	service.Transport, service.Port = cmp.Or(service.Transport, transport), cmp.Or(service.Port, o.port)
	return service, nil
}

// sayByHand says what msctl could not add itself.
func sayByHand(s *term.IO, result scaffold.Result) {
	for _, sentence := range result.ByHand {
		s.Notef("%s %s", s.ErrPalette().Warn("by hand:"), sentence)
	}
}

type newHandlerOptions struct {
	scaffold.Handler
	writeOptions
}

func newNewHandlerCommand(s *term.IO) *cobra.Command {
	o := newHandlerOptions{}
	cmd := &cobra.Command{
		Use:   "handler SERVICE NAME",
		Short: "Add a message handler to a service",
		Long: `Adds a handler for the message {"cmd":NAME} to a service of the workspace, with
the types of its data and reply in contracts/, a test, and with --route an HTTP
route in the gateway. It answers with what it was sent, until you write it.`,
		Example: `  msctl new handler items archiveItem
  msctl new handler items archiveItem --route 'POST /items/{id}/archive'`,
		Args: argCount(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Service, o.Name = args[0], args[1]
			return runNewHandler(cmd.Context(), s, o)
		},
	}
	cmd.Flags().StringVar(&o.Route, "route", "", "its HTTP `ROUTE`, such as 'POST /items/{id}/archive'")
	o.add(cmd)
	return cmd
}

func runNewHandler(_ context.Context, s *term.IO, o newHandlerOptions) error {
	dir, err := openWorkspace()
	if err != nil {
		return err
	}
	result, err := dir.NewHandler(o.Handler)
	var unknown *scaffold.UnknownServiceError
	if errors.As(err, &unknown) {
		if near := nearest.Word(unknown.Name, unknown.Known); near != "" {
			return exit.WithHint(exit.Usagef("%w", err), "did you mean `msctl new handler %s %s`?", near, o.Name)
		}
	}
	if err != nil {
		return exit.Usagef("%w", err)
	}
	done, err := writeFiles(s, dir.Root, result.Files, o.writeOptions)
	sayByHand(s, result)
	if err != nil || !done {
		return err
	}
	p := s.ErrPalette()
	s.Notef("\nNext: write it in apps/%s, then\n  %s", o.Service, p.Accent("msctl send cmd="+o.Name+" --to "+o.Service))
	return nil
}
