package target

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/micronats"
	"github.com/msctl/msctl/runtime/microrabbit"
	"github.com/msctl/msctl/runtime/microredis"
)

// dialBroker makes the connection to a broker.
func dialBroker(t Target, config *tls.Config, limits Limits) micro.Conn {
	limits.MaxInFlight = cmp.Or(limits.MaxInFlight, defaultInFlight)
	var conn micro.Conn
	switch t.Broker.Kind {
	case RabbitMQ:
		conn = dialRabbit(t, config, limits)
	case Redis:
		conn = dialRedis(t, config, limits)
	case NATS:
		conn = dialNATS(t, config, limits)
	}
	if limits.Patient {
		return conn
	}
	return &knocker{Conn: conn, target: t}
}

// defaultInFlight is the transports' own bound.
const defaultInFlight = 65536

func dialRabbit(t Target, config *tls.Config, limits Limits) micro.Conn {
	opts := []microrabbit.DialOption{microrabbit.WithMaxInFlight(limits.MaxInFlight)}
	for _, o := range rabbitOptions(t.Broker.Parameters) {
		opts = append(opts, o)
	}
	if !t.Broker.Parameters.Asserts() {
		opts = append(opts, microrabbit.WithoutAssert())
	}
	if config != nil {
		opts = append(opts, microrabbit.WithTLS(config))
	}
	if t.Broker.Parameters.Flag("persistent") {
		opts = append(opts, microrabbit.WithPersistent())
	}
	if name := t.Broker.Parameters.Text("replyQueue"); name != "" {
		opts = append(opts, microrabbit.WithReplyQueue(name))
	}
	return microrabbit.Dial(t.dialURLs(), t.Broker.Queue, opts...)
}

// rabbitOptions are the options of both sides.
func rabbitOptions(p Parameters) []microrabbit.Option {
	opts := []microrabbit.Option{microrabbit.WithQueueOptions(microrabbit.QueueOptions{
		Durable: p.Truth("durable"), Exclusive: p.Flag("exclusive"), AutoDelete: p.Flag("autoDelete"),
		MessageTTL: InMillis(p.Number("messageTtl")), Expires: InMillis(p.Number("expires")),
		MaxLength: p.Number("maxLength"), MaxPriority: p.Number("maxPriority"),
		DeadLetterExchange: p.Text("deadLetterExchange"), DeadLetterRoutingKey: p.Text("deadLetterRoutingKey"),
		Arguments: p.Arguments(),
	})}
	if p.IsSet("exchange") || p.IsSet("exchangeType") {
		opts = append(opts, microrabbit.WithExchange(p.Text("exchange"), p.Text("exchangeType"), nil))
	}
	if p.Flag("wildcards") {
		opts = append(opts, microrabbit.WithWildcards())
	}
	if key := p.Text("routingKey"); key != "" {
		opts = append(opts, microrabbit.WithRoutingKey(key))
	}
	return opts
}

func InMillis(n int) time.Duration { return time.Duration(n) * time.Millisecond }

func dialRedis(t Target, config *tls.Config, limits Limits) micro.Conn {
	opts := []microredis.DialOption{microredis.WithMaxInFlight(limits.MaxInFlight), microredis.WithLogger(cmp.Or(limits.Log, slog.New(slog.DiscardHandler)))}
	if config != nil {
		opts = append(opts, microredis.WithTLS(config))
	}
	return microredis.Dial(t.dialURLs(), opts...)
}

func dialNATS(t Target, config *tls.Config, limits Limits) micro.Conn {
	opts := []micronats.DialOption{micronats.WithMaxInFlight(limits.MaxInFlight), micronats.WithName("msctl")}
	if config != nil {
		opts = append(opts, micronats.WithTLS(config))
	}
	if prefix := t.Broker.Parameters.Text("inboxPrefix"); prefix != "" {
		opts = append(opts, micronats.WithInboxPrefix(prefix))
	}
	return micronats.Dial(t.dialURLs(), opts...)
}

// knocker looks whether a broker is there before the first message goes to it:
// the transports wait for one that is not, and a person at a terminal wants to
// know. It is safe for use from many goroutines.
type knocker struct {
	micro.Conn
	target Target
	open   atomic.Bool
}

// Exchange knocks, and then sends a request.
func (k *knocker) Exchange(ctx context.Context, req *micro.Request, reply micro.Reply) error {
	if err := k.knock(ctx, req.Deadline); err != nil {
		return err
	}
	return k.Conn.Exchange(ctx, req, reply)
}

// Publish knocks, and then sends an event.
func (k *knocker) Publish(ctx context.Context, req *micro.Request) error {
	if err := k.knock(ctx, req.Deadline); err != nil {
		return err
	}
	return k.Conn.Publish(ctx, req)
}

func (k *knocker) knock(ctx context.Context, deadline time.Time) error {
	if k.open.Load() {
		return nil
	}
	if !deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
	}
	err := Knock(ctx, k.target.Addresses)
	if err == nil {
		k.open.Store(true)
	}
	return err
}

// knockAt returns nil when one of the addresses takes connections. The error
// matches micro.ErrUnreachable otherwise, or is that of the ended context.
func Knock(ctx context.Context, addresses []string) error {
	var errs []error
	for _, address := range addresses {
		conn, err := (&net.Dialer{Timeout: KnockTimeout}).DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		errs = append(errs, err)
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return context.Cause(ctx)
	}
	return fmt.Errorf("%w: %w", micro.ErrUnreachable, errors.Join(errs...))
}

// knockTimeout bounds the check whether a target can be reached at all.
const KnockTimeout = 3 * time.Second
