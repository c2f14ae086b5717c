package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/scaffold"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/workspace"
)

// askWorkspace is the wizard: it asks for what the flags did not say. w is what
// they did.
func askWorkspace(ctx context.Context, s *term.IO, o newOptions, w scaffold.Workspace) (scaffold.Workspace, error) {
	if o.yes || !s.CanAsk() {
		return w, exit.WithHint(exit.Usagef("msctl new is missing NAME"), "usage: msctl new NAME, for example `msctl new shop`")
	}
	var err error
	if w.Name, err = s.Input(ctx, term.Question{
		Text: "What is the workspace called?",
		Help: "Also the name of its folder: lower-case letters, digits and hyphens.",
		Flag: "msctl new NAME",
	}, "shop", workspace.CheckName); err != nil {
		return w, err
	}
	if len(o.services) == 0 && o.example == "" {
		if err = askServices(ctx, s, &w); err != nil {
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

// askServices asks for the sample services and for others, and puts them into w.
func askServices(ctx context.Context, s *term.IO, w *scaffold.Workspace) error {
	choices := []term.Choice{
		{Value: "items", Description: "five messages over a store: create, find, change, remove"},
		{Value: "orders", Description: "calls items for each order: a second hop"},
		{Value: "notifications", Description: "mails for orders, over RabbitMQ: a worker with retries and dead letters"},
	}
	names, err := s.MultiSelect(ctx, term.Question{
		Text: "Which services to begin with?",
		Help: "Space marks, Enter takes. They are examples to build on.",
		Flag: "--service items:tcp:3002, --example notifications",
	}, choices, []string{"items", "orders"}, checkSamples)
	if err != nil {
		return err
	}
	w.Services = nil
	for _, name := range names {
		if name != "notifications" {
			w.Services = append(w.Services, scaffold.Service{Name: name})
		} else if err := w.AddExample(name); err != nil {
			return err
		}
	}
	others, err := askOthers(ctx, s, *w)
	w.Services = withPorts(append(w.Services, others...))
	return err
}

// checkSamples says what the marked samples lack.
func checkSamples(names []string) error {
	if slices.Contains(names, "notifications") && len(names) < 3 {
		return errors.New("notifications confirms orders of items: mark items and orders too")
	}
	return nil
}

// askOthers asks for services beside those of w, and how messages reach each.
func askOthers(ctx context.Context, s *term.IO, w scaffold.Workspace) ([]scaffold.Service, error) {
	text, err := s.Input(ctx, term.Question{
		Text: "Other services (names with commas between them, Enter for none)?",
		Help: "Each begins with one message, to be replaced by your own.",
		Flag: "--service payments:tcp:3010",
	}, "", func(text string) error {
		others, err := parseServices(text)
		if err != nil {
			return err
		}
		w := w
		w.Name, w.Services = "check", withPorts(append(slices.Clone(w.Services), others...))
		return w.Check()
	})
	if err != nil {
		return nil, err
	}
	others, err := parseServices(text)
	for i := range others {
		if err == nil && others[i].Transport == "" && others[i].Port == 0 {
			others[i].Transport, err = askTransport(ctx, s, others[i].Name)
		}
	}
	return others, err
}

// askTransport asks how messages reach a service.
func askTransport(ctx context.Context, s *term.IO, name string) (workspace.Transport, error) {
	answer, err := s.Select(ctx, term.Question{
		Text: fmt.Sprintf("How do messages reach %s?", name),
		Help: "`msctl run` starts a broker where none answers.",
		Flag: "--service " + name + ":TRANSPORT",
	}, []term.Choice{
		{Value: string(workspace.TCP), Description: "directly, on a port of its own"},
		{Value: string(workspace.RabbitMQ), Description: "from a queue that keeps them: work that must not be lost"},
		{Value: string(workspace.NATS), Description: "from a broker that shares them among replicas and keeps none"},
		{Value: string(workspace.Redis), Description: "from a broker that gives each to all replicas and keeps none"},
	}, string(workspace.TCP))
	return workspace.Transport(answer), err
}

// parseServices reads services with commas or blanks between them.
func parseServices(text string) ([]scaffold.Service, error) {
	var services []scaffold.Service
	for _, word := range split(text) {
		service, err := parseService("", word)
		if err != nil {
			return nil, err
		}
		services = append(services, service)
	}
	return services, nil
}

func split(text string) []string {
	return strings.FieldsFunc(text, func(c rune) bool { return c == ',' || c == ' ' })
}

// confirmWorkspace shows what will be made and asks whether to.
func confirmWorkspace(ctx context.Context, s *term.IO, o newOptions, w scaffold.Workspace) error {
	if o.dryRun {
		return nil
	}
	parts := []string{fmt.Sprintf("gateway on port %d", scaffold.DefaultGatewayPort)}
	for _, service := range w.Services {
		parts = append(parts, service.Name+" "+service.Where())
	}
	yes, err := s.Confirm(ctx, term.Question{
		Text: fmt.Sprintf("Make ./%s with %s?", w.Name, strings.Join(parts, ", ")),
		Flag: "--yes",
	}, true)
	if err == nil && !yes {
		s.Notef("nothing was written")
		return exit.Said(errors.New("declined"))
	}
	return err
}
