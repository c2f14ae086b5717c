package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/msctl/msctl/internal/nearest"
	"github.com/msctl/msctl/internal/workspace"
	"github.com/msctl/msctl/runtime/micro"
)

// describeTimeout bounds the question what a service handles, which is asked
// beside the message that matters.
const describeTimeout = time.Second

// resolve finds the target of a message: --to, or in a workspace the service
// that says it handles the pattern, or the default.
func (f *targetFlags) resolve(ctx context.Context, pattern micro.Pattern) (target, error) {
	if f.to != "" {
		return parseTarget(ctx, f.to)
	}
	w, err := currentWorkspace()
	if err != nil {
		return target{}, err
	}
	if w == nil {
		return parseTarget(ctx, defaultTarget)
	}
	targets, err := messageTargets(ctx, w)
	switch {
	case err != nil:
		return target{}, withHint(err, "%s", cmp.Or(hintOf(err), "name a target with --to"))
	case len(targets) == 1:
		return targets[0], nil
	}
	return choose(f.survey(ctx, targets), w.Name, pattern)
}

// messageTargets are the services of a workspace that take messages. It is a usage
// error when there is none.
func messageTargets(ctx context.Context, w *workspace.Workspace) ([]target, error) {
	services := slices.DeleteFunc(slices.Clone(w.Services), func(s *workspace.Service) bool { return s.Kind == workspace.KindGateway })
	if len(services) == 0 {
		return nil, usagef("the workspace %s has no service that takes messages", w.Name)
	}
	where := findPlaces(ctx, w, services...)
	targets := make([]target, len(services))
	for i, s := range services {
		var err error
		if targets[i], err = where.target(s); err != nil {
			return nil, err
		}
	}
	return targets, nil
}

// answer is what a service said when it was asked what it handles.
type answer struct {
	target      target
	description micro.Description
	err         error
}

// survey asks the services, all at once, what they handle.
func (f *targetFlags) survey(ctx context.Context, targets []target) []answer {
	answers := make([]answer, len(targets))
	var wg sync.WaitGroup
	for i, t := range targets {
		wg.Go(func() {
			d, err := f.describe(ctx, t, describeTimeout)
			answers[i] = answer{t, d, err}
		})
	}
	wg.Wait()
	return answers
}

// describe asks a target what it handles.
func (f *targetFlags) describe(ctx context.Context, t target, timeout time.Duration) (micro.Description, error) {
	var none micro.Description
	conn, err := f.dial(t, dialLimits{})
	if err != nil {
		return none, err
	}
	client := micro.NewClient(conn, micro.WithTimeout(timeout))
	defer client.Close()
	return micro.Call[micro.Description](ctx, client, t.describePattern(), struct{}{})
}

// gatherTime is how long the services of a broker may take after the first of them
// has said what it handles.
const gatherTime = 300 * time.Millisecond

// describeAll asks everyone at a target what they handle: the services of a broker
// that share its subjects, or the one that the target is.
func (f *targetFlags) describeAll(ctx context.Context, t target, timeout time.Duration) ([]micro.Description, error) {
	if !t.shared() || t.service != "" {
		d, err := f.describe(ctx, t, timeout)
		return []micro.Description{d}, err
	}
	conn, err := f.dial(t, dialLimits{})
	if err != nil {
		return nil, err
	}
	client := micro.NewClient(conn, micro.WithTimeout(timeout))
	defer client.Close()
	ctx, enough := context.WithCancel(ctx)
	defer enough()
	var all []micro.Description
	window := time.AfterFunc(timeout, enough)
	defer window.Stop()
	req := &micro.Request{Pattern: micro.DescribePattern, Data: []byte("{}"), All: true}
	err = client.Do(ctx, req, micro.ReplyFunc(func(v micro.Value) error {
		var d micro.Description
		if json.Unmarshal(v.Raw, &d) != nil {
			return nil // it has a handler of its own for that
		}
		if all = append(all, d); len(all) == 1 {
			window.Reset(gatherTime)
		}
		return nil
	}))
	if len(all) > 0 {
		err = nil
	}
	slices.SortStableFunc(all, func(a, b micro.Description) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), a.Started.Compare(b.Started))
	})
	return all, err
}

// describePattern asks the target what it handles: by its name where many share
// the broker's subjects.
func (t target) describePattern() micro.Pattern {
	if t.service != "" && t.shared() {
		return micro.DescribeOf(t.service)
	}
	return micro.DescribePattern
}

// shared reports whether all services of the broker are at the one address, told
// apart by patterns alone.
func (t target) shared() bool { return t.broker != nil && t.broker.kind != rabbitMQ }

// choose picks the one service that handles the pattern. Services that run but
// cannot say what they handle (NestJS) are taken when no other one does, and so is
// one that may run, because behind Redis or NATS nobody can tell.
func choose(answers []answer, workspaceName string, pattern micro.Pattern) (target, error) {
	var claims, silent []target
	var known []string
	for _, a := range answers {
		switch {
		case a.err == nil && slices.ContainsFunc(a.description.Handlers, handles(pattern)):
			claims = append(claims, a.target)
		case errors.Is(a.err, micro.ErrNoHandler), a.target.foreign && a.target.shared() && errors.Is(a.err, micro.ErrNotServed):
			silent = append(silent, a.target)
		}
		known = append(known, routes(a.description)...)
	}
	if len(claims) == 0 {
		claims = silent
	}
	claims = distinct(claims)
	switch {
	case len(claims) == 1:
		return claims[0], nil
	case len(claims) > 1:
		return target{}, usagef("%s may go to %s: choose with --to", pattern, listNames(claims))
	case len(known) == 0:
		err := fmt.Errorf("no service of the workspace %s could be asked who handles %s: %w", workspaceName, pattern, firstError(answers))
		return target{}, withHint(withCode(err, exitCode(firstError(answers))), "start the services with `msctl run`")
	}
	err := usagef("no running service of the workspace %s handles %s", workspaceName, pattern)
	if near := nearestRoutes(pattern, known); len(near) > 0 {
		return target{}, withHint(err, "did you mean %s?", strings.Join(near, " or "))
	}
	return target{}, withHint(err, "`msctl ls` lists what is handled")
}

// distinct leaves out of the targets those that are the same place: a message for
// one of them is one for all.
func distinct(targets []target) []target {
	var list []target
	for _, t := range targets {
		i := slices.IndexFunc(list, func(other target) bool { return other.String() == t.String() })
		switch {
		case i < 0:
			list = append(list, t)
		case list[i].service != t.service:
			list[i].service = "" // it is for both of them
		}
	}
	return list
}

func handles(pattern micro.Pattern) func(micro.HandlerInfo) bool {
	return func(h micro.HandlerInfo) bool { return h.Route == pattern.Route() }
}

// routes lists the routes that services handle.
func routes(services ...micro.Description) (out []string) {
	for _, d := range services {
		for _, h := range d.Handlers {
			out = append(out, h.Route)
		}
	}
	return out
}

// nearestRoutes gives up to three of the routes that are near a pattern. What
// all object patterns have in common ({"cmd":) makes them no nearer.
func nearestRoutes(pattern micro.Pattern, routes []string) []string {
	words := make([]string, len(routes))
	byWord := map[string]string{}
	for i, route := range routes {
		words[i] = essence(route)
		byWord[words[i]] = route
	}
	near := nearest.Words(essence(pattern.Route()), words, 3)
	for i, word := range near {
		near[i] = byWord[word]
	}
	return near
}

// essence is a route without the braces, quotes and keys of an object.
func essence(route string) string {
	var fields map[string]any
	if !strings.HasPrefix(route, "{") || json.Unmarshal([]byte(route), &fields) != nil {
		return route
	}
	var values []string
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		values = append(values, fmt.Sprint(fields[key]))
	}
	return strings.Join(values, " ")
}

func listNames(targets []target) string {
	names := make([]string, len(targets))
	for i, t := range targets {
		names[i] = t.name()
	}
	return strings.Join(names, " or ")
}

// firstError is the first service's reason not to answer, in a person's words.
func firstError(answers []answer) error {
	for _, a := range answers {
		if a.err != nil {
			return explain(a.err, a.target)
		}
	}
	return errors.New("none of them handles anything")
}
