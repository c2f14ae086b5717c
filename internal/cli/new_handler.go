package cli

import (
	"context"
	"errors"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/nearest"
	"github.com/msctl/msctl/internal/scaffold"
	"github.com/msctl/msctl/internal/term"
	"github.com/spf13/cobra"
)

type newHandlerOptions struct {
	scaffold.Handler
	writeOptions
}

func newNewHandlerCommand(s *term.IO) *cobra.Command {
	o := newHandlerOptions{}
	cmd := &cobra.Command{
		Use:   "handler SERVICE NAME",
		Short: "Add a message handler to a service",
		Long: `Add a handler for the message {"cmd":NAME} to a service of the workspace, with the types
of its data and reply in contracts/, a test, and, with --route, an HTTP route in the
gateway. Until you implement it, the handler replies with its input.`,
		Example: `  msctl new handler items archiveItem
  msctl new handler items archiveItem --route 'POST /items/{id}/archive'`,
		Args: argCount(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Service, o.Name = args[0], args[1]
			return runNewHandler(cmd.Context(), s, o)
		},
	}
	cmd.Flags().StringVar(&o.Route, "route", "", "HTTP `ROUTE`, such as 'POST /items/{id}/archive'")
	o.register(cmd)
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
	printManual(s, result)
	if err != nil || !done {
		return err
	}
	p := s.ErrPalette()
	s.Notef("\nNext: implement it in apps/%s, then\n  %s", o.Service, p.Accent("msctl send cmd="+o.Name+" --to "+o.Service))
	return nil
}
