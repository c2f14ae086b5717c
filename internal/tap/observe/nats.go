package observe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/micronats"
	"github.com/msctl/msctl/runtime/wire"
)

const natsEffect = `while this is running, NATS no longer reports "no responders": a request to a service that is not running fails at its timeout, rather than at once`

// everything is the subject that matches all others.
const everything = ">"

// The limits of what waits until it is read. Then NATS's driver drops messages, and counts them.
const (
	natsMessages = 64 << 10
	natsBytes    = 32 << 20
)

// natsSession receives the messages of a NATS server.
type natsSession struct {
	observer *Observer
	conn     *nats.Conn
	sub      *nats.Subscription
	inbox    string // what the subjects of replies begin with
	closed   chan struct{}
	dropped  int
}

func openNATS(ctx context.Context, b *Observer, f *target.Flags, t target.Target) (session, error) {
	urls, config, err := f.Driver(t)
	if err != nil {
		return nil, err
	}
	s := &natsSession{observer: b, inbox: "_INBOX.", closed: make(chan struct{})}
	if prefix := t.Broker.Parameters.Text("inboxPrefix"); prefix != "" {
		s.inbox = prefix + "."
	}
	d := &natsDialer{ctx: ctx}
	o, err := s.options(t, config, d)
	if err != nil {
		return nil, err
	}
	s.conn, err = nats.Connect(urls, o...)
	if err != nil {
		return nil, d.explain(t, err)
	}
	if err := s.subscribe(ctx, t); err != nil {
		s.conn.Close()
		return nil, err
	}
	return s, nil
}

func (s *natsSession) options(t target.Target, config *tls.Config, d *natsDialer) ([]nats.Option, error) {
	o := []nats.Option{
		nats.Name("msctl tap"), nats.NoReconnect(), nats.Timeout(target.ProbeTimeout), nats.SetCustomDialer(d),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}), // the default one prints
		nats.ClosedHandler(func(*nats.Conn) { close(s.closed) }),
		nats.PingInterval(10 * time.Second), nats.MaxPingsOutstanding(2),
	}
	if config != nil {
		o = append(o, nats.Secure(config))
	}
	if path := t.Broker.Parameters.Text("creds"); path != "" {
		o = append(o, nats.UserCredentials(path))
	}
	if path := t.Broker.Parameters.Text("nkey"); path != "" {
		key, err := nats.NkeyOptionFromSeed(path)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", micro.ErrRefused, err)
		}
		o = append(o, key)
	}
	return o, nil
}

// natsDialer keeps the reason why no server could be reached, which the driver does not report.
type natsDialer struct {
	ctx context.Context //nolint:containedctx // of the attempt to connect
	err atomic.Pointer[error]
}

// Dial implements nats.CustomDialer.
func (d *natsDialer) Dial(network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: target.ProbeTimeout}).DialContext(d.ctx, network, address)
	if err != nil {
		d.err.Store(&err)
	}
	return conn, err
}

// explain returns the error of an attempt to connect.
func (d *natsDialer) explain(t target.Target, err error) error {
	for _, refused := range []error{nats.ErrAuthorization, nats.ErrAuthExpired, nats.ErrAuthRevoked, nats.ErrAccountAuthExpired, nats.ErrNkeysNotSupported} {
		if errors.Is(err, refused) {
			return fmt.Errorf("%w: NATS at %s does not take the user's credentials: %w", micro.ErrRefused, t.Where(), err)
		}
	}
	if cause := d.err.Load(); cause != nil && errors.Is(err, nats.ErrNoServers) {
		err = *cause
	}
	return fmt.Errorf("%w: %w", micro.ErrUnreachable, err)
}

// subscribe subscribes to everything, and returns when the server has accepted that.
func (s *natsSession) subscribe(ctx context.Context, t target.Target) (err error) {
	if s.sub, err = s.conn.Subscribe(everything, s.receive); err != nil {
		return fmt.Errorf("%w: %w", micro.ErrUnreachable, err)
	}
	if err := s.sub.SetPendingLimits(natsMessages, natsBytes); err != nil {
		return fmt.Errorf("%w: %w", micro.ErrUnreachable, err)
	}
	if err := s.conn.FlushWithContext(ctx); err != nil {
		return fmt.Errorf("%w: %w", micro.ErrConnectionLost, err)
	}
	if errors.Is(s.conn.LastError(), nats.ErrPermissionViolation) {
		return &micronats.PermissionError{Server: t.Where(), Operation: "subscribe", Subjects: []string{everything}}
	}
	return nil
}

func (s *natsSession) serve(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if n, err := s.sub.Dropped(); err == nil && n > s.dropped {
				s.observer.table.drop(n - s.dropped)
				s.dropped = n
			}
		case <-s.closed:
			return s.conn.LastError()
		case <-ctx.Done():
			return nil
		}
	}
}

func (s *natsSession) close() {
	s.conn.Close()
	<-s.closed
}

// receive is called by the driver for each message, one at a time.
func (s *natsSession) receive(msg *nats.Msg) {
	now, table := time.Now(), s.observer.table
	p := parse(msg.Data)
	id := idOf(&p)
	switch {
	case isNotice(&p):
	case s.isReply(msg, &p):
		if len(msg.Data) > 0 { // a client has left a stream
			table.reply(&p, now, func() *sent { return s.sent(msg, &p).asReply() }, key{msg.Subject, id}, key{msg.Subject, ""})
		}
	case msg.Reply == "" || isMessage(&p) && p.ID == nil:
		table.event(s.sent(msg, &p), now)
	default:
		table.request(s.sent(msg, &p), now, key{msg.Reply, id}, key{msg.Reply, ""})
	}
}

// isReply reports whether a message is a reply: it was sent to where a request expects one, or to an inbox.
func (s *natsSession) isReply(msg *nats.Msg, p *wire.Packet) bool {
	return strings.HasPrefix(msg.Subject, s.inbox) || !isMessage(p) && s.observer.table.expects(key{msg.Subject, ""})
}

// sent describes a message.
func (s *natsSession) sent(msg *nats.Msg, p *wire.Packet) *sent {
	headers := make(map[string]string, len(msg.Header))
	for k, v := range msg.Header {
		if len(v) > 0 {
			headers[k] = v[0]
		}
	}
	return &sent{
		service: "nats", transport: "nats", pattern: addressed(msg.Subject, p.Pattern), id: p.ID, data: dataOf(p),
		metadata: metadataOf(p.Metadata, headers), hidden: strings.HasPrefix(msg.Subject, "$") || isReserved(msg.Subject),
	}
}
