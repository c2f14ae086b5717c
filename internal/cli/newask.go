package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/msctl/msctl/internal/scaffold"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/workspace"
)

// askWorkspace is the wizard: it asks for what the flags did not say. w is what
// they did.
func askWorkspace(ctx context.Context, s *term.IO, o newOptions, w scaffold.Workspace) (scaffold.Workspace, error) {
	if o.yes || !s.CanAsk() {
		return w, withHint(usagef("msctl new is missing NAME"), "usage: msctl new NAME, for example `msctl new shop`")
	}
	var err error
	if w.Name, err = s.Input(ctx, term.Question{
		Text: "What is the workspace called?",
		Help: "Also the name of its folder: lower-case letters, digits and hyphens.",
		Flag: "msctl new NAME",
	}, "shop", workspace.CheckName); err != nil {
		return w, err
	}
	if len(o.services) == 0 {
		if w.Services, err = askServices(ctx, s); err != nil {
			return w, err
		}
	}
	if o.module == "" {
		if w.Module, err = s.Input(ctx, term.Question{
			Text: "Go module path?",
			Help: "Where the code will live, such as github.com/you/shop.",
			Flag: "--module PATH",
		}, scaffold.DefaultModule(w.Name), scaffold.CheckModule); err != nil {
			return w, err
		}
	}
	return w, confirmWorkspace(ctx, s, o, w)
}

// askServices asks for the sample services and for others.
func askServices(ctx context.Context, s *term.IO) ([]scaffold.Service, error) {
	choices := []term.Choice{
		{Value: "items", Description: "five messages over a store: create, find, change, remove"},
		{Value: "orders", Description: "calls items for each order: a second hop"},
	}
	names, err := s.MultiSelect(ctx, term.Question{
		Text: "Which services to begin with?",
		Help: "Space marks, Enter takes. They are examples to build on.",
		Flag: "--service items:tcp:3002",
	}, choices, []string{"items", "orders"}, nil)
	if err != nil {
		return nil, err
	}
	others, err := s.Input(ctx, term.Question{
		Text: "Other services (names with commas between them, Enter for none)?",
		Help: "Each begins with one message, to be replaced by your own.",
		Flag: "--service payments:tcp:3010",
	}, "", func(text string) error {
		all := withPorts(named(append(slices.Clone(names), split(text)...)))
		if len(all) == 0 {
			return errors.New("a workspace needs at least one service")
		}
		return scaffold.Workspace{Name: "check", Services: all}.Check()
	})
	if err != nil {
		return nil, err
	}
	return withPorts(named(append(names, split(others)...))), nil
}

func named(names []string) []scaffold.Service {
	services := make([]scaffold.Service, len(names))
	for i, name := range names {
		services[i].Name = name
	}
	return services
}

func split(text string) []string {
	return strings.FieldsFunc(text, func(c rune) bool { return c == ',' || c == ' ' })
}

// confirmWorkspace shows what will be made and asks whether to.
func confirmWorkspace(ctx context.Context, s *term.IO, o newOptions, w scaffold.Workspace) error {
	if o.dryRun {
		return nil
	}
	parts := []string{fmt.Sprintf("gateway on %d", scaffold.DefaultGatewayPort)}
	for _, service := range w.Services {
		parts = append(parts, fmt.Sprintf("%s on %d", service.Name, service.Port))
	}
	yes, err := s.Confirm(ctx, term.Question{
		Text: fmt.Sprintf("Make ./%s with %s?", w.Name, strings.Join(parts, ", ")),
		Flag: "--yes",
	}, true)
	if err == nil && !yes {
		s.Notef("nothing was written")
		return said(errors.New("declined"))
	}
	return err
}
