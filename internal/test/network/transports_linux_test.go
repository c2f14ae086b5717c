package network

import (
	"crypto/tls"
	"strings"
	"testing"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/micronats"
	"github.com/msctl/msctl/runtime/microrabbit"
	"github.com/msctl/msctl/runtime/microredis"
	"github.com/msctl/msctl/runtime/microtcp"
)

// transport is how a service and its callers connect: to each other, or to a broker.
type transport struct {
	name   string
	broker func(testing.TB, ...string) *testenv.Broker // nil for none
	secure func(*testenv.Certificates) []string        // the lines with which the broker accepts only TLS
	full   []string                                    // the lines that limit the broker to places connections
	disk   string                                      // the size of a disk that it needs; "" for none
	keeps  bool                                        // the broker has an event when Emit returns, and keeps it until it was handled
	// listen and dial take host:port, or several, separated by commas. Without a configuration, there is no TLS.
	listen func(addresses string, config *tls.Config) micro.Listener
	dial   func(addresses string, config *tls.Config) micro.Conn
}

// places is the number of connections that fit when a limit is reached.
const places = 8

func transports() []transport {
	return []transport{
		{
			name: "tcp",
			listen: func(address string, config *tls.Config) micro.Listener {
				return microtcp.Listen(address, microtcp.WithTLS(config), microtcp.WithMaxConnections(places))
			},
			dial: func(addresses string, config *tls.Config) micro.Conn {
				return microtcp.Dial(addresses, microtcp.WithTLS(config))
			},
		},
		{
			name: "rabbitmq", keeps: true, broker: testenv.PrivateRabbitMQ, secure: (*testenv.Certificates).RabbitMQ, full: []string{"connection_max = 8"}, disk: "300m",
			listen: func(addresses string, config *tls.Config) micro.Listener {
				return microrabbit.Listen(urls(addresses, "amqp://guest:guest@", "amqps://guest:guest@", config), "network",
					microrabbit.WithTLS(config), microrabbit.WithAck(microrabbit.AckAfterHandling))
			},
			dial: func(addresses string, config *tls.Config) micro.Conn {
				return microrabbit.Dial(urls(addresses, "amqp://guest:guest@", "amqps://guest:guest@", config), "network", microrabbit.WithTLS(config))
			},
		},
		{
			name: "redis", broker: testenv.PrivateRedis, secure: (*testenv.Certificates).Redis, full: []string{"maxclients 8"}, disk: "1m",
			listen: func(addresses string, config *tls.Config) micro.Listener {
				return microredis.Listen(urls(addresses, "redis://", "rediss://", config), microredis.WithTLS(config))
			},
			dial: func(addresses string, config *tls.Config) micro.Conn {
				return microredis.Dial(urls(addresses, "redis://", "rediss://", config), microredis.WithTLS(config))
			},
		},
		{
			name: "nats", broker: testenv.PrivateNATS, secure: (*testenv.Certificates).NATS, full: []string{"max_connections: 8"},
			listen: func(addresses string, config *tls.Config) micro.Listener {
				return micronats.Listen(urls(addresses, "nats://", "tls://", config), micronats.WithTLS(config))
			},
			dial: func(addresses string, config *tls.Config) micro.Conn {
				return micronats.Dial(urls(addresses, "nats://", "tls://", config), micronats.WithTLS(config))
			},
		},
	}
}

// urls puts a prefix before each address: secure if there is a configuration.
func urls(addresses, plain, secure string, config *tls.Config) string {
	if config != nil {
		plain = secure
	}
	return plain + strings.ReplaceAll(addresses, ",", ","+plain)
}
