package network

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
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
	full   func(testing.TB) []string                   // the lines that limit the broker to places connections
	disk   string                                      // the size of a disk that it needs; "" for none
	keeps  bool                                        // the broker has an event when Emit returns, and keeps each message until it was handled
	// listen and dial take host:port, or several, separated by commas. Without a configuration, there is no TLS. A limit of
	// connections applies to a service without a broker; 0 means none.
	listen func(addresses string, config *tls.Config, limit int) micro.Listener
	dial   func(addresses string, config *tls.Config) micro.Conn
}

// places is the number of connections that fit when a limit is reached.
const places = 8

func transports() []transport {
	return []transport{
		{
			name: "tcp",
			listen: func(address string, config *tls.Config, limit int) micro.Listener {
				opts := []microtcp.ListenOption{microtcp.WithTLS(config)}
				if limit > 0 {
					opts = append(opts, microtcp.WithMaxConnections(limit))
				}
				return microtcp.Listen(address, opts...)
			},
			dial: func(addresses string, config *tls.Config) micro.Conn {
				return microtcp.Dial(addresses, microtcp.WithTLS(config))
			},
		},
		{
			name: "rabbitmq", keeps: true, broker: testenv.PrivateRabbitMQ, secure: (*testenv.Certificates).RabbitMQ, full: limitOfRabbitMQ, disk: "300m",
			listen: func(addresses string, config *tls.Config, _ int) micro.Listener {
				return microrabbit.Listen(urls(addresses, "amqp://guest:guest@", "amqps://guest:guest@", config), "network",
					microrabbit.WithTLS(config), microrabbit.WithAck(microrabbit.AckAfterHandling))
			},
			dial: func(addresses string, config *tls.Config) micro.Conn {
				return microrabbit.Dial(urls(addresses, "amqp://guest:guest@", "amqps://guest:guest@", config), "network", microrabbit.WithTLS(config))
			},
		},
		{
			name: "redis", broker: testenv.PrivateRedis, secure: (*testenv.Certificates).Redis, full: lines("maxclients 8"), disk: "1m",
			listen: func(addresses string, config *tls.Config, _ int) micro.Listener {
				return microredis.Listen(urls(addresses, "redis://", "rediss://", config), microredis.WithTLS(config))
			},
			dial: func(addresses string, config *tls.Config) micro.Conn {
				return microredis.Dial(urls(addresses, "redis://", "rediss://", config), microredis.WithTLS(config))
			},
		},
		{
			name: "nats", broker: testenv.PrivateNATS, secure: (*testenv.Certificates).NATS, full: lines("max_connections: 8"),
			listen: func(addresses string, config *tls.Config, _ int) micro.Listener {
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

func lines(of ...string) func(testing.TB) []string {
	return func(testing.TB) []string { return of }
}

// limitOfRabbitMQ limits the connections of the virtual host. Definitions replace the default user, so they contain it.
func limitOfRabbitMQ(tb testing.TB) []string {
	tb.Helper()
	const salt = "salt"
	sum := sha256.Sum256([]byte(salt + "guest"))
	hash := base64.StdEncoding.EncodeToString(append([]byte(salt), sum[:]...))
	file := filepath.Join(tb.TempDir(), "definitions.json")
	definitions := fmt.Sprintf(`{"vhosts":[{"name":"/"}],
		"users":[{"name":"guest","password_hash":%q,"hashing_algorithm":"rabbit_password_hashing_sha256","tags":""}],
		"permissions":[{"user":"guest","vhost":"/","configure":".*","write":".*","read":".*"}],
		"parameters":[{"component":"vhost-limits","name":"limits","vhost":"/","value":{"max-connections":%d}}]}`, hash, places)
	if err := os.WriteFile(file, []byte(definitions), 0o600); err != nil {
		tb.Fatal(err)
	}
	return []string{"load_definitions = " + file}
}
