package cli

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
func dialBroker(t target, config *tls.Config, limits dialLimits) micro.Conn {
	limits.maxInFlight = cmp.Or(limits.maxInFlight, defaultInFlight)
	var conn micro.Conn
	switch t.broker.kind {
	case rabbitMQ:
		conn = dialRabbit(t, config, limits)
	case redisKV:
		conn = dialRedis(t, config, limits)
	case natsIO:
		conn = dialNATS(t, config, limits)
	}
	if limits.patient {
		return conn
	}
	return &knocker{Conn: conn, target: t}
}

// defaultInFlight is the transports' own bound.
const defaultInFlight = 65536

func dialRabbit(t target, config *tls.Config, limits dialLimits) micro.Conn {
	opts := []microrabbit.DialOption{microrabbit.WithMaxInFlight(limits.maxInFlight)}
	for _, o := range rabbitOptions(t.broker.params) {
		opts = append(opts, o)
	}
	if !t.broker.params.asserts() {
		opts = append(opts, microrabbit.WithoutAssert())
	}
	if config != nil {
		opts = append(opts, microrabbit.WithTLS(config))
	}
	if t.broker.params.flag("persistent") {
		opts = append(opts, microrabbit.WithPersistent())
	}
	if name := t.broker.params.text("replyQueue"); name != "" {
		opts = append(opts, microrabbit.WithReplyQueue(name))
	}
	return microrabbit.Dial(t.dialURLs(), t.broker.queue, opts...)
}

// rabbitOptions are the options of both sides.
func rabbitOptions(p params) []microrabbit.Option {
	opts := []microrabbit.Option{microrabbit.WithQueueOptions(microrabbit.QueueOptions{
		Durable: p.truth("durable"), Exclusive: p.flag("exclusive"), AutoDelete: p.flag("autoDelete"),
		MessageTTL: inMillis(p.number("messageTtl")), Expires: inMillis(p.number("expires")),
		MaxLength: p.number("maxLength"), MaxPriority: p.number("maxPriority"),
		DeadLetterExchange: p.text("deadLetterExchange"), DeadLetterRoutingKey: p.text("deadLetterRoutingKey"),
		Arguments: p.arguments(),
	})}
	if p.isSet("exchange") || p.isSet("exchangeType") {
		opts = append(opts, microrabbit.WithExchange(p.text("exchange"), p.text("exchangeType"), nil))
	}
	if p.flag("wildcards") {
		opts = append(opts, microrabbit.WithWildcards())
	}
	if key := p.text("routingKey"); key != "" {
		opts = append(opts, microrabbit.WithRoutingKey(key))
	}
	return opts
}

func inMillis(n int) time.Duration { return time.Duration(n) * time.Millisecond }

func dialRedis(t target, config *tls.Config, limits dialLimits) micro.Conn {
	opts := []microredis.DialOption{microredis.WithMaxInFlight(limits.maxInFlight), microredis.WithLogger(cmp.Or(limits.log, slog.New(slog.DiscardHandler)))}
	if config != nil {
		opts = append(opts, microredis.WithTLS(config))
	}
	return microredis.Dial(t.dialURLs(), opts...)
}

func dialNATS(t target, config *tls.Config, limits dialLimits) micro.Conn {
	opts := []micronats.DialOption{micronats.WithMaxInFlight(limits.maxInFlight), micronats.WithName("msctl")}
	if config != nil {
		opts = append(opts, micronats.WithTLS(config))
	}
	if prefix := t.broker.params.text("inboxPrefix"); prefix != "" {
		opts = append(opts, micronats.WithInboxPrefix(prefix))
	}
	return micronats.Dial(t.dialURLs(), opts...)
}

// knocker looks whether a broker is there before the first message goes to it:
// the transports wait for one that is not, and a person at a terminal wants to
// know. It is safe for use from many goroutines.
type knocker struct {
	micro.Conn
	target target
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
	err := knockAt(ctx, k.target.addresses)
	if err == nil {
		k.open.Store(true)
	}
	return err
}

// knockAt returns nil when one of the addresses takes connections. The error
// matches micro.ErrUnreachable otherwise, or is that of the ended context.
func knockAt(ctx context.Context, addresses []string) error {
	var errs []error
	for _, address := range addresses {
		conn, err := (&net.Dialer{Timeout: knockTimeout}).DialContext(ctx, "tcp", address)
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
