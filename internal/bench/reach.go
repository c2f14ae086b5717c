package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/load/web"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/runtime/micro"
)

// resolve finds the target of each message and checks that it can be reached.
func (s *Spec) resolve(ctx context.Context) error {
	for _, m := range s.Messages {
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
		m.target = t
	}
	return s.reachAll(ctx)
}

// reachAll returns an error if an address cannot be reached. Whether the service
// there handles the message is not checked: the run measures that.
func (s *Spec) reachAll(ctx context.Context) error {
	for _, m := range s.Messages {
		for _, one := range m.target.Each() {
			if err := s.reach(ctx, one); errors.Is(err, micro.ErrUnreachable) {
				return target.Explain(err, one)
			}
		}
	}
	return context.Cause(ctx)
}

// reach connects to one address of a target.
func (s *Spec) reach(ctx context.Context, t target.Target) error {
	if t.Scheme != target.SchemeHTTP {
		_, err := s.Target.Describe(ctx, t, target.ProbeTimeout)
		if t.Shared() && errors.Is(err, micro.ErrNotServed) {
			return nil // the broker is there, and its services may not describe themselves
		}
		return err
	}
	u, err := url.Parse(t.Addresses[0])
	if err != nil {
		return exit.Usagef("--to: %w", err)
	}
	conn, err := (&net.Dialer{Timeout: target.ProbeTimeout}).DialContext(ctx, "tcp", web.HostPort(u))
	if err != nil {
		return fmt.Errorf("%w: %w", micro.ErrUnreachable, err)
	}
	return conn.Close()
}
