package doctor

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/workspace"
	"github.com/msctl/msctl/runtime/micro"
)

// mixedHandlers reports queues of RabbitMQ whose consumers have different handlers: the broker gives them
// the messages in turn, whatever they handle.
func mixedHandlers(ctx context.Context, e *exam) {
	e.sameQueue(ctx)
	for _, o := range e.seen {
		switch {
		case o.target.Kind() != target.RabbitMQ || o.target.Broker.Queue == "":
		case o.queueErr != nil:
			e.skip(place(o.target), "cannot look at the queue: "+o.queueErr.Error())
		case o.replies == 0:
			if o.queue.consumers > 0 {
				e.skip(place(o.target), "its consumers do not reply")
			}
		default:
			e.mixed(ctx, o)
		}
	}
}

// kinds groups the replies of a queue's consumers: one text for each set of handlers.
func (o *observation) kinds() (list []string) {
	var sets [][]string
	for _, d := range o.services {
		own := routes(d)
		if !slices.ContainsFunc(sets, func(s []string) bool { return slices.Equal(s, own) }) {
			sets = append(sets, own)
			list = append(list, fmt.Sprintf("%s replied: it handles %s", named(d), short(own)))
		}
	}
	if o.undescribed > 0 {
		list = append(list, fmt.Sprintf("%d of %d questions were answered by a service that does not describe itself, such as one of NestJS", o.undescribed, o.replies))
	}
	return list
}

func short(routes []string) string {
	switch {
	case len(routes) == 0:
		return "nothing"
	case len(routes) > mostListed:
		return strings.Join(routes[:mostListed], ", ") + fmt.Sprintf(", and %d more", len(routes)-mostListed)
	}
	return strings.Join(routes, ", ")
}

func (e *exam) mixed(ctx context.Context, o *observation) {
	e.checked()
	kinds, first := o.kinds(), true
	again := func() bool {
		if !first {
			next := &observation{target: o.target}
			e.reobserve(ctx, next)
			kinds = next.kinds()
		}
		first = false
		return len(kinds) > 1
	}
	if !lasts(ctx, again) {
		return
	}
	e.found(mixedFinding(o.target, append([]string{fmt.Sprintf("queue %s has %s", o.target.Broker.Queue, term.Count(o.queue.consumers, "consumer"))}, kinds...)))
}

func (e *exam) reobserve(ctx context.Context, o *observation) {
	conn, err := e.Flags.Dial(o.target, target.DialOptions{})
	if err != nil {
		return
	}
	client := micro.NewClient(conn, micro.WithTimeout(e.Timeout), micro.WithLogger(slog.New(slog.DiscardHandler)))
	defer client.Close()
	e.observeQueue(ctx, client, o)
}

func mixedFinding(t target.Target, evidence []string) Finding {
	return Finding{
		Code: "mixed-handlers", Where: "queue " + t.Broker.Queue + " at " + t.Where(),
		Evidence: evidence,
		Cause:    "services with different handlers consume the same queue, and RabbitMQ gives them the messages in turn: with two of them, every other message reaches the one that has no handler for it",
		Fix:      "give each service a queue of its own; only instances of the same service may share one",
	}
}

// sameQueue reports services of the workspace that have the same queue.
func (e *exam) sameQueue(ctx context.Context) {
	for i, a := range e.all() {
		for _, b := range e.all()[i+1:] {
			if a.Transport != workspace.RabbitMQ || b.Transport != workspace.RabbitMQ || a.QueueName() != b.QueueName() {
				continue
			}
			t, ok := e.targetOf(a.Name)
			other, known := e.targetOf(b.Name)
			if !ok || !known || t.String() != other.String() {
				continue
			}
			evidence := []string{fmt.Sprintf("%s: services %s and %s have the same queue %s", workspace.FileName, a.Name, b.Name, a.QueueName())}
			for _, s := range []*workspace.Service{a, b} {
				if own := e.handlersOf(ctx, s.Name); len(own) > 0 {
					evidence = append(evidence, fmt.Sprintf("%s handles %s", s.Name, short(routesOf(own))))
				}
			}
			e.found(mixedFinding(t, evidence))
		}
	}
}

func (e *exam) targetOf(service string) (target.Target, bool) {
	i := slices.IndexFunc(e.Targets, func(t target.Target) bool { return t.Service == service })
	if i < 0 {
		return target.Target{}, false
	}
	return e.Targets[i], true
}
