package workspace

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Variable is the environment variable with the address of the transport's
// broker, for msctl and for every program of a workspace: RABBITMQ_URL,
// REDIS_URL or NATS_URL. It is "" where there is no broker.
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

// Title is the broker's name as its makers write it: RabbitMQ, Redis, NATS.
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

// Brokers lists the transports that need a broker, in the order of their names
// here and in messages.
func Brokers() []Transport { return []Transport{RabbitMQ, Redis, NATS} }

// DefaultBrokerURL is where a transport's broker is looked for when nobody
// says: on this machine, at the port it usually has. It is "" for TCP.
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

// BrokerURL is where the workspace's broker of a transport is according to the
// file: its `brokers` entry, or [DefaultBrokerURL]. It may hold a password: show
// it with [Redacted]. The environment comes first: see [Workspace.Broker].
func (w *Workspace) BrokerURL(t Transport) string {
	if address := w.Brokers[t]; address != "" {
		return address
	}
	return DefaultBrokerURL(t)
}

// Broker is where a service's broker of a transport is, and what says so
// ("RABBITMQ_URL", "env of mail", "env", "brokers", or "" for the default). In
// this order: the environment of msctl, which getenv asks, the service's own
// `env`, that of the workspace, `brokers`, the default. s may be nil.
func (w *Workspace) Broker(t Transport, s *Service, getenv func(string) string) (address, from string) {
	name := t.Variable()
	if name == "" {
		return "", ""
	}
	if value := getenv(name); value != "" {
		return value, name
	}
	if s != nil && s.Env[name] != "" {
		return s.Env[name], "env of " + s.Name
	}
	if value := w.Env[name]; value != "" {
		return value, "env"
	}
	if value := w.Brokers[t]; value != "" {
		return value, "brokers"
	}
	return DefaultBrokerURL(t), ""
}

// SplitBrokerURL gives the addresses of a list with commas between them. As NATS
// allows, later ones may leave the scheme out.
func SplitBrokerURL(address string) []string {
	list := strings.Split(address, ",")
	scheme, _, isURL := strings.Cut(list[0], "://")
	for i, one := range list {
		list[i] = strings.TrimSpace(one)
		if isURL && slices.Contains(natsSchemes, scheme) && !strings.ContainsAny(list[i], "/@") {
			list[i] = scheme + "://" + list[i]
		}
	}
	return list
}

var natsSchemes = []string{"nats", "tls", "nats+tls"}

// CheckBrokerURL says what is wrong with a broker's address, or nil; the
// error never holds its password. RabbitMQ and NATS may have several
// addresses with commas between them.
func CheckBrokerURL(t Transport, address string) error {
	schemes := map[Transport][]string{RabbitMQ: {"amqp", "amqps"}, Redis: {"redis", "rediss"}, NATS: natsSchemes}[t]
	list := SplitBrokerURL(address)
	if t == Redis && len(list) > 1 {
		return errors.New("one address is enough for Redis")
	}
	for _, one := range list {
		u, err := url.Parse(one)
		if err != nil {
			return fmt.Errorf("%s is malformed: write it like %s, with %%40 for an @ in a password", Redacted(one), DefaultBrokerURL(t))
		}
		if !slices.Contains(schemes, u.Scheme) || u.Hostname() == "" {
			return fmt.Errorf("%s is no address of %s: write it like %s", Redacted(one), t.Title(), DefaultBrokerURL(t))
		}
		if port := u.Port(); port != "" {
			if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
				return fmt.Errorf("%s has a port that is none: use 1 to 65535", Redacted(one))
			}
		}
	}
	return nil
}

// Redacted is a broker's address, or several with commas between them, as it
// may be shown: xxxxx stands for a password, and for a NATS token. What is no
// URL is not shown at all.
func Redacted(address string) string {
	list := SplitBrokerURL(address)
	for i, one := range list {
		u, err := url.Parse(one)
		if err != nil || u.Host == "" && u.Opaque != "" || u.Scheme == "" {
			return "(an address that is no URL)"
		}
		if _, has := u.User.Password(); u.User != nil && !has && slices.Contains(natsSchemes, u.Scheme) {
			u.User = url.User("xxxxx") // a token
		}
		list[i] = u.Redacted()
	}
	return strings.Join(list, ",")
}

// OnThisMachine reports whether every one of a broker's addresses is of the
// loopback interface, by name or number. It looks nothing up.
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

// QueueName is RabbitMQ's queue or NATS' queue group of a service: `queue`, or
// the service's name. It is "" with TCP and Redis, which have none.
func (s *Service) QueueName() string {
	if s.Transport != RabbitMQ && s.Transport != NATS {
		return ""
	}
	if s.Queue != "" {
		return s.Queue
	}
	return s.Name
}
