package create

import (
	"context"
	"errors"
	"path"

	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/cli/command"
	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/nearest"
	"github.com/msctl/msctl/internal/scaffold"
	"github.com/msctl/msctl/internal/shorthand"
	"github.com/msctl/msctl/internal/term"
)

type newHandlerOptions struct {
	scaffold.Handler
	pattern       string
	event, stream bool
	kind          *bool // --event, if it is set
	version       string
	writeOptions
}

func newNewHandlerCommand(s *term.IO, version string) *cobra.Command {
	o := newHandlerOptions{version: version}
	cmd := &cobra.Command{
		Use:   "handler SERVICE NAME",
		Short: "Add a message handler to a service",
		Long: `Add a handler to a service of the workspace, with the types of its data and reply in
contracts/, a test, and, with --route, an HTTP route in the gateway. The route requires an
authenticated caller, and DELETE the role admin. Until you implement it, the handler
replies with its input, or ignores its event.

On RabbitMQ, the default is an event, since a caller should not wait for a message in a
queue; --event=false makes it a request.

` + shorthand.PatternSyntax,
		Example: `  msctl new handler items archiveItem
  msctl new handler items archiveItem --route 'POST /items/{id}/archive'
  msctl new handler items restocked --event --pattern item.v1.restocked
  msctl new handler items watchItems --stream --route 'GET /items/changes'`,
		Args: command.ArgCount(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Service, o.Name = args[0], args[1]
			if cmd.Flags().Changed("event") {
				o.kind = &o.event
			}
			return runNewHandler(cmd.Context(), s, o)
		},
	}
	cmd.Flags().BoolVar(&o.event, "event", false, "handle an event, which has no reply (default on RabbitMQ)")
	cmd.Flags().BoolVar(&o.stream, "stream", false, "reply with any number of values")
	cmd.Flags().StringVar(&o.pattern, "pattern", "", "`PATTERN` of the messages (default cmd=NAME, or SERVICE.v1.NAME for an event)")
	cmd.Flags().StringVar(&o.Route, "route", "", "HTTP `ROUTE`, such as 'POST /items/{id}/archive'")
	o.register(cmd)
	return cmd
}

func runNewHandler(_ context.Context, s *term.IO, o newHandlerOptions) error {
	dir, err := openWorkspace(o.version)
	if err != nil {
		return err
	}
	if o.Handler, err = o.handler(); err != nil {
		return err
	}
	result, made, err := dir.NewHandler(o.Handler)
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
	if err != nil {
		return err
	}
	printManual(s, result)
	if !done {
		return nil
	}
	command := "send"
	if made.Kind == scaffold.Event {
		command = "emit"
	}
	s.Notef("\nNext: implement it in %s, then\n  %s", path.Clean(dir.Workspace.Service(o.Service).Path), s.ErrPalette().Accent("msctl "+command+" "+shorthand.Format(made.Pattern)+" "+made.Example()+" --to "+o.Service))
	return nil
}

// handler combines the arguments and the flags.
func (o newHandlerOptions) handler() (scaffold.Handler, error) {
	h := o.Handler
	switch {
	case o.event && o.stream:
		return h, exit.Usagef("--event cannot be combined with --stream: an event has no reply")
	case o.stream:
		h.Kind = scaffold.Stream
	case o.event:
		h.Kind = scaffold.Event
	case o.kind != nil:
		h.Kind = scaffold.Request
	}
	if o.pattern == "" {
		return h, nil
	}
	var err error
	h.Pattern, err = shorthand.Pattern(o.pattern)
	return h, err
}
