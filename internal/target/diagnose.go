package target

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/workspace"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
)

// Diagnose rewrites the error of a message for the user, like [Explain]. Where the error
// has more than one possible cause, it also looks at what the peer has sent (seen) and, if
// that is not enough, at what listens at the address, so that its hint names the cause.
func (f *Flags) Diagnose(ctx context.Context, err error, t Target, seen []byte) error {
	explained := Explain(err, t)
	if found, ok := recognize(seen); ok {
		found.tls = found.tls || t.Encrypted() // it came through TLS
		return cmp.Or(t.mismatch(err, found), explained)
	}
	if !unclear(err, t) && !(errors.Is(err, micro.ErrBadReply) && seen == nil) {
		return explained
	}
	if wrong := WrongProtocol(ctx, err, t); wrong != nil {
		return wrong
	}
	switch {
	case refused(err):
		return nothingListens(ctx, explained, t)
	case errors.Is(err, micro.ErrTimeout) && t.Kind() == TCP:
		return f.silent(ctx, explained, t)
	}
	return explained
}

// errNoService is the error of an event whose receiver is no service.
var errNoService = fmt.Errorf("%w: it is not a service", micro.ErrUnreachable)

// ExplainEvent returns the error of an event after which the peer has sent data that is no
// reply (seen): services send nothing then. It returns nil if a service might have sent it.
func (t Target) ExplainEvent(seen []byte) error {
	if found, ok := recognize(seen); ok {
		found.tls = found.tls || t.Encrypted() // it came through TLS
		return t.mismatch(errNoService, found)
	}
	const enough = 40
	text := fmt.Sprintf("%s is no service: after the event, it sent %q", t.hostPort(), seen[:min(len(seen), enough)])
	return exit.WithHint(exit.WithText(errNoService, text), "--to sets another address")
}

// ExplainUnconfirmed returns the error of an event after which the peer has neither sent data
// nor replied to a question to which every service replies; err is that of the question. It
// returns nil if the peer may be a service that is busy.
func (t Target) ExplainUnconfirmed(ctx context.Context, err error) error {
	if wrong := WrongProtocol(ctx, errNoService, t); wrong != nil {
		return wrong
	}
	if !errors.Is(err, micro.ErrConnectionLost) && !errors.Is(err, micro.ErrUnreachable) {
		return nil
	}
	text := t.Name() + " closed the connection after the event: it is no service, or is shutting down, and the event may be lost"
	return exit.WithHint(exit.WithText(errNoService, text), "--to sets another address")
}

// unclear reports whether an error may have other causes than its text suggests.
func unclear(err error, t Target) bool {
	var remote *micro.Error
	var dns *net.DNSError
	var header tls.RecordHeaderError
	var large *microtcp.TooLargeError
	switch {
	case err == nil, len(t.Addresses) == 0, errors.As(err, &remote) && remote.Remote(), errors.As(err, &dns):
		return false
	case errors.As(err, &header):
		return true
	case errors.Is(err, micro.ErrNotServed), errors.Is(err, micro.ErrRefused), explainTLS(err, t) != nil:
		return false
	case Replied(err), errors.As(err, &large):
		return false
	case errors.Is(err, micro.ErrTimeout):
		return t.Broker == nil // with a broker, the message has been accepted
	}
	return errors.Is(err, micro.ErrUnreachable) || errors.Is(err, micro.ErrConnectionLost)
}

// WrongProtocol looks at what listens at an address. It returns the error for a peer that
// speaks another protocol than the target's, or nil if it does not, or if that cannot be
// found out.
func WrongProtocol(ctx context.Context, err error, t Target) error {
	found, ok, _ := identify(ctx, t.hostPort())
	if !ok {
		return nil
	}
	return t.mismatch(err, found)
}

// mismatch returns the error for a peer that speaks a protocol, or nil if it is that of
// the target.
func (t Target) mismatch(err error, found protocol) error {
	wanted := protocol{kind: t.Kind(), tls: t.Encrypted() || t.Kind() == HTTP && strings.HasPrefix(t.Addresses[0], "https:")}
	same := found.kind == wanted.kind || found.name == "" && found.tls
	if same && (found.tls == wanted.tls || found.tls && found.kind == NATS) { // NATS starts TLS if the server requires it
		return nil
	}
	address := t.hostPort()
	var text, hint string
	switch {
	case same && found.tls:
		text, hint = address+" requires TLS", "use "+t.addressFor(protocol{kind: t.Kind(), tls: true})
	case same:
		text, hint = address+" does not use TLS", "use "+t.addressFor(protocol{kind: t.Kind()})
	default:
		text = fmt.Sprintf("%s speaks %s, not %s", address, found, wanted)
		hint = t.otherProtocol(found)
	}
	return exit.WithHint(exit.WithCode(exit.WithText(err, text), exit.Unreachable), "%s", hint)
}

// String names a protocol.
func (p protocol) String() string {
	name := p.name
	for _, k := range protocols {
		if name == "" && k.kind == p.kind {
			name = k.name
		}
	}
	if p.tls {
		name += " over TLS"
	}
	return name
}

// otherProtocol returns what to do about a peer that speaks another protocol.
func (t Target) otherProtocol(found protocol) string {
	address := t.hostPort()
	if s := serviceAt(address); s != nil && s.Kind == workspace.KindGateway {
		hint := fmt.Sprintf("it is %s, the gateway of this workspace", s.Name)
		if names := messageServices(); names != "" {
			hint += ": send to a service, " + names
		}
		return hint
	}
	switch found.kind {
	case "":
		return "--to sets another address"
	case HTTP:
		return fmt.Sprintf("for messages, use the port of a service; `msctl bench --to %s` sends HTTP requests", t.addressFor(found))
	}
	return "use " + t.addressFor(found)
}

// addressFor returns the target's address for another protocol.
func (t Target) addressFor(p protocol) string {
	address := t.hostPort()
	scheme := map[bool]string{false: "http", true: "https"}[p.tls]
	for _, transport := range transports() {
		i := slices.IndexFunc(transport.schemes, func(s Scheme) bool { return s.tls == p.tls })
		if transport.kind == p.kind && i >= 0 && p.kind != HTTP {
			scheme = transport.schemes[i].Name
		}
	}
	path := ""
	switch {
	case IsSocket(address) && p.kind == Redis && !p.tls:
		return schemeRedisUnix + "://" + address
	case IsSocket(address) && p.kind == TCP:
		return map[bool]string{false: schemeUnix, true: schemeUnixTLS}[p.tls] + "://" + address
	case p.kind == t.Kind() && t.Broker != nil:
		own := t
		own.Scheme = scheme
		return own.String()
	case p.kind == t.Kind() && p.kind == HTTP:
		_, rest, _ := strings.Cut(t.Addresses[0], "://")
		return scheme + "://" + rest
	case p.kind == RabbitMQ:
		path = "/QUEUE"
	case p.kind == HTTP:
		path = "/"
	}
	return scheme + "://" + address + path
}

// hostPort returns the first address of the target, as host:port.
func (t Target) hostPort() string {
	if t.Kind() != HTTP {
		return t.Addresses[0]
	}
	u, err := url.Parse(t.Addresses[0])
	switch {
	case err != nil:
		return ""
	case u.Port() == "" && u.Scheme == "https":
		return net.JoinHostPort(u.Hostname(), "443")
	case u.Port() == "":
		return net.JoinHostPort(u.Hostname(), "80")
	}
	return u.Host
}

// refused reports whether nothing listens at an address.
func refused(err error) bool {
	return errors.Is(err, micro.ErrUnreachable) && strings.Contains(err.Error(), "refused")
}

// nothingListens adds which services of the workspace there are instead to the error of
// an address at which nothing listens.
func nothingListens(ctx context.Context, err error, t Target) error {
	if t.Service != "" || t.Broker != nil {
		return err
	}
	w, failure := workspace.Current()
	if failure != nil || w == nil {
		return err
	}
	address := t.hostPort()
	if s := serviceAt(address); s != nil {
		return exit.WithHint(err, "it is the address of %s: start it with `msctl run %s`", s.Name, s.Name)
	}
	if names := listening(ctx, w); len(names) > 0 {
		return exit.WithHint(err, "nothing listens there; these services do: %s", strings.Join(names, ", "))
	}
	return exit.WithHint(err, "nothing listens there, and no service of workspace %s is running: `msctl run` starts them", w.Name)
}

// serviceAt returns the service of the workspace that has an address; nil for none.
func serviceAt(address string) *workspace.Service {
	w, err := workspace.Current()
	if err != nil || w == nil {
		return nil
	}
	for _, s := range w.Services {
		if s.Port != 0 && samePlace(s.Addr(), address) {
			return s
		}
	}
	return nil
}

// samePlace reports whether two addresses are the same. All names of this machine are.
func samePlace(a, b string) bool {
	_, portA, errA := net.SplitHostPort(a)
	_, portB, errB := net.SplitHostPort(b)
	return a == b || errA == nil && errB == nil && portA == portB && isLocal(a) && isLocal(b)
}

// messageServices lists the services of the workspace that handle messages, as flags.
func messageServices() string {
	w, err := workspace.Current()
	if err != nil || w == nil {
		return ""
	}
	var names []string
	for _, s := range w.Services {
		if s.Kind != workspace.KindGateway {
			names = append(names, "--to "+s.Name)
		}
	}
	return strings.Join(names, " or ")
}

// listening lists the services of the workspace at whose addresses something listens.
func listening(ctx context.Context, w *workspace.Workspace) []string {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	found := make([]string, len(w.Services))
	var wg sync.WaitGroup
	for i, s := range w.Services {
		if s.Kind == workspace.KindGateway || s.Transport.Broker() {
			continue
		}
		wg.Go(func() {
			if Probe(ctx, []string{s.Addr()}) == nil {
				found[i] = fmt.Sprintf("%s (--to %s)", s.Addr(), s.Name)
			}
		})
	}
	wg.Wait()
	return slices.DeleteFunc(found, func(text string) bool { return text == "" })
}

// silent adds to the error of a request that timed out whether the service replies to
// other messages.
func (f *Flags) silent(ctx context.Context, err error, t Target) error {
	start := time.Now()
	_, failure := f.Describe(ctx, t, DescribeTimeout)
	var remote *micro.Error
	switch {
	case failure == nil, errors.As(failure, &remote) && remote.Remote():
		took := time.Since(start).Round(time.Millisecond)
		return exit.WithHint(err, "it replied to another message within %s, so the handler is slow or never replies: increase --timeout", max(took, time.Millisecond))
	case errors.Is(failure, micro.ErrTimeout):
		return exit.WithHint(err, "it accepts connections, but does not reply to other messages either: is it stalled, or not a NestJS service?")
	}
	return err
}

// explainTLS explains why the two sides of a connection do not trust each other. It
// returns nil for other errors.
func explainTLS(err error, t Target) error {
	var (
		unknown x509.UnknownAuthorityError
		name    x509.HostnameError
		invalid x509.CertificateInvalidError
	)
	alert, rejected := alertOf(err)
	flags := "--ca FILE trusts"
	if t.Scheme != "" && !t.Encrypted() {
		flags = "use " + t.addressFor(protocol{kind: t.Kind(), tls: true}) + " with --ca FILE, which trusts"
	}
	where := "the certificate of " + t.Name()
	switch {
	case errors.As(err, &unknown):
		return exit.WithHint(exit.WithText(err, where+" is signed by an unknown authority"), "%s that authority; --insecure accepts any certificate", flags)
	case errors.As(err, &name):
		text := fmt.Sprintf("%s is not for %s", where, name.Host)
		return exit.WithHint(exit.WithText(err, text), "it is for %s: use that name in the address", namesOf(name.Certificate))
	case errors.As(err, &invalid):
		return exit.WithHint(exit.WithText(err, where+" is not valid: "+invalid.Error()), "renew it; --insecure accepts it")
	case rejected:
		return exit.WithHint(exit.WithText(err, t.Name()+" rejected the TLS handshake: "+alert),
			"if it requires a client certificate, set one with --cert and --key")
	}
	return nil
}

// alertOf returns the text of the alert with which a peer rejected a TLS handshake.
func alertOf(err error) (text string, ok bool) {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" {
		return "", false
	}
	return op.Err.Error(), true
}

// namesOf lists the names that a certificate is for.
func namesOf(c *x509.Certificate) string {
	names := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		return "no host"
	}
	return strings.Join(names, ", ")
}
