package doctor

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/msctl/msctl/internal/shorthand"
	"github.com/msctl/msctl/internal/tap"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/workspace"
	"github.com/msctl/msctl/runtime/micro"
	record "github.com/msctl/msctl/runtime/tap"
)

// handlersAndCallers reports patterns that are sent and have no handler, and handlers whose pattern nothing sends.
func handlersAndCallers(ctx context.Context, e *exam) {
	fromSources := e.unhandledInSources(ctx)
	if e.Recording != nil {
		e.unhandledInRecording(ctx)
		e.handledTwice()
	} else if !fromSources {
		e.needRecording()
	}
	e.withoutCaller(ctx)
}

// known returns the patterns of all handlers that are known. complete is set if no service may have others.
func (e *exam) known(ctx context.Context) (patterns []micro.Pattern, complete bool) {
	complete = true
	for _, o := range e.seen {
		if o.undescribed > 0 || o.replies == 0 {
			if s := e.source(ctx, o.target.Service); s == nil || s.computedHandlers > 0 {
				complete = false
			}
		}
		for _, d := range o.services {
			for _, h := range d.Handlers {
				if p, err := micro.ParsePattern(string(h.Pattern)); err == nil {
					patterns = append(patterns, p)
				}
			}
		}
		for _, h := range e.handlersOf(ctx, o.target.Service) {
			patterns = append(patterns, h.pattern)
		}
	}
	return patterns, complete
}

func handles(patterns []micro.Pattern, route string) bool {
	return slices.ContainsFunc(patterns, func(p micro.Pattern) bool { return p.Route() == route })
}

func nearText(p micro.Pattern, known []micro.Pattern) string {
	var words []string
	for _, near := range target.Nearest(p, known) {
		words = append(words, shorthand.Format(near))
	}
	return strings.Join(words, " or ")
}

// unhandledInSources compares what the sources of NestJS services send with all handlers. It reports whether
// it could compare anything.
func (e *exam) unhandledInSources(ctx context.Context) (made bool) {
	known, complete := e.known(ctx)
	for _, s := range e.all() {
		from := e.source(ctx, s.Name)
		if from == nil {
			continue
		}
		inside := complete && e.clientsInside(from)
		for _, sent := range from.sends {
			if !sent.known {
				continue
			}
			made = true
			e.checked()
			near := nearText(sent.pattern, known)
			// Without a handler of a similar name, it may be meant for a service outside of the workspace, or
			// be an event without a receiver.
			if handles(known, sent.route) || near == "" && (sent.event || !inside) {
				continue
			}
			e.found(noHandlerFinding(s.Name, sent.pattern, fmt.Sprintf("%s sends %s (%s)", s.Name, sent.pattern.JSON(), sent.at), near))
		}
		if from.computedSends > 0 {
			e.skip(s.Name, fmt.Sprintf("its sources do not determine %d of the patterns that it sends", from.computedSends))
		}
	}
	return made
}

func noHandlerFinding(service string, p micro.Pattern, evidence, near string) Finding {
	f := Finding{
		Code: "no-handler", Where: service,
		Evidence: []string{evidence, "no service handles it"},
		Cause:    "the pattern of the caller is not that of a handler: " + p.JSON(),
		Fix:      "add a handler for it, or correct the pattern; `msctl ls` lists the handlers",
	}
	if near != "" {
		f.Fix = "did you mean " + near + "? Otherwise, add a handler for it"
	}
	return f
}

// clientsInside reports whether all clients of a service are for services of the workspace.
func (e *exam) clientsInside(s *serviceSources) bool {
	some := false
	for _, end := range s.endpoints {
		if !end.client {
			continue
		}
		some = true
		if !slices.ContainsFunc(e.Workspace.Services, func(to *workspace.Service) bool {
			return end.transport == "TCP" && to.Port == end.port && to.Port != 0 || end.transport == "RMQ" && to.Transport == workspace.RabbitMQ && to.QueueName() == end.queue
		}) {
			return false
		}
	}
	return some
}

// unhandledInRecording reports the recorded requests for which their receiver had no handler. If it had one at other
// times, different services share a queue.
func (e *exam) unhandledInRecording(ctx context.Context) {
	type tally struct {
		none, ok int
		example  *tap.Message
	}
	byPattern := map[string]*tally{}
	for _, m := range e.Recording.spans {
		if m.Kind != record.Send || m.Open || strings.HasPrefix(m.Pattern, `"msctl.`) {
			continue
		}
		key := m.Service + "\x00" + m.Pattern
		t := byPattern[key]
		if t == nil {
			t = &tally{example: m}
			byPattern[key] = t
		}
		switch m.Outcome {
		case record.NoHandler:
			if t.none++; t.none == 1 {
				t.example = m
			}
		case record.OK, record.Failed:
			t.ok++
		}
	}
	e.checked()
	known, _ := e.known(ctx)
	for _, m := range e.Recording.spans { // services that are not in the workspace
		if p, err := micro.ParsePattern(m.Pattern); err == nil && m.Kind == record.Handle && m.Outcome != record.NoHandler {
			known = append(known, p)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(byPattern)) {
		t := byPattern[key]
		pattern, err := micro.ParsePattern(t.example.Pattern)
		switch {
		case t.none == 0 || err != nil:
		case t.ok > 0 && t.example.Transport == "rmq":
			e.found(Finding{
				Code: "mixed-handlers", Where: t.example.Service + " → " + t.example.Pattern,
				Evidence: []string{fmt.Sprintf("%[1]d requests: %[2]d reached a handler, and for %[3]d there was none (%[4]s)", t.ok+t.none, t.ok, t.none, e.Recording.trace(t.example))},
				Cause:    "services with different handlers consume the same queue, and RabbitMQ gives them the messages in turn",
				Fix:      "give each service a queue of its own; only instances of the same service may share one",
			})
		case t.ok == 0:
			others := slices.DeleteFunc(slices.Clone(known), func(p micro.Pattern) bool { return p.Route() == pattern.Route() })
			e.found(noHandlerFinding(t.example.Service, pattern,
				fmt.Sprintf("%s of %s for %s had no handler (%s)", term.Count(t.none, "request"), t.example.Service, t.example.Pattern, e.Recording.trace(t.example)), nearText(pattern, others)))
		}
	}
}

// handledTwice reports requests that several instances of one service have handled.
func (e *exam) handledTwice() {
	for _, m := range e.Recording.spans {
		if m.Kind != record.Send && m.Kind != record.Emit || m.Transport != "redis" && m.Transport != "nats" {
			continue
		}
		pids := map[string]map[int]bool{}
		for _, h := range e.Recording.handled(m) {
			if pids[h.Service] == nil {
				pids[h.Service] = map[int]bool{}
			}
			pids[h.Service][h.PID] = true
		}
		for service, instances := range pids {
			if len(instances) < 2 {
				continue
			}
			f := Finding{
				Code: "redis-replicas", Where: service,
				Evidence: []string{fmt.Sprintf("%d processes of %s handled one message, %s (%s)", len(instances), service, m.Pattern, e.Recording.trace(m))},
				Cause:    fmt.Sprintf("Redis passes every message to all subscribers, so each message is handled %d times", len(instances)),
				Fix:      "run one instance, or use RabbitMQ or NATS, which give each message to one instance",
			}
			if m.Transport == "nats" {
				f.Code = "no-queue-group"
				f.Cause = "the instances are in no queue group, so NATS passes every message to all of them: a request gets several replies"
				f.Fix = "set the same queue group in all instances: micronats.WithQueue(\"" + service + "\") in Go, options.queue in NestJS"
			}
			e.found(f)
		}
	}
}

// withoutCaller reports handlers that nothing in the workspace calls, if everything that the workspace sends is known.
func (e *exam) withoutCaller(ctx context.Context) {
	if len(e.all()) == 0 {
		return
	}
	var sent []string
	for _, s := range e.all() {
		from := e.source(ctx, s.Name)
		switch {
		case from == nil:
			e.skip("", fmt.Sprintf("handlers without a caller: what %s sends is not known, because it is not a NestJS application with sources", s.Name))
			return
		case len(from.sends) == 0 && slices.ContainsFunc(from.endpoints, func(end endpoint) bool { return end.client }):
			// Such as through a class of a library, whose files are elsewhere.
			e.skip("", fmt.Sprintf("handlers without a caller: the sources of %s do not show what its clients send", s.Name))
			return
		case from.computedSends > 0:
			e.skip("", fmt.Sprintf("handlers without a caller: the sources of %s do not determine all patterns that it sends", s.Name))
			return
		}
		for _, one := range from.sends {
			sent = append(sent, one.route)
		}
	}
	if len(sent) == 0 {
		e.skip("", "handlers without a caller: no service of the workspace sends a message")
		return
	}
	e.checked()
	for _, s := range e.all() {
		var unused []sourceHandler
		for _, h := range e.source(ctx, s.Name).handlers {
			if !slices.Contains(sent, h.route) {
				unused = append(unused, h)
			}
		}
		if len(unused) == 0 {
			continue
		}
		f := Finding{
			Code: "no-caller", Where: s.Name,
			Cause: "no service of the workspace sends these patterns, so the handlers are unused, or their callers use other patterns",
			Fix:   "correct the callers, or remove the handlers; if programs outside of the workspace call them, ignore this with --ignore no-caller",
		}
		for _, h := range unused[:min(len(unused), mostListed)] {
			f.Evidence = append(f.Evidence, fmt.Sprintf("%s has a handler for %s (%s), and nothing sends it", s.Name, h.pattern.JSON(), h.at))
		}
		if more := len(unused) - mostListed; more > 0 {
			f.Evidence = append(f.Evidence, fmt.Sprintf("nothing sends the patterns of %d more", more))
		}
		e.found(f)
	}
}
