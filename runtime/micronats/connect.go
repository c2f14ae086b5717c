package micronats

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/msctl/msctl/runtime/micro"
)

// Settings of a connection that users cannot change.
const (
	firstWait    = 50 * time.Millisecond // the pause before the second attempt to reconnect
	pingInterval = 5 * time.Second       // a broker that answers none of three pings is lost
)

// events are the callbacks of a connection. They run one at a time and in order.
type events struct {
	lost     func(error)
	restored func()
	closed   func(error) // permanently, and not by Close
	problem  func(*nats.Subscription, error)
	failed   func(error) // an attempt to reconnect
}

// link is a connection that reconnects by itself until it is closed.
type link struct {
	*nats.Conn
	dialer     *dialer
	violations *violations
}

// refused flushes the connection, and returns what the broker has not permitted since mark.
func (l *link) refused(ctx context.Context, mark int) ([]violation, error) {
	if err := l.FlushWithContext(ctx); err != nil {
		return nil, err
	}
	return l.violations.since(ctx, l.Conn, mark)
}

// connect makes a connection, which is closed when ctx ends. While it reconnects, it buffers up
// to keep bytes of what is published and sends them afterward; a negative keep disables that.
func (s *settings) connect(ctx context.Context, to servers, keep int, beforeRead func(), on events) (link, error) {
	if to.err != nil {
		return link{}, to.err
	}
	login := s.credentials
	switch {
	case login.read == nil:
		login = to.credentials
	case to.login:
		return link{}, errTwoLogins
	}
	d := &dialer{ctx: ctx, timeout: s.dialTimeout, beforeRead: beforeRead}
	o := nats.GetDefaultOptions()
	o.Servers, o.Name = to.urls(), s.name
	o.CustomDialer, o.SkipHostLookup = d, true
	o.Timeout = s.dialTimeout
	o.MaxReconnect, o.CustomReconnectDelayCB = s.attempts, s.pause
	o.IgnoreAuthErrorAbort, o.NoCallbacksAfterClientClose = true, true
	o.PingInterval, o.MaxPingsOut = pingInterval, 2
	o.FlusherTimeout, o.ReconnectOnFlusherError = 0, true
	o.ReconnectBufSize = keep
	if err := login.apply(&o); err != nil {
		return link{}, connectError(to, err)
	}
	if s.tls != nil {
		o.Secure, o.TLSConfig = true, s.tls.Clone()
	}
	o.DisconnectedErrCB = func(_ *nats.Conn, err error) { on.lost(err) }
	o.ReconnectedCB = func(*nats.Conn) { on.restored() }
	o.ReconnectErrCB = func(_ *nats.Conn, err error) { on.failed(err) }
	o.ClosedCB = func(nc *nats.Conn) { on.closed(nc.LastError()) }
	violations := newViolations()
	o.AsyncErrorCB = func(_ *nats.Conn, sub *nats.Subscription, err error) {
		violations.add(err)
		on.problem(sub, err)
	}
	nc, err := o.Connect()
	if err == nil {
		return link{nc, d, violations}, nil
	}
	if cause := d.err.Load(); errors.Is(err, nats.ErrNoServers) && cause != nil {
		err = *cause // the driver does not report it
	}
	return link{}, connectError(to, err)
}

// connectError adds the addresses to the error of an attempt to connect.
func connectError(to servers, err error) error {
	if errors.Is(err, errCredentials) {
		return fmt.Errorf("%w: connect to NATS at %s: %w", micro.ErrRefused, to.safe, err)
	}
	if loginRefused(err) {
		return fmt.Errorf("%w: NATS at %s does not take the user's credentials: %w", micro.ErrRefused, to.safe, err)
	}
	return fmt.Errorf("%w: connect to NATS at %s: %w", micro.ErrUnreachable, to.safe, err)
}

// pause returns how long to wait before the next attempt, after that many rounds over all
// servers. It doubles with each round, up to s.delay, and up to half of it is random.
func (s *settings) pause(rounds int) time.Duration {
	d := max(min(firstWait<<min(max(rounds-1, 0), 16), s.delay), time.Millisecond)
	return d/2 + rand.N(d/2+1)
}

// loginRefused reports whether the broker rejected the credentials, or whether they cannot be
// used at all.
func loginRefused(err error) bool {
	return errors.Is(err, errCredentials) || errors.Is(err, nats.ErrNkeysNotSupported) || errors.Is(err, nats.ErrAuthorization) || errors.Is(err, nats.ErrAuthExpired) ||
		errors.Is(err, nats.ErrAuthRevoked) || errors.Is(err, nats.ErrAccountAuthExpired)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
