package target

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/workspace"
	"github.com/msctl/msctl/runtime/micro"
)

// Resolve returns the target of a message: --to, or the service of the workspace that
// handles the pattern, or [Default] outside of a workspace.
func (f *Flags) Resolve(ctx context.Context, pattern micro.Pattern) (Target, error) {
	if f.To != "" {
		return f.Parse(ctx, f.To)
	}
	w, err := workspace.Current()
	if err != nil {
		return Target{}, err
	}
	if w == nil {
		return ParseURL(Default)
	}
	targets, err := f.MessageTargets(ctx, w)
	switch {
	case err != nil:
		return Target{}, exit.WithHint(err, "%s", cmp.Or(exit.Hint(err), "set a target with --to"))
	case len(targets) == 1:
		return targets[0], nil
	}
	return choose(f.survey(ctx, targets), w.Name, pattern)
}

// MessageTargets returns the services of a workspace that handle messages. Having
// none is a usage error.
func (f *Flags) MessageTargets(ctx context.Context, w *workspace.Workspace) ([]Target, error) {
	services := slices.DeleteFunc(slices.Clone(w.Services), func(s *workspace.Service) bool { return s.Kind == workspace.KindGateway })
	if len(services) == 0 {
		return nil, exit.Usagef("workspace %s has no service that handles messages", w.Name)
	}
	located := f.locate(ctx, w)
	targets := make([]Target, len(services))
	for i, s := range services {
		var err error
		if targets[i], err = located.target(s); err != nil {
			return nil, err
		}
	}
	return targets, nil
}

// choose picks the one service that handles the pattern. Without one, it picks a service
// that handles it unless a variable of the environment changes that, or one that may handle
// it: one that is running but cannot describe itself (NestJS without sources) or, with
// Redis and NATS, one that may be running. Last are services with patterns that their
// sources do not determine, if no known pattern is similar.
func choose(answers []Answer, workspaceName string, pattern micro.Pattern) (Target, error) {
	var certain, probable, possible, computed []Target
	var known []micro.Pattern
	for _, a := range answers {
		switch {
		case a.Err == nil && slices.ContainsFunc(a.Description.Handlers, handles(pattern)):
			certain = append(certain, a.Target)
		case slices.Contains(a.probable, pattern.Route()):
			probable = append(probable, a.Target)
		case errors.Is(a.Err, micro.ErrNoHandler), a.Target.foreign && a.Target.Shared() && errors.Is(a.Err, micro.ErrNotServed):
			possible = append(possible, a.Target)
		case a.Computed > 0:
			computed = append(computed, a.Target)
		}
		known = append(known, patternsOf(a.Description)...)
	}
	near := Nearest(pattern, known)
	if len(near) > 0 {
		computed = nil
	}
	for _, candidates := range [][]Target{certain, probable, possible, computed} {
		switch list := distinct(candidates); {
		case len(list) == 1:
			return list[0], nil
		case len(list) > 1:
			return Target{}, exit.Usagef("%s may be handled by %s: choose one with --to", pattern, listNames(list))
		}
	}
	return Target{}, notChosen(answers, workspaceName, pattern, near)
}

// notChosen explains that no service handles a pattern, or that none could be asked.
func notChosen(answers []Answer, workspaceName string, pattern micro.Pattern, near []micro.Pattern) error {
	if !slices.ContainsFunc(answers, func(a Answer) bool { return len(a.Description.Handlers) > 0 }) {
		first := firstError(answers)
		err := fmt.Errorf("cannot find the service for %s in workspace %s: %w", pattern, workspaceName, first)
		return exit.WithHint(exit.WithCode(err, exit.Code(first)), "start the services with `msctl run`")
	}
	running := "running "
	if slices.ContainsFunc(answers, func(a Answer) bool { return a.Source != "" }) {
		running = "" // its handlers are known whether it is running or not
	}
	err := exit.Usagef("no %sservice of workspace %s handles %s", running, workspaceName, pattern)
	if len(near) > 0 {
		return exit.WithHint(err, "%s", didYouMean(pattern, near))
	}
	return exit.WithHint(err, "`msctl ls` lists the handlers")
}

// distinct merges targets that are the same place, because a message for one of them
// reaches all of them.
func distinct(targets []Target) []Target {
	var list []Target
	for _, t := range targets {
		i := slices.IndexFunc(list, func(other Target) bool { return other.String() == t.String() })
		switch {
		case i < 0:
			list = append(list, t)
		case list[i].Service != t.Service:
			list[i].Service = "" // not one service
		}
	}
	return list
}

func handles(pattern micro.Pattern) func(micro.HandlerInfo) bool {
	return func(h micro.HandlerInfo) bool { return h.Route == pattern.Route() }
}

func listNames(targets []Target) string {
	names := make([]string, len(targets))
	for i, t := range targets {
		names[i] = t.Name()
	}
	return strings.Join(names, " or ")
}

// firstError returns the first error of the answers, explained.
func firstError(answers []Answer) error {
	for _, a := range answers {
		if a.Err != nil {
			return Explain(a.Err, a.Target)
		}
	}
	return errors.New("the services have no handlers")
}
