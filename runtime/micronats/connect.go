package micronats

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go"
)

// The connection's habits that are no options.
const (
	firstWait    = 50 * time.Millisecond // before the second attempt to reconnect
	pingInterval = 5 * time.Second       // a silent broker is lost after three of them
	writeTimeout = 5 * time.Second       // for the broker to take what is written
)

// events are what a connection tells its owner, one at a time and in order.
type events struct {
	lost     func(error)
	restored func(*nats.Conn)
	closed   func(error)
	problem  func(*nats.Subscription, error)
}

// connect makes a connection; keep is how many bytes it keeps while it
// reconnects, to send them then; negative is none.
func (s *settings) connect(to servers, keep int, on events) (*nats.Conn, error) {
	if to.err != nil {
		return nil, to.err
	}
	o := nats.GetDefaultOptions()
	o.Servers = to.urls
	o.Name = s.name
	o.Timeout = s.dialTimeout
	o.MaxReconnect = s.maxReconnects
	o.CustomReconnectDelayCB = s.delay
	o.IgnoreAuthErrorAbort = true
	o.PingInterval, o.MaxPingsOut = pingInterval, 2
	o.FlusherTimeout, o.ReconnectOnFlusherError = writeTimeout, true
	o.ReconnectBufSize = keep
	if s.tls != nil || to.tls {
		o.Secure, o.TLSConfig = true, s.tls.Clone()
	}
	o.DisconnectedErrCB = func(_ *nats.Conn, err error) { on.lost(err) }
	o.ReconnectedCB = func(nc *nats.Conn) { on.restored(nc) }
	o.ClosedCB = func(nc *nats.Conn) { on.closed(nc.LastError()) }
	o.AsyncErrorCB = func(_ *nats.Conn, sub *nats.Subscription, err error) { on.problem(sub, err) }
	nc, err := o.Connect()
	if err != nil {
		return nil, fmt.Errorf("connect to NATS at %s: %w", to.safe, err)
	}
	return nc, nil
}

// delay is the time before the next attempt after that many rounds over all
// servers: it doubles, up to the longest, and is jittered by half.
func (s *settings) delay(rounds int) time.Duration {
	d := min(firstWait<<min(max(rounds-1, 0), 16), s.reconnectWait)
	return d/2 + time.Duration(rand.Int64N(int64(d/2)+1)) //nolint:gosec // no secret
}

// final reports whether trying again is of no use: the broker does not know the
// user, or the address is none.
func final(err error) bool {
	return errors.Is(err, nats.ErrAuthorization)
}
