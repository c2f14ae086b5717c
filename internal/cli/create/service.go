package create

import (
	"cmp"
	"context"

	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/cli/command"
	"github.com/msctl/msctl/internal/exit"
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
		Long: `Add a service with one example message, its test, and its route, and connect it to the
gateway, msctl.yaml, compose.yaml, and .env.example. msctl only inserts lines into
existing files. On RabbitMQ, the example is an event, since a caller should not wait
for a message in a queue.

A service on a broker (rabbitmq, redis, nats) has no port: it receives messages from the
broker at RABBITMQ_URL, REDIS_URL, or NATS_URL. The first service on a broker adds its
driver to go.mod and the broker to compose.yaml.`,
		Example: `  msctl new service payments
  msctl new service payments --port 3010 --dry-run
  msctl new service email:rabbitmq`,
		Args: command.ArgCount(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.name = args[0]
			return runNewService(cmd.Context(), s, o)
		},
	}
	cmd.Flags().StringVar(&o.transport, "transport", "", "`TRANSPORT` of its messages: tcp, rabbitmq, redis, or nats (default tcp)")
	cmd.Flags().IntVar(&o.port, "port", 0, "TCP `PORT` (default: the next free one)")
	o.register(cmd)
	return cmd
}

func runNewService(_ context.Context, s *term.IO, o newServiceOptions) error {
	dir, err := openWorkspace(o.version)
	if err != nil {
		return err
	}
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
	if done, err := writeAdded(s, dir, result, o.writeOptions); err != nil || !done {
		return err
	}
	p := s.ErrPalette()
	call := "msctl send cmd=hello" + service.Title()
	if service.Worker() {
		call = "msctl emit " + service.Name + ".v1.hello"
	}
	s.Notef("\nNext:\n  %s   # serves %s\n  %s", p.Accent("msctl run"), service.Where(), p.Accent(call+" name=Ada --to "+service.Name))
	return nil
}

// service combines the argument and the flags.
func (o newServiceOptions) service() (scaffold.Service, error) {
	service, err := parseService("", o.name)
	if err != nil {
		return service, err
	}
	transport := workspace.Transport(o.transport)
	switch {
	case transport != "" && service.Transport != "" && transport != service.Transport:
		return service, exit.Usagef("conflicting transports: %s and --transport %s", o.name, transport)
	case o.port != 0 && service.Port != 0 && o.port != service.Port:
		return service, exit.Usagef("conflicting ports: %s and --port %d", o.name, o.port)
	}
	service.Transport, service.Port = cmp.Or(service.Transport, transport), cmp.Or(service.Port, o.port)
	return service, nil
}

// writeAdded writes what is added to a workspace, or prints the plan of a dry run, and what is left to
// do by hand. done reports whether the files were written.
func writeAdded(s *term.IO, dir *scaffold.Dir, result scaffold.Result, o writeOptions) (done bool, err error) {
	done, err = writeFiles(s, dir.Root, result.Files, o)
	if err != nil {
		return false, err
	}
	printManual(s, result)
	if done && dir.Deployed() {
		s.Remarkf("`msctl new deploy kubernetes` adds it to deploy/kubernetes")
	}
	return done, nil
}

// printManual prints the changes that msctl could not make itself.
func printManual(s *term.IO, result scaffold.Result) {
	for _, change := range result.ByHand {
		s.Notef("%s %s", s.ErrPalette().Warn("manual step:"), change)
	}
}
