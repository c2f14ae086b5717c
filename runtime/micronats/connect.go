package micronats

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/msctl/msctl/runtime/micro"
)

const (
	firstWait = 50 * time.Millisecond // the pause before the second attempt to reconnect
	maxPings  = 3                     // a broker that answers none of them is lost
	firstURL  = "nats://server-1:1"   // stands for all servers when the driver reconnects
)

// events are the callbacks of a connection. They run one at a time and in order.
type events struct {
	lost     func(error)
	again    func() // a connection was made in place of a lost one, and the driver is about to subscribe
	restored func()
	closed   func(error) // permanently, and not by Close
	problem  func(*nats.Subscription, error)
	failed   func(error) // an attempt to reconnect
	lameDuck func()      // the server will stop
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
func (s *settings) connect(ctx context.Context, to servers, keep int, beforeRead func(last time.Time), on events) (link, error) {
	if to.err != nil {
		return link{}, to.err
	}
	d := &dialer{ctx: ctx, cluster: to.cluster, timeout: s.dialTimeout, peer: s.peer, control: s.control, tls: s.tls, beforeRead: beforeRead, again: on.again}
	if d.tls == nil && to.cluster.secure() {
		d.tls = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	o, err := s.options(to, d)
	if err != nil {
		return link{}, err
	}
	o.ReconnectBufSize = keep
	violations := newViolations()
	s.report(o, to.cluster, violations, on)
	nc, err := o.Connect()
	if err == nil {
		to.cluster.learn(nc.DiscoveredServers())
		return link{nc, d, violations}, nil
	}
	if cause := d.err.Load(); cause != nil {
		err = *cause // the driver does not report it
	}
	return link{}, connectError(to, err)
}

// options returns the options of the driver. It gets a URL for each server, as it tries to log in
// as often as it has URLs; the dialer has the addresses.
func (s *settings) options(to servers, d *dialer) (*nats.Options, error) {
	login := s.credentials
	switch {
	case login.read == nil:
		login = to.credentials
	case to.login:
		return nil, errTwoLogins
	}
	o := nats.GetDefaultOptions()
	o.Servers, o.Name = []string{firstURL}, s.name
	for n := range to.cluster.configured[1:] {
		o.Servers = append(o.Servers, fmt.Sprintf("nats://server-%d:1", n+2))
	}
	o.CustomDialer, o.SkipHostLookup = d, true
	o.Secure = d.tls != nil
	o.Timeout = s.dialTimeout
	o.MaxReconnect = s.attempts
	o.IgnoreAuthErrorAbort, o.NoCallbacksAfterClientClose = true, true
	o.PingInterval, o.MaxPingsOut = max(s.peer, 0)/maxPings, maxPings-1
	o.FlusherTimeout, o.ReconnectOnFlusherError = 0, true
	if to.login {
		o.UserInfo, o.TokenHandler = d.user, d.token
	}
	if err := login.apply(&o); err != nil {
		return nil, connectError(to, err)
	}
	return &o, nil
}

// report makes the driver report what happens to its connections.
func (s *settings) report(o *nats.Options, known *cluster, violations *violations, on events) {
	var rounds atomic.Int64 // attempts to reconnect since the last connection
	o.ReconnectToServerCB = func(pool []nats.Server, _ nats.ServerInfo) (*nats.Server, time.Duration) {
		first := slices.IndexFunc(pool, func(server nats.Server) bool { return server.URL.String() == firstURL })
		if first < 0 {
			return nil, 0 // the driver has removed it after the last attempt of WithReconnect, and will close the connection
		}
		return &pool[first], s.pause(int(rounds.Add(1)))
	}
	o.ReconnectedCB = func(nc *nats.Conn) {
		rounds.Store(0)
		known.learn(nc.DiscoveredServers())
		on.restored()
	}
	o.DiscoveredServersCB = func(nc *nats.Conn) { known.learn(nc.DiscoveredServers()) }
	o.LameDuckModeHandler = func(nc *nats.Conn) {
		known.learn(nc.DiscoveredServers())
		on.lameDuck()
	}
	o.DisconnectedErrCB = func(_ *nats.Conn, err error) { on.lost(err) }
	o.ReconnectErrCB = func(_ *nats.Conn, err error) { on.failed(err) }
	o.ClosedCB = func(nc *nats.Conn) { on.closed(nc.LastError()) }
	o.AsyncErrorCB = func(_ *nats.Conn, sub *nats.Subscription, err error) {
		violations.add(err)
		on.problem(sub, err)
	}
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
