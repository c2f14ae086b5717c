package doctor

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/msctl/msctl/internal/tap"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/runtime/micro"
	record "github.com/msctl/msctl/runtime/tap"
)

// timeouts reports services that wait for a reply longer than their own callers do: no caller needs what they
// receive late.
func timeouts(ctx context.Context, e *exam) {
	made := e.sourceChains(ctx, func(outer, inner chainStep) {
		if outer.timeout > 0 && inner.timeout > outer.timeout {
			e.found(Finding{
				Code: "timeout-order", Where: outer.service + " → " + inner.service,
				Evidence: []string{
					fmt.Sprintf("%s waits up to %s for %s (%s)", outer.service, term.Duration(outer.timeout), inner.handler.pattern, outer.at),
					fmt.Sprintf("its handler waits up to %s for another service (%s)", term.Duration(inner.timeout), inner.at),
				},
				Cause: timeoutCause,
				Fix:   fmt.Sprintf("set the timeout in %s to less than %s", inner.at, term.Duration(outer.timeout)),
			})
		}
	})
	if e.Recording == nil && made {
		return
	}
	r := e.needRecording()
	if r == nil {
		return
	}
	seen := false
	for _, sent := range r.spans {
		if sent.Kind != record.Send {
			continue
		}
		for _, h := range r.handled(sent) {
			for _, next := range r.sends(h) {
				seen = true
				e.compareTimeouts(sent, h, next)
			}
		}
	}
	if !seen {
		e.skip("", "no recorded request caused another one")
		return
	}
	e.checked()
}

const timeoutCause = "a service waits longer than its caller: after the caller has given up, it still waits and works for a reply that no caller needs"

// slack is how much longer than its caller's a wait must be: the caller's clock starts a moment earlier.
const slack = 50 * time.Millisecond

// compareTimeouts compares the limits of a request with those of a request that its handler makes. A limit is known from
// the metadata, or by having passed.
func (e *exam) compareTimeouts(sent, h, next *tap.Message) {
	outer, inner := limitOf(sent), limitOf(next)
	if outer == 0 || inner == 0 {
		return
	}
	// The rest of the caller's time counts, unless the clocks differ.
	passed := time.Duration(next.Start - h.Start)
	if passed < 0 || inner+passed <= outer+slack {
		return
	}
	e.found(Finding{
		Code: "timeout-order", Where: fmt.Sprintf("%s → %s → %s", sent.Service, h.Service, next.Pattern),
		Evidence: []string{
			fmt.Sprintf("%s waits up to %s for %s (%s)", sent.Service, term.Duration(outer), sent.Pattern, e.Recording.trace(sent)),
			fmt.Sprintf("to reply, %s waits up to %s for %s", h.Service, term.Duration(inner), next.Pattern),
		},
		Cause: timeoutCause,
		Fix:   fmt.Sprintf("give %s in %s a timeout of less than %s, or pass the deadline on (clients of msctl do so by themselves)", next.Pattern, h.Service, term.Duration(outer)),
	})
}

// limitOf returns how long a sender waits for a reply; 0 if that is not known.
func limitOf(m *tap.Message) time.Duration {
	if ms, err := strconv.ParseFloat(m.Metadata[micro.MetaTimeout], 64); err == nil && ms > 0 && ms < 1e9 {
		return time.Duration(ms * float64(time.Millisecond))
	}
	if m.Outcome == record.TimedOut {
		return time.Duration(m.Took)
	}
	return 0
}

// retries reports retries at several levels of a chain, which multiply.
func retries(ctx context.Context, e *exam) {
	made := e.sourceChains(ctx, func(outer, inner chainStep) {
		if outer.attempts > 1 && inner.attempts > 1 {
			e.found(Finding{
				Code: "retries-multiply", Where: outer.service + " → " + inner.service,
				Evidence: []string{
					fmt.Sprintf("%s sends %s up to %d times (%s)", outer.service, inner.handler.pattern, outer.attempts, outer.at),
					fmt.Sprintf("its handler sends its own request up to %d times (%s)", inner.attempts, inner.at),
				},
				Cause: fmt.Sprintf(retryCause, outer.attempts*inner.attempts),
				Fix:   "retry at one level only, next to the caller or next to the service that fails, and limit the rate of retries with a budget",
			})
		}
	})
	if e.Recording == nil && made {
		return
	}
	r := e.needRecording()
	if r == nil {
		return
	}
	e.checked()
	for _, call := range r.calls() {
		e.multiplied(r, call)
	}
}

const retryCause = "retries at several levels multiply: when the last service fails, one request becomes up to %d, just when it has no capacity"

// call is all attempts of one request.
type call []*tap.Message

// calls groups the attempts of requests.
func (r *Recording) calls() (list []call) {
	index := map[string]int{}
	for _, m := range r.spans {
		if m.Kind != record.Send {
			continue
		}
		key := m.Span
		if m.Call != "" {
			key = m.Service + " " + m.Trace + " " + m.Call
		}
		i, ok := index[key]
		if !ok {
			i = len(list)
			index[key] = i
			list = append(list, nil)
		}
		list[i] = append(list[i], m)
	}
	return list
}

// attempts returns how often a call was sent, as far as that was recorded.
func (c call) attempts() int {
	n := len(c)
	for _, m := range c {
		n = max(n, m.Attempt)
	}
	return n
}

// multiplied reports a call with several attempts whose receivers also made several.
func (e *exam) multiplied(r *Recording, outer call) {
	if outer.attempts() < 2 {
		return
	}
	first := outer[0]
	for _, sent := range outer {
		for _, h := range r.handled(sent) {
			own := &Recording{spans: r.sends(h)}
			for _, inner := range own.calls() {
				if inner.attempts() < 2 {
					continue
				}
				total := r.reached(outer, inner[0].Pattern)
				e.found(Finding{
					Code: "retries-multiply", Where: fmt.Sprintf("%s → %s → %s", first.Service, h.Service, inner[0].Pattern),
					Evidence: []string{
						fmt.Sprintf("%s sent %s %d times (%s)", first.Service, first.Pattern, outer.attempts(), r.trace(first)),
						fmt.Sprintf("for one of these, %s sent %s %d times", h.Service, inner[0].Pattern, inner.attempts()),
						fmt.Sprintf("together, %s was sent %d times for one request", inner[0].Pattern, total),
					},
					Cause: fmt.Sprintf(retryCause, outer.attempts()*inner.attempts()),
					Fix:   "retry at one level only, next to the caller or next to the service that fails, and limit the rate of retries with a budget",
				})
				return
			}
		}
	}
}

// reached counts how often a pattern was sent by the receivers of a call.
func (r *Recording) reached(outer call, pattern string) (n int) {
	for _, sent := range outer {
		for _, h := range r.handled(sent) {
			for _, next := range r.sends(h) {
				if next.Pattern == pattern {
					n++
				}
			}
		}
	}
	return n
}

// chainStep is a function in the sources that sends one request, with its limits.
type chainStep struct {
	service  string
	at       string
	timeout  time.Duration // 0 if none is known
	attempts int
	handler  sourceHandler // what the request reaches, or the handler that makes it
}

// sourceChains calls pair for each request of the sources and the request that its handler makes in the same function. It
// reports whether there was a pair, or false if nothing is known from sources.
func (e *exam) sourceChains(ctx context.Context, pair func(outer, inner chainStep)) (made bool) {
	for _, caller := range e.all() {
		from := e.source(ctx, caller.Name)
		if from == nil {
			continue
		}
		for _, s := range from.sends {
			outer, ok := from.step(s)
			if !s.known || s.event || !ok {
				continue
			}
			for _, receiver := range e.all() {
				to := e.source(ctx, receiver.Name)
				if to == nil {
					continue
				}
				for _, inner := range to.stepsOf(s.route) {
					made = true
					e.checked()
					pair(outer, inner)
				}
			}
		}
	}
	return made
}

// step returns the limits of a send. ok is false if the function sends more than one message, so that it is not clear
// which limits are whose.
func (r *serviceSources) step(s sourceSend) (chainStep, bool) {
	inFunction := func(other sourceSend) bool { return other.in == s.in && other.at != s.at }
	if slices.ContainsFunc(r.sends, inFunction) {
		return chainStep{}, false
	}
	step := chainStep{service: r.name, at: s.at, attempts: 1}
	for _, p := range r.pipes {
		switch {
		case p.in != s.in:
		case p.name == "timeout":
			step.timeout, step.at = time.Duration(p.value)*time.Millisecond, p.at
		case p.name == "retry":
			step.attempts = 1 + int(min(p.value, 1000))
		}
	}
	return step, true
}

// stepsOf returns the sends in the methods that handle a route.
func (r *serviceSources) stepsOf(route string) (list []chainStep) {
	for _, h := range r.handlers {
		if h.route != route {
			continue
		}
		for _, s := range r.sends {
			if s.event || s.in != h.File+" "+h.Class+"."+h.Method {
				continue
			}
			if step, ok := r.step(s); ok {
				step.handler = h
				list = append(list, step)
			}
		}
	}
	return list
}
