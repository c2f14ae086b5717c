package target

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microrabbit"
)

// Connect opens a connection to the first address of a target, with TLS if its scheme uses it. It
// sends no message. An error matches micro.ErrUnreachable, unless it is a usage error.
func (f *Flags) Connect(ctx context.Context, t Target) (net.Conn, error) {
	config, err := f.configFor(t)
	if err != nil {
		return nil, err
	}
	var d dialer = new(net.Dialer)
	if config != nil {
		d = &tls.Dialer{Config: config}
	}
	conn, err := d.DialContext(ctx, network(t.hostPort()), t.hostPort())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", micro.ErrUnreachable, err)
	}
	return conn, nil
}

// ParseBroker parses a TARGET as Parse does, but the address of RabbitMQ may lack the queue, and end with
// the host or with a vhost and a slash.
func (f *Flags) ParseBroker(ctx context.Context, text string) (Target, error) {
	name, rest, isURL := strings.Cut(text, "://")
	if transport, scheme, known := lookUp(name); isURL && known && transport.kind == RabbitMQ {
		return parseBroker(scheme, rest)
	}
	return f.Parse(ctx, text)
}

// Driver returns what the driver of a broker connects with: the addresses of its servers, which
// contain the password, and the TLS configuration, or nil without TLS.
func (f *Flags) Driver(t Target) (urls string, config *tls.Config, err error) {
	if config, err = f.configFor(t); err != nil {
		return "", nil, err
	}
	if prepare := t.transport().prepare; prepare != nil {
		err = prepare(t)
	}
	return t.dialURLs(), config, err
}

// Topology returns the queue and the exchange of RabbitMQ as the options of the address describe them.
func (t Target) Topology() microrabbit.Topology { return rabbitTopology(t.Broker.Parameters) }

// WithOptions returns the target of a broker with other options: those of an address after the ?.
func (t Target) WithOptions(query string) (Target, error) {
	b := *t.Broker
	t.Broker = &b
	var err error
	b.Parameters, err = t.transport().parseParameters(query)
	b.query = query
	return t, err
}

// Foreign reports whether the target is a service of the workspace that msctl does not build, such
// as one of NestJS.
func (t Target) Foreign() bool { return t.foreign }

// Local reports whether an address, host:port, is on this machine, as far as that is known without
// asking a name server.
func Local(address string) bool { return isLocal(address) }
