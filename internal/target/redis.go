package target

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"log/slog"
	"strconv"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microredis"
)

const schemeRedisUnix = "redis+unix"

func redis() transport {
	return transport{
		kind: Redis,
		schemes: []Scheme{
			{Name: "redis", Sample: "redis://host", port: "6379"},
			{Name: "rediss", Sample: "rediss://host", port: "6379", tls: true},
			{Name: schemeRedisUnix, Sample: "redis+unix:///path", socket: true},
			{Name: "redis+sentinel", Sample: "redis+sentinel://host/master", port: "26379", master: true},
			{Name: "rediss+sentinel", Sample: "rediss+sentinel://host/master", port: "26379", master: true, tls: true},
		},
		environment:  "REDIS_URL",
		parameters:   map[string]parameterType{"wildcards": boolParameter},
		shared:       true,
		singleServer: true,
		parse:        parseBroker,
		readPath:     readDatabase,
		path:         databasePath,
		serverPath:   databasePath,
		place:        func(_ Target, p micro.Pattern) string { return "channel " + p.Route() },
		dial:         dialRedis,
		listen:       listenRedis,
		explain:      explainBroker,
		timeoutHint:  "a subscriber need not be a service: is one with a handler running? If it is, increase --timeout",
	}
}

func readDatabase(b *Broker, path string) error {
	if n, err := strconv.Atoi(path); path != "" && (err != nil || n < 0) {
		return fmt.Errorf("invalid database %q: must be a number", path)
	}
	b.DB = path
	return nil
}

func databasePath(b *Broker) string {
	path := ""
	if b.Master != "" {
		path = "/" + b.Master
	}
	if b.DB != "" {
		path += "/" + b.DB
	}
	return path
}

func dialRedis(t Target, config *tls.Config, o DialOptions) micro.Conn {
	opts := []microredis.DialOption{microredis.WithControl(o.Control)}
	if !o.Wait {
		opts = append(opts, microredis.WithDialTimeout(ProbeTimeout))
	}
	if config != nil {
		opts = append(opts, microredis.WithTLS(config))
	}
	c := microredis.Dial(t.dialURLs(), opts...)
	c.SetLogger(cmp.Or(o.Log, slog.New(slog.DiscardHandler)))
	return c
}

func listenRedis(t Target, config *tls.Config) Listener {
	var opts []microredis.ListenOption
	if config != nil {
		opts = append(opts, microredis.WithTLS(config))
	}
	if t.Broker.Parameters.Flag("wildcards") {
		opts = append(opts, microredis.WithWildcards())
	}
	return microredis.Listen(t.dialURLs(), opts...)
}
