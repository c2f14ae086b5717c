package target

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

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/nearest"
	"github.com/msctl/msctl/internal/workspace"
	"github.com/msctl/msctl/runtime/micro"
)

// describeTimeout bounds the question what a service handles, which is asked
// beside the message that matters.
const DescribeTimeout = time.Second

// resolve finds the target of a message: --to, or in a workspace the service
// that says it handles the pattern, or the default.
func (f *Flags) Resolve(ctx context.Context, pattern micro.Pattern) (Target, error) {
	if f.To != "" {
		return f.Parse(ctx, f.To)
	}
	w, err := workspace.Current()
	if err != nil {
		return Target{}, err
	}
	if w == nil {
		return f.Parse(ctx, Default)
	}
	targets, err := f.MessageTargets(ctx, w)
	switch {
	case err != nil:
		return Target{}, exit.WithHint(err, "%s", cmp.Or(exit.Hint(err), "name a target with --to"))
	case len(targets) == 1:
		return targets[0], nil
	}
	return choose(f.survey(ctx, targets), w.Name, pattern)
}

// messageTargets are the services of a workspace that take messages. It is a usage
// error when there is none.
func (f *Flags) MessageTargets(ctx context.Context, w *workspace.Workspace) ([]Target, error) {
	services := slices.DeleteFunc(slices.Clone(w.Services), func(s *workspace.Service) bool { return s.Kind == workspace.KindGateway })
	if len(services) == 0 {
		return nil, exit.Usagef("the workspace %s has no service that takes messages", w.Name)
	}
	where := f.findPlaces(ctx, w, services...)
	targets := make([]Target, len(services))
	for i, s := range services {
		var err error
		if targets[i], err = where.target(s); err != nil {
			return nil, err
		}
	}
	return targets, nil
}

// answer is what a service said when it was asked what it handles.
type Answer struct {
	Target      Target
	Description micro.Description
	Err         error
}

// survey asks the services, all at once, what they handle.
func (f *Flags) survey(ctx context.Context, targets []Target) []Answer {
	answers := make([]Answer, len(targets))
	var wg sync.WaitGroup
	for i, t := range targets {
		wg.Go(func() {
			d, err := f.Describe(ctx, t, DescribeTimeout)
			answers[i] = Answer{t, d, err}
		})
	}
	wg.Wait()
	return answers
}

// describe asks a target what it handles.
func (f *Flags) Describe(ctx context.Context, t Target, timeout time.Duration) (micro.Description, error) {
	var none micro.Description
	conn, err := f.Dial(t, Limits{})
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
func (f *Flags) DescribeAll(ctx context.Context, t Target, timeout time.Duration) ([]micro.Description, error) {
	if !t.Shared() || t.Service != "" {
		d, err := f.Describe(ctx, t, timeout)
		return []micro.Description{d}, err
	}
	conn, err := f.Dial(t, Limits{})
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
func (t Target) describePattern() micro.Pattern {
	if t.Service != "" && t.Shared() {
		return micro.DescribeOf(t.Service)
	}
	return micro.DescribePattern
}

// shared reports whether all services of the broker are at the one address, told
// apart by patterns alone.
func (t Target) Shared() bool { return t.Broker != nil && t.Broker.Kind != RabbitMQ }

// choose picks the one service that handles the pattern. Services that run but
// cannot say what they handle (NestJS) are taken when no other one does, and so is
// one that may run, because behind Redis or NATS nobody can tell.
func choose(answers []Answer, workspaceName string, pattern micro.Pattern) (Target, error) {
	var claims, silent []Target
	var known []string
	for _, a := range answers {
		switch {
		case a.Err == nil && slices.ContainsFunc(a.Description.Handlers, handles(pattern)):
			claims = append(claims, a.Target)
		case errors.Is(a.Err, micro.ErrNoHandler), a.Target.foreign && a.Target.Shared() && errors.Is(a.Err, micro.ErrNotServed):
			silent = append(silent, a.Target)
		}
		known = append(known, Routes(a.Description)...)
	}
	if len(claims) == 0 {
		claims = silent
	}
	claims = distinct(claims)
	switch {
	case len(claims) == 1:
		return claims[0], nil
	case len(claims) > 1:
		return Target{}, exit.Usagef("%s may go to %s: choose with --to", pattern, listNames(claims))
	case len(known) == 0:
		err := fmt.Errorf("no service of the workspace %s could be asked who handles %s: %w", workspaceName, pattern, firstError(answers))
		return Target{}, exit.WithHint(exit.WithCode(err, exit.Code(firstError(answers))), "start the services with `msctl run`")
	}
	err := exit.Usagef("no running service of the workspace %s handles %s", workspaceName, pattern)
	if near := NearestRoutes(pattern, known); len(near) > 0 {
		return Target{}, exit.WithHint(err, "did you mean %s?", strings.Join(near, " or "))
	}
	return Target{}, exit.WithHint(err, "`msctl ls` lists what is handled")
}

// distinct leaves out of the targets those that are the same place: a message for
// one of them is one for all.
func distinct(targets []Target) []Target {
	var list []Target
	for _, t := range targets {
		i := slices.IndexFunc(list, func(other Target) bool { return other.String() == t.String() })
		switch {
		case i < 0:
			list = append(list, t)
		case list[i].Service != t.Service:
			list[i].Service = "" // it is for both of them
		}
	}
	return list
}

func handles(pattern micro.Pattern) func(micro.HandlerInfo) bool {
	return func(h micro.HandlerInfo) bool { return h.Route == pattern.Route() }
}

// routes lists the routes that services handle.
func Routes(services ...micro.Description) (out []string) {
	for _, d := range services {
		for _, h := range d.Handlers {
			out = append(out, h.Route)
		}
	}
	return out
}

// nearestRoutes gives up to three of the routes that are near a pattern. What
// all object patterns have in common ({"cmd":) makes them no nearer.
func NearestRoutes(pattern micro.Pattern, routes []string) []string {
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

func listNames(targets []Target) string {
	names := make([]string, len(targets))
	for i, t := range targets {
		names[i] = t.Name()
	}
	return strings.Join(names, " or ")
}

// firstError is the first service's reason not to answer, in a person's words.
func firstError(answers []Answer) error {
	for _, a := range answers {
		if a.Err != nil {
			return Explain(a.Err, a.Target)
		}
	}
	return errors.New("none of them handles anything")
}
