package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/web"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/runtime/micro"
)

// resolve finds the target of each message and checks that it can be reached.
func (s *Spec) resolve(ctx context.Context) error {
	for _, m := range s.Messages {
		if s.memory != nil {
			m.target = target.Target{Scheme: target.SchemeTCP, Addresses: []string{"memory:1"}}
			continue
		}
		flags := s.Target
		if m.To != "" {
			flags.To = m.To
		}
		t, err := flags.Resolve(ctx, m.route)
		if err != nil {
			return m.locate("to", err)
		}
		if err := m.accepts(t); err != nil {
			return err
		}
		if err := s.checkFaults(t); err != nil {
			return err
		}
		if s.guard.Target != nil {
			if err := s.guard.Target(ctx, t); err != nil {
				return err
			}
		}
		m.target = t
	}
	if s.memory != nil || s.Fleet != nil { // the agents check what they can reach
		return nil
	}
	return s.reachAll(target.WithControl(ctx, s.guard.Control))
}

// reachAll returns an error if an address cannot be reached, or speaks another protocol.
// Whether the service there handles the message is not checked: the run measures that.
func (s *Spec) reachAll(ctx context.Context) error {
	reached := map[string]bool{}
	for _, m := range s.Messages {
		for _, one := range m.target.Each() {
			if at := place(one); m.sent == nil || !reached[at] {
				reached[at] = true
			} else {
				continue
			}
			err := s.reach(ctx, one)
			switch {
			case errors.Is(err, micro.ErrUnreachable):
				return s.Target.Diagnose(ctx, err, one, nil)
			case errors.Is(err, micro.ErrConnectionLost), errors.Is(err, micro.ErrTimeout) && one.Kind() == target.TCP:
				if wrong := target.WrongProtocol(ctx, err, one); wrong != nil {
					return wrong
				}
			}
		}
	}
	return context.Cause(ctx)
}

// Hint returns what to do about a run in which no request succeeded and this was the most
// common outcome. It returns "" if that is not known.
func (s *Spec) Hint(ctx context.Context, outcome, text string) string {
	if len(s.Messages) != 1 {
		return ""
	}
	m := s.Messages[0]
	cause := map[string]error{
		load.Unreachable.String(): micro.ErrUnreachable, load.Reset.String(): micro.ErrConnectionLost, load.Timeout.String(): micro.ErrTimeout,
	}[outcome]
	switch {
	case strings.Contains(text, micro.ErrNoHandler.Error()), strings.Contains(text, micro.ErrNotServed.Error()):
		return s.Target.HandlerHint(ctx, m.target, m.route, m.Pattern)
	case cause == nil:
		return ""
	case strings.Contains(text, micro.ErrForbidden.Error()):
		cause, text = micro.ErrForbidden, strings.TrimPrefix(text, micro.ErrForbidden.Error()+": ")
	}
	err := fmt.Errorf("%w: %s", cause, text)
	if wrong := target.WrongProtocol(ctx, err, m.target); wrong != nil {
		return wrong.Error() + ": " + exit.Hint(wrong)
	}
	return exit.Hint(s.Target.Diagnose(ctx, err, m.target, nil))
}

// reach connects to one address of a target.
func (s *Spec) reach(ctx context.Context, t target.Target) error {
	if t.Scheme != target.SchemeHTTP {
		_, err := s.Target.Describe(ctx, t, target.ProbeTimeout)
		if t.Undescribed(err) || t.Subscribes() && errors.Is(err, micro.ErrForbidden) {
			return nil // the broker is there, and its services may not describe themselves, or not to this user
		}
		return err
	}
	u, err := url.Parse(origin(t.Addresses[0]))
	if err != nil {
		return exit.Usagef("--to: %w", err)
	}
	conn, err := (&net.Dialer{Timeout: target.ProbeTimeout, Control: s.guard.Control}).DialContext(ctx, "tcp", web.HostPort(u))
	if err != nil {
		return fmt.Errorf("%w: %w", micro.ErrUnreachable, err)
	}
	return conn.Close()
}
