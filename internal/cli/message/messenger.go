package message

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/jq"
	"github.com/msctl/msctl/internal/shorthand"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/term/visible"
	"github.com/msctl/msctl/runtime/micro"
)

// messenger sends messages with one pattern to one target and prints the replies. It
// must not be used concurrently.
type messenger struct {
	io      *term.IO
	o       sendOptions
	target  target.Target
	filters filters
	client  *micro.Client // over conn
	// attempts counts the attempts of the last message.
	attempts int
	// trace observes the current message.
	trace *trace
}

// filters are the expressions of --jq and --expect; each may be nil.
type filters struct{ jq, expect *jq.Expression }

func (o *sendOptions) filters() (f filters, err error) {
	if f.jq, err = jq.Compile("--jq", o.jq); err != nil {
		return f, err
	}
	f.expect, err = jq.Compile("--expect", o.expect)
	return f, err
}

// apply returns the values to print for a value: without --jq, the value itself.
func (f filters) apply(raw json.RawMessage) ([]json.RawMessage, error) {
	if f.jq == nil {
		return []json.RawMessage{raw}, nil
	}
	return f.jq.Apply(raw)
}

// check returns an error if the expression of --expect does not hold. A reply without a
// value counts as null.
func (f filters) check(raw json.RawMessage) error {
	if f.expect == nil {
		return nil
	}
	holds, err := f.expect.Holds(raw)
	if err != nil || holds {
		return err
	}
	return fmt.Errorf("--expect %q is not true for %s", f.expect, shorthand.Abbreviate(visible.Line(string(visible.JSON(raw)))))
}

// maxLine limits a line of --each, in bytes.
const maxLine = 64 << 20

// each sends one message for each line of standard input. It reports a failure and
// continues with the next line, unless further messages would be pointless.
func (m *messenger) each(ctx context.Context) error {
	var first error
	lines := bufio.NewScanner(m.io.In)
	lines.Buffer(nil, maxLine)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" {
			continue
		}
		err := m.line(ctx, text)
		if err == nil {
			continue
		}
		err = fmt.Errorf("line %d: %w", n, err)
		if m.ends(ctx, err) {
			return m.last(first, err)
		}
		first = m.later(first, err)
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read standard input: %w", err)
	}
	return exit.Said(first)
}

func (m *messenger) line(ctx context.Context, text string) error {
	m.io.Secrets().LearnText(text)
	data, err := shorthand.ParseJSON("the data", text)
	if err != nil {
		return err
	}
	return m.once(ctx, data)
}

// repeat sends the message as often as --repeat and --watch require.
func (m *messenger) repeat(ctx context.Context) error {
	times := m.o.repeat
	if times == 1 && m.o.watch == 0 {
		return m.once(ctx, m.o.data)
	}
	forever := m.o.watch > 0 && times == 1
	var first error
	for n := 1; forever || n <= times; n++ {
		if n > 1 {
			if err := pause(ctx, m.o.watch); err != nil {
				return err
			}
		}
		err := m.once(ctx, m.o.data)
		if err == nil {
			continue
		}
		if m.o.watch == 0 && m.ends(ctx, err) || ctx.Err() != nil || errors.Is(err, errPrint) {
			return m.last(first, err)
		}
		first = m.later(first, err)
	}
	return exit.Said(first)
}

// ends reports whether an error makes further messages pointless.
func (m *messenger) ends(ctx context.Context, err error) bool {
	code := exit.Code(err)
	return ctx.Err() != nil || code == exit.Usage || code == exit.Unreachable || errors.Is(err, errPrint)
}

// last returns the error that ends the messages: the first one if that cannot be printed
// anymore, since its exit code counts.
func (m *messenger) last(first, err error) error {
	if first != nil && errors.Is(err, errPrint) {
		return exit.Said(first)
	}
	return err
}

// later reports an error at once and keeps the first one for the exit code.
func (m *messenger) later(first, err error) error {
	exit.Report(m.io, err)
	if first != nil {
		return first
	}
	return err
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// errPrint is returned when standard output is closed.
var errPrint = errors.New("print the reply")

// once sends one message and prints its reply.
func (m *messenger) once(ctx context.Context, data json.RawMessage) error {
	trace := &trace{io: m.io, verbose: m.o.verbose, start: time.Now(), place: m.target.Place(m.o.pattern), strays: &strays{}}
	if m.o.event && m.trace != nil {
		trace.strays = m.trace.strays
	}
	m.trace = trace
	req := &micro.Request{Pattern: m.o.pattern, Data: data, Event: m.o.event, Metadata: m.o.metadata.Clone(), Trace: trace.micro()}
	if m.o.isRaw {
		req.Data, req.Raw = m.o.body, true
	}
	var unexpected error
	sending, cancel := context.WithCancel(ctx)
	defer cancel()
	if m.isTCPEvent() {
		trace.strayed = cancel // a peer that is no service will not confirm the event
	}
	err := m.client.Do(sending, req, micro.ReplyFunc(func(v micro.Value) error {
		if v.Undefined() {
			return nil
		}
		trace.value()
		return m.print(v.Raw, &unexpected)
	}))
	trace.summary(m.o.event, err)
	if err != nil && m.isTCPEvent() {
		return m.unconfirmed(ctx, err)
	}
	if err != nil {
		return m.counted(m.explain(ctx, err))
	}
	if trace.values == 0 && !m.o.event {
		return m.filters.check(json.RawMessage("null"))
	}
	return unexpected
}

// isTCPEvent reports whether the message is an event over TCP, which has no broker to confirm it.
func (m *messenger) isTCPEvent() bool { return m.o.event && m.target.Kind() == target.TCP }

// unconfirmed rewrites the error of an event that has been sent over TCP, where a service confirms
// each event. It returns nil, after a warning, if the peer may be a service that is busy.
func (m *messenger) unconfirmed(ctx context.Context, err error) error {
	sent := errors.Is(err, micro.ErrConnectionLost) || errors.Is(err, micro.ErrTimeout) && !errors.Is(err, micro.ErrUnreachable)
	switch {
	case ctx.Err() == nil && m.trace.strayData() != nil:
		return m.target.ExplainEvent(m.trace.strayData())
	case ctx.Err() != nil || !sent:
		return m.counted(m.explain(ctx, err))
	}
	if wrong := m.target.ExplainUnconfirmed(ctx, err); wrong != nil {
		return wrong
	}
	m.io.Notef("%s %s has not confirmed that it reads messages within %v: it is busy, or no service", m.io.ErrPalette().Warn("warning:"), m.target.Name(), m.o.policy.Timeout)
	return nil
}

// showHeaders is an interceptor that lets the trace print the headers of each attempt.
func (m *messenger) showHeaders(next micro.Handler) micro.Handler {
	return func(ctx context.Context, req *micro.Request, reply micro.Reply) error {
		m.trace.request = req
		return next(ctx, req, reply)
	}
}

// print prints one value of a reply. It stores the first failure of --expect in
// unexpected, so that the rest of the reply is still printed.
func (m *messenger) print(raw json.RawMessage, unexpected *error) error {
	values, err := m.filters.apply(raw)
	if err != nil {
		return err
	}
	for _, v := range values {
		if err := m.io.PrintJSON(m.o.style, v); err != nil {
			return fmt.Errorf("%w: %w", errPrint, err)
		}
	}
	if *unexpected == nil {
		*unexpected = m.filters.check(raw)
	}
	return nil
}

// explain rewrites the error of a call for the user.
func (m *messenger) explain(ctx context.Context, err error) error {
	var remote *micro.Error
	switch {
	case ctx.Err() != nil && errors.Is(err, context.Cause(ctx)):
		return context.Cause(ctx) // during the delay before a retry, the error wraps that of the last attempt, too
	case errors.Is(err, micro.ErrNoHandler):
		return m.withHandlers(ctx, exit.WithText(err, fmt.Sprintf("%s has no handler for %s", m.target.Name(), m.o.pattern)))
	case errors.Is(err, micro.ErrNotServed) && m.target.Shared():
		return m.unserved(ctx, err)
	case errors.Is(err, micro.ErrTimeout) && m.target.Shared() && !target.Replied(err):
		return m.unanswered(ctx, err)
	case errors.As(err, &remote) && remote.Remote():
		text := m.target.Name() + " returned an error: " + visible.Line(remote.Error())
		if payload := strings.TrimSpace(string(remote.Payload)); strings.HasPrefix(payload, "{") || strings.HasPrefix(payload, "[") {
			text += "\n" + visible.Line(string(visible.JSON([]byte(payload))))
		}
		return exit.WithText(err, text)
	}
	explained := m.o.target.Diagnose(ctx, err, m.target, m.trace.strayData())
	if target.Replied(err) && !m.o.verbose && exit.Code(explained) != exit.Unreachable {
		return exit.WithHint(explained, "%s; -v shows what arrived", exit.Hint(explained))
	}
	return explained
}

// counted adds the number of attempts to an error, if there was more than one.
func (m *messenger) counted(err error) error {
	if m.attempts < 2 {
		return err
	}
	first, rest, more := strings.Cut(err.Error(), "\n")
	text := fmt.Sprintf("%s (%d attempts)", first, m.attempts)
	if more {
		text += "\n" + rest
	}
	return exit.WithText(err, text)
}

// unserved explains that no service has subscribed to the message. The service may
// still be running, without a handler for it.
func (m *messenger) unserved(ctx context.Context, err error) error {
	text := fmt.Sprintf("no service at %s handles %s", m.target.Where(), m.o.pattern)
	if known, _ := m.o.target.Known(ctx, m.target); len(known) > 0 {
		return m.withHandlers(ctx, exit.WithText(err, text))
	}
	if m.target.Service != "" {
		text = m.target.Service + " is not running: " + text
	}
	return exit.WithHint(exit.WithText(err, text), "%s", m.target.StartHint(m.target.ServedHint()))
}

// unanswered explains that a message was delivered to a subscriber and got no reply. The
// subscriber need not be a service with a handler for it.
func (m *messenger) unanswered(ctx context.Context, err error) error {
	err = target.Explain(err, m.target)
	known, services := m.o.target.Known(ctx, m.target)
	switch {
	case services == 0:
		return err
	case slices.ContainsFunc(known, func(p micro.Pattern) bool { return p.Route() == m.o.pattern.Route() }):
		return exit.WithHint(err, "the handler is slow or never replies: increase --timeout")
	}
	return m.withHandlers(ctx, err)
}

// withHandlers adds to an error which pattern to send instead.
func (m *messenger) withHandlers(ctx context.Context, err error) error {
	if hint := m.o.target.HandlerHint(ctx, m.target, m.o.pattern, m.o.typed); hint != "" {
		return exit.WithHint(err, "%s", hint)
	}
	return err
}
