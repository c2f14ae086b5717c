package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/runtime/micro"
)

// reachability reports targets at which no service replies, and why.
func reachability(ctx context.Context, e *exam) {
	for _, o := range e.seen {
		switch {
		case o.replies > 0:
			e.checked()
			e.otherService(o)
		case o.err == nil:
		case o.target.Undescribed(o.err) && o.target.Shared() && (o.target.Foreign() || o.target.Service == ""):
			e.silentSubscribers(ctx, o)
		default:
			e.unreachable(ctx, o)
		}
	}
	for _, g := range e.Gateways {
		e.gateway(ctx, g)
	}
}

// silentSubscribers is for services of NestJS behind Redis and NATS, which receive only the messages
// that they handle: no question reaches them.
func (e *exam) silentSubscribers(ctx context.Context, o *observation) {
	if o.target.Kind() == target.Redis {
		if names := e.requestChannels(ctx, o); len(names) > 0 {
			e.channels(ctx, o, names)
			return
		}
	}
	reason := fmt.Sprintf("no service there describes itself, and %s delivers msctl's question only to services that handle it", o.target.Kind())
	e.skip(place(o.target), reason+" (NestJS services do not)")
}

// channels reports a service of NestJS whose channels have no subscriber.
func (e *exam) channels(ctx context.Context, o *observation, names []string) {
	counts, err := e.subscribers(ctx, o.target, names)
	if err != nil {
		e.skip(place(o.target), "cannot count the subscribers of its channels: "+err.Error())
		return
	}
	e.checked()
	for _, n := range counts {
		if n > 0 {
			return
		}
	}
	e.found(Finding{
		Code: "not-running", Where: place(o.target),
		Evidence: []string{fmt.Sprintf("no subscriber for its %s, such as %s", term.Count(len(names), "channel"), names[0])},
		Cause:    o.target.Name() + " is not running, or uses another Redis",
		Fix:      o.target.StartHint(o.target.ServedHint()),
	})
}

// unreachable reports why there was no reply.
func (e *exam) unreachable(ctx context.Context, o *observation) {
	if exit.Code(o.err) == exit.Usage {
		e.skip(place(o.target), o.err.Error())
		return
	}
	if o.queue != nil && o.queue.stuck {
		e.checked()
		return // a check of its own reports it
	}
	f := Finding{Code: "no-reply", Where: place(o.target), Evidence: []string{fmt.Sprintf("asked %s, and got no reply: %s", question(o.target), cause(o.err))}}
	explained := target.WrongProtocol(ctx, o.err, o.target)
	switch {
	case explained != nil:
		f.Code = "wrong-protocol"
	case errors.Is(o.err, micro.ErrNotServed):
		f.Code = "not-running"
	case errors.Is(o.err, micro.ErrRefused):
		f.Code = "rejected"
	case errors.Is(o.err, micro.ErrUnreachable):
		f.Code = "not-running"
		if o.target.Broker != nil {
			f.Code = "broker-unreachable"
		}
	}
	if explained == nil {
		explained = e.Flags.Diagnose(ctx, o.err, o.target, nil)
	}
	f.Cause = explained.Error()
	f.Fix = orElse(advice(explained), "start the service, or correct the address")
	if o.target.Broker == nil && f.Code != "not-running" {
		f.Evidence = append(f.Evidence, e.holder(o.target.Addresses[0])...)
	}
	e.found(f)
}

// otherService reports an address of the workspace at which another service replies.
func (e *exam) otherService(o *observation) {
	if e.Workspace == nil || o.target.Service == "" || o.target.Broker != nil {
		return
	}
	for _, d := range o.services {
		other := e.Workspace.Service(d.Name)
		if d.Name == o.target.Service || other == nil {
			continue // the name of a server need not be that in msctl.yaml
		}
		f := Finding{
			Code: "wrong-service", Where: place(o.target),
			Evidence: append([]string{fmt.Sprintf("%s replied at %s", named(d), o.target.List())}, e.holder(o.target.Addresses[0])...),
			Cause:    fmt.Sprintf("the port of %s belongs to %s", o.target.Service, d.Name),
			Fix:      fmt.Sprintf("stop that program, or start %s with its port %d", d.Name, other.Port),
		}
		e.found(f)
	}
}

// maxPage limits how much of a gateway's reply is read.
const maxPage = 64 << 10

// gateway requests the health of a gateway. Every reply of a web server is good enough.
func (e *exam) gateway(ctx context.Context, t target.Target) {
	ctx, cancel := context.WithTimeout(ctx, e.Timeout)
	defer cancel()
	address := t.Addresses[0]
	if u, err := url.Parse(address); err == nil && strings.Trim(u.Path, "/") == "" {
		u.Path = "/health"
		address = u.String()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		e.skip(place(t), err.Error())
		return
	}
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // nothing secret is sent
	res, err := transport.RoundTrip(req)
	if err == nil {
		_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, maxPage))
		_ = res.Body.Close()
		e.checked()
		return
	}
	f := Finding{Code: "no-reply", Where: place(t), Evidence: []string{fmt.Sprintf("GET %s failed: %s", address, cause(err))}}
	failure := fmt.Errorf("%w: %w", micro.ErrUnreachable, err)
	inner, stop := context.WithTimeout(context.WithoutCancel(ctx), e.Timeout)
	defer stop()
	if wrong := target.WrongProtocol(inner, failure, t); wrong != nil {
		f.Code, f.Cause, f.Fix = "wrong-protocol", wrong.Error(), advice(wrong)
		f.Evidence = append(f.Evidence, e.holder(hostPort(t))...)
	} else {
		explained := target.Explain(failure, t)
		f.Cause, f.Fix = explained.Error(), advice(explained)
		if isRefused(err) {
			f.Code = "not-running"
		}
	}
	f.Fix = orElse(f.Fix, t.StartHint("start the gateway, or correct its port"))
	e.found(f)
}

// advice returns the hint of an error. Hints are written for commands with the flag --to.
func advice(err error) string {
	hint := strings.Replace(exit.Hint(err), "is it running? --to sets another address", "is it running, and is the address correct?", 1)
	hint = strings.Replace(hint, "--to sets another address", "is the address correct?", 1)
	return strings.ReplaceAll(hint, "--to ", "")
}

// cause returns the innermost reason of a network error.
func cause(err error) string {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err.Error()
	}
	return err.Error()
}

func isRefused(err error) bool { return strings.Contains(err.Error(), "refused") }

// hostPort returns the first address of a target as host:port.
func hostPort(t target.Target) string {
	_, rest, isURL := strings.Cut(t.Addresses[0], "://")
	if !isURL {
		return t.Addresses[0]
	}
	host, _, _ := strings.Cut(rest, "/")
	return host
}

// accepts reports whether something accepts connections at an address.
func accepts(ctx context.Context, address string, timeout time.Duration) error {
	conn, err := (&net.Dialer{Timeout: timeout}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}
