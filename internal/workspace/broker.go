package workspace

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/msctl/msctl/internal/secret"
)

// Variable returns the environment variable with the address of the transport's broker,
// for msctl and for the programs of a workspace: RABBITMQ_URL, REDIS_URL, or NATS_URL. It
// is "" without a broker.
func (t Transport) Variable() string {
	switch t {
	case RabbitMQ:
		return "RABBITMQ_URL"
	case Redis:
		return "REDIS_URL"
	case NATS:
		return "NATS_URL"
	}
	return ""
}

// Broker reports whether messages go through a broker.
func (t Transport) Broker() bool { return t.Variable() != "" }

// Title returns the name of the broker, as spelled in its documentation.
func (t Transport) Title() string {
	switch t {
	case RabbitMQ:
		return "RabbitMQ"
	case Redis:
		return "Redis"
	case NATS:
		return "NATS"
	}
	return strings.ToUpper(string(t))
}

// Brokers lists the transports with a broker.
func Brokers() []Transport { return []Transport{RabbitMQ, Redis, NATS} }

// DefaultBrokerURL returns the default address of a transport's broker: its default port
// on this machine. It is "" for TCP.
func DefaultBrokerURL(t Transport) string {
	switch t {
	case RabbitMQ:
		return "amqp://localhost:5672"
	case Redis:
		return "redis://localhost:6379"
	case NATS:
		return "nats://localhost:4222"
	}
	return ""
}

// BrokerURL returns the address of a transport's broker in the file: its `brokers`
// entry, or [DefaultBrokerURL]. It may contain a password; use [Redacted] to print it. The
// environment takes precedence: see [Workspace.Broker].
func (w *Workspace) BrokerURL(t Transport) string {
	if address := w.Brokers[t]; address != "" {
		return address
	}
	return DefaultBrokerURL(t)
}

// Broker returns the address of the broker of a service, and its source: "RABBITMQ_URL",
// "env of mail", "env", "brokers", or "" for the default. The first source with an address
// counts: the environment of msctl (getenv), the service's `env`, the workspace's `env`,
// `brokers`, the default. s may be nil.
func (w *Workspace) Broker(t Transport, s *Service, getenv func(string) string) (address, from string) {
	name := t.Variable()
	if name == "" {
		return "", ""
	}
	if value := getenv(name); value != "" {
		return value, name
	}
	if s != nil && s.Env[name] != "" {
		return w.withFiles(s.Env[name]), "env of " + s.Name
	}
	if value := w.Env[name]; value != "" {
		return w.withFiles(value), "env"
	}
	if value := w.Brokers[t]; value != "" {
		return w.withFiles(value), "brokers"
	}
	return DefaultBrokerURL(t), ""
}

// withFiles returns the address of a broker with absolute paths of the files of credentials that
// it names (?creds=FILE, ?nkey=FILE). Relative ones are relative to the workspace.
func (w *Workspace) withFiles(address string) string {
	server, query, found := strings.Cut(address, "?")
	options, err := url.ParseQuery(query)
	if !found || err != nil || w.Dir == "" {
		return address
	}
	changed := false
	for _, name := range []string{"creds", "nkey"} {
		if path := options.Get(name); path != "" && !filepath.IsAbs(path) && !strings.HasPrefix(path, "~/") {
			options.Set(name, filepath.Join(w.Dir, path))
			changed = true
		}
	}
	if !changed {
		return address
	}
	return server + "?" + options.Encode()
}

// SplitBrokerURL splits a comma-separated list of addresses. With NATS and Redis Sentinel,
// all but the first may omit the scheme.
func SplitBrokerURL(address string) []string {
	list := strings.Split(address, ",")
	scheme, _, isURL := strings.Cut(list[0], "://")
	for i, one := range list {
		list[i] = strings.TrimSpace(one)
		server, _, _ := strings.Cut(list[i], "?")
		nats := isURL && slices.Contains(natsSchemes, scheme) && !strings.ContainsAny(server, "/@")
		if nats || slices.Contains(sentinelSchemes, scheme) && !strings.Contains(server, "://") {
			list[i] = scheme + "://" + list[i]
		}
	}
	return list
}

var (
	natsSchemes     = []string{"nats", "tls", "nats+tls"}
	unixSchemes     = []string{"unix", "redis+unix"}
	sentinelSchemes = []string{"redis+sentinel", "rediss+sentinel"}
)

// CheckBrokerURL returns an error if the address of a broker is invalid. The error does
// not contain the password. RabbitMQ and NATS may have several addresses, separated by
// commas.
func CheckBrokerURL(t Transport, address string) error {
	schemes := map[Transport][]string{
		RabbitMQ: {"amqp", "amqps"}, Redis: slices.Concat([]string{"redis", "rediss"}, unixSchemes, sentinelSchemes), NATS: natsSchemes,
	}[t]
	list := SplitBrokerURL(address)
	scheme, _, _ := strings.Cut(address, "://")
	if t == Redis && len(list) > 1 && !slices.Contains(sentinelSchemes, scheme) {
		return errors.New("a Redis URL must have a single address")
	}
	for _, one := range list {
		u, err := url.Parse(one)
		if err != nil {
			return fmt.Errorf("invalid address: must be like %s (write an @ in a password as %%40)", DefaultBrokerURL(t))
		}
		if !slices.Contains(schemes, u.Scheme) || (u.Hostname() == "") != slices.Contains(unixSchemes, u.Scheme) {
			return fmt.Errorf("%s is not a %s address: must be like %s", Redacted(one), t.Title(), DefaultBrokerURL(t))
		}
		if port := u.Port(); port != "" {
			if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
				return fmt.Errorf("invalid port in %s: must be between 1 and 65535", Redacted(one))
			}
		}
	}
	return nil
}

// Redacted returns the address of a broker, or several separated by commas, without the
// password or the NATS token. An invalid URL is replaced entirely.
func Redacted(address string) string {
	list := SplitBrokerURL(address)
	for i, one := range list {
		u, err := url.Parse(one)
		if err != nil || u.Host == "" && u.Opaque != "" || u.Scheme == "" {
			return "(invalid URL)"
		}
		list[i] = secret.URL(one)
	}
	return strings.Join(list, ",")
}

// OnThisMachine reports whether all addresses of a broker are loopback addresses, by name
// or number. It does not resolve names.
func OnThisMachine(address string) bool {
	for _, one := range SplitBrokerURL(address) {
		u, err := url.Parse(one)
		if err != nil {
			return false
		}
		host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
		ip, err := netip.ParseAddr(host)
		if host != "localhost" && !strings.HasSuffix(host, ".localhost") && (err != nil || !ip.Unmap().IsLoopback()) {
			return false
		}
	}
	return true
}

// QueueName returns the RabbitMQ queue or the NATS queue group of a service: `queue`, or
// the name of the service. It is "" with TCP and Redis, which have none.
func (s *Service) QueueName() string {
	if s.Transport != RabbitMQ && s.Transport != NATS {
		return ""
	}
	if s.Queue != "" {
		return s.Queue
	}
	return s.Name
}
