package cli

import (
	"context"
	"crypto/tls"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/micronats"
	"github.com/msctl/msctl/runtime/microrabbit"
	"github.com/msctl/msctl/runtime/microredis"
)

// brokerListener is a listener that can be waited for.
type brokerListener interface {
	micro.Listener
	Ready(context.Context) error
}

// listen makes the listener of a server behind a broker. Errors are usage errors.
func (f *targetFlags) listen(t target) (brokerListener, error) {
	var config *tls.Config
	if t.encrypted() {
		var err error
		if config, err = f.tlsConfig(); err != nil {
			return nil, err
		}
	}
	switch t.broker.kind {
	case rabbitMQ:
		return listenRabbit(t, config), nil
	case redisKV:
		return listenRedis(t, config), nil
	default:
		return listenNATS(t, config), nil
	}
}

func listenRabbit(t target, config *tls.Config) brokerListener {
	p := t.broker.params
	opts := []microrabbit.ListenOption{microrabbit.WithMaxConnectionAttempts(1)}
	for _, o := range rabbitOptions(p) {
		opts = append(opts, o)
	}
	if config != nil {
		opts = append(opts, microrabbit.WithTLS(config))
	}
	if p.flag("noAssert") {
		opts = append(opts, microrabbit.WithoutAssert())
	}
	if noAck := p.truth("noAck"); noAck != nil {
		opts = append(opts, microrabbit.WithNoAck(*noAck))
	}
	if p.isSet("prefetchCount") {
		opts = append(opts, microrabbit.WithPrefetch(p.number("prefetchCount"), p.flag("isGlobalPrefetchCount")))
	}
	if tag := p.text("consumerTag"); tag != "" {
		opts = append(opts, microrabbit.WithConsumerTag(tag))
	}
	return microrabbit.Listen(t.dialURLs(), t.broker.queue, opts...)
}

func listenRedis(t target, config *tls.Config) brokerListener {
	var opts []microredis.ListenOption
	if config != nil {
		opts = append(opts, microredis.WithTLS(config))
	}
	if t.broker.params.flag("wildcards") {
		opts = append(opts, microredis.WithWildcards())
	}
	return microredis.Listen(t.dialURLs(), opts...)
}

func listenNATS(t target, config *tls.Config) brokerListener {
	opts := []micronats.ListenOption{micronats.WithName("msctl mock")}
	if config != nil {
		opts = append(opts, micronats.WithTLS(config))
	}
	if group := t.broker.params.text("queue"); group != "" {
		opts = append(opts, micronats.WithQueue(group))
	}
	return micronats.Listen(t.dialURLs(), opts...)
}
