package target

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
func (f *Flags) Listen(t Target) (brokerListener, error) {
	var config *tls.Config
	if t.Encrypted() {
		var err error
		if config, err = f.TLSConfig(); err != nil {
			return nil, err
		}
	}
	switch t.Broker.Kind {
	case RabbitMQ:
		return listenRabbit(t, config), nil
	case Redis:
		return listenRedis(t, config), nil
	default:
		return listenNATS(t, config), nil
	}
}

func listenRabbit(t Target, config *tls.Config) brokerListener {
	p := t.Broker.Parameters
	opts := []microrabbit.ListenOption{microrabbit.WithMaxConnectionAttempts(1)}
	for _, o := range rabbitOptions(p) {
		opts = append(opts, o)
	}
	if config != nil {
		opts = append(opts, microrabbit.WithTLS(config))
	}
	if p.Flag("noAssert") {
		opts = append(opts, microrabbit.WithoutAssert())
	}
	if noAck := p.Truth("noAck"); noAck != nil {
		opts = append(opts, microrabbit.WithNoAck(*noAck))
	}
	if p.IsSet("prefetchCount") {
		opts = append(opts, microrabbit.WithPrefetch(p.Number("prefetchCount"), p.Flag("isGlobalPrefetchCount")))
	}
	if tag := p.Text("consumerTag"); tag != "" {
		opts = append(opts, microrabbit.WithConsumerTag(tag))
	}
	return microrabbit.Listen(t.dialURLs(), t.Broker.Queue, opts...)
}

func listenRedis(t Target, config *tls.Config) brokerListener {
	var opts []microredis.ListenOption
	if config != nil {
		opts = append(opts, microredis.WithTLS(config))
	}
	if t.Broker.Parameters.Flag("wildcards") {
		opts = append(opts, microredis.WithWildcards())
	}
	return microredis.Listen(t.dialURLs(), opts...)
}

func listenNATS(t Target, config *tls.Config) brokerListener {
	opts := []micronats.ListenOption{micronats.WithName("msctl mock")}
	if config != nil {
		opts = append(opts, micronats.WithTLS(config))
	}
	if group := t.Broker.Parameters.Text("queue"); group != "" {
		opts = append(opts, micronats.WithQueue(group))
	}
	return micronats.Listen(t.dialURLs(), opts...)
}
