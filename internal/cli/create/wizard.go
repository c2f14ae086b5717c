package create

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

// askWorkspace prompts for everything that the flags do not set. w is the workspace
// that they describe.
func askWorkspace(ctx context.Context, s *term.IO, o newOptions, w scaffold.Workspace) (scaffold.Workspace, error) {
	if o.yes || !s.CanAsk() {
		return w, exit.WithHint(exit.Usagef("msctl new requires FOLDER"), "for example, `msctl new shop`")
	}
	var err error
	if w.Name, err = s.Input(ctx, term.Question{
		Text: "Name of the workspace?",
		Help: "Also the name of its folder. Use lower-case letters, digits, and hyphens.",
		Flag: "msctl new FOLDER",
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
			Help: "The import path of the code, such as github.com/you/shop.",
			Flag: "--module PATH",
		}, scaffold.DefaultModule(w.Name), scaffold.CheckModule); err != nil {
			return w, err
		}
	}
	return w, confirmWorkspace(ctx, s, o, w)
}

// askServices prompts for the sample services and for others, and stores them in w.
func askServices(ctx context.Context, s *term.IO, w *scaffold.Workspace) error {
	choices := []term.Choice{
		{Value: "items", Description: "five messages over a store: create, find, update, delete"},
		{Value: "orders", Description: "calls items for each order: a second hop"},
		{Value: "notifications", Description: "email for orders over RabbitMQ: a worker with retries and dead letters"},
	}
	names, err := s.MultiSelect(ctx, term.Question{
		Text: "Which sample services?",
		Help: "Space selects, Enter confirms. The samples are a starting point for your own services.",
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
	w.Services = withPorts(append(w.Services, others...), w.GatewayPort)
	return err
}

// checkSamples checks that the selected samples work together.
func checkSamples(names []string) error {
	if slices.Contains(names, "notifications") && len(names) < 3 {
		return errors.New("notifications requires items and orders: select them, too")
	}
	return nil
}

// askOthers prompts for further services and the transport of each.
func askOthers(ctx context.Context, s *term.IO, w scaffold.Workspace) ([]scaffold.Service, error) {
	text, err := s.Input(ctx, term.Question{
		Text: "Other services (comma-separated names, Enter for none)?",
		Help: "Each starts with one example message.",
		Flag: "--service payments:tcp:3010",
	}, "", func(text string) error {
		others, err := parseServices(text)
		if err != nil {
			return err
		}
		w := w
		w.Name, w.Services = "check", withPorts(append(slices.Clone(w.Services), others...), w.GatewayPort)
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

// askTransport prompts for the transport of a service.
func askTransport(ctx context.Context, s *term.IO, name string) (workspace.Transport, error) {
	answer, err := s.Select(ctx, term.Question{
		Text: fmt.Sprintf("Transport of %s?", name),
		Help: "`msctl run` starts a broker if none is running.",
		Flag: "--service " + name + ":TRANSPORT",
	}, []term.Choice{
		{Value: string(workspace.TCP), Description: "direct connections to a port of the service"},
		{Value: string(workspace.RabbitMQ), Description: "a durable queue: for work that must not be lost"},
		{Value: string(workspace.NATS), Description: "each message goes to one replica; messages are not stored"},
		{Value: string(workspace.Redis), Description: "each message goes to every replica; messages are not stored"},
	}, string(workspace.TCP))
	return workspace.Transport(answer), err
}

// parseServices parses services separated by commas or spaces.
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

// confirmWorkspace shows what will be created and asks for confirmation.
func confirmWorkspace(ctx context.Context, s *term.IO, o newOptions, w scaffold.Workspace) error {
	if o.dryRun {
		return nil
	}
	parts := []string{fmt.Sprintf("gateway on port %d", w.GatewayPort)}
	for _, service := range w.Services {
		parts = append(parts, service.Name+" "+service.Where())
	}
	yes, err := s.Confirm(ctx, term.Question{
		Text: fmt.Sprintf("Create ./%s with %s?", w.Name, strings.Join(parts, ", ")),
		Flag: "--yes",
	}, true)
	if err == nil && !yes {
		s.Notef("nothing was written")
		return exit.Said(errors.New("declined"))
	}
	return err
}
