package target

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/msctl/msctl/internal/exit"
)

// The schemes of brokers. Their + or s is TLS.
const (
	schemeAMQP    = "amqp"
	schemeAMQPS   = "amqps"
	schemeRedis   = "redis"
	schemeRedisS  = "rediss"
	schemeNATS    = "nats"
	schemeNATSTLS = "nats+tls"
)

// kind is a kind of broker.
type Kind string

const (
	RabbitMQ Kind = "RabbitMQ"
	Redis    Kind = "Redis"
	NATS     Kind = "NATS"
)

// scheme is what msctl knows of a scheme.
type schemeInfo struct {
	Name   string
	kind   Kind // "" for none
	tls    bool
	port   string // where none is given; "" when one must be
	Sample string
}

// schemes are all of them, in the order in which help lists them.
func Schemes() []schemeInfo {
	return []schemeInfo{
		{SchemeTCP, "", false, "", "tcp://host:port"},
		{SchemeTLS, "", true, "", "tls://host:port"},
		{schemeAMQP, RabbitMQ, false, "5672", "amqp://host/queue"},
		{schemeAMQPS, RabbitMQ, true, "5671", "amqps://host/queue"},
		{schemeRedis, Redis, false, "6379", "redis://host"},
		{schemeRedisS, Redis, true, "6379", "rediss://host"},
		{schemeNATS, NATS, false, "4222", "nats://host"},
		{schemeNATSTLS, NATS, true, "4222", "nats+tls://host"},
	}
}

// schemeOf finds a scheme; nil for one that takes no messages.
func schemeOf(name string) *schemeInfo {
	for _, s := range Schemes() {
		if s.Name == name {
			return &s
		}
	}
	return nil
}

// broker is what an address says of a broker beyond its hosts.
type Broker struct {
	Kind  Kind // "" for none
	Login Login
	// vhost and queue are RabbitMQ's.
	VHost, Queue string
	// db is Redis' database, "" for none. Its channels are the same in all.
	DB string
	// query is the options as they were written, params what they say.
	query      string
	Parameters Parameters
}

// errHidden is what is wrong with an address whose password, or what looks like
// one, is in the way of reading it.
var errHidden = errors.New("what stands before the @ cannot be read")

// parseBroker reads the address of a broker: what follows the scheme's ://. All
// errors are usage errors, in which nothing of a password stands.
func parseBroker(s *schemeInfo, rest string) (Target, error) {
	return readBroker(s, rest, (*Target).readTail)
}

// readBroker is parseBroker with another reader of what follows the servers.
func readBroker(s *schemeInfo, rest string, readTail func(*Target, string) error) (Target, error) {
	t := Target{Scheme: s.Name, Broker: &Broker{Kind: s.kind}}
	shown := WithoutLogin(s.Name + "://" + rest)
	tail, err := t.readServers(s, rest)
	if err == nil {
		err = readTail(&t, tail)
	}
	switch {
	case err == nil:
		return t, nil
	case errors.Is(err, errHidden):
		err := exit.Usagef("target %q: %w", shown, err)
		return Target{}, exit.WithHint(err, "characters other than letters, digits and -._~ are percent-encoded in a user and a password: @ as %%40, : as %%3A, / as %%2F; "+
			"or give the password in %s", PasswordVariable)
	}
	return Target{}, exit.WithHint(exit.Usagef("target %q: %w", shown, err), "%s", cmp.Or(exit.Hint(err), "such as "+s.Sample))
}

// readServers reads the servers and who we are there, and returns what follows.
func (t *Target) readServers(s *schemeInfo, rest string) (tail string, err error) {
	hosts, tail, err := splitTail(s, rest)
	if err != nil {
		return "", err
	}
	for i, one := range hosts {
		if err := t.addServer(s, one); err != nil {
			if strings.Contains(strings.Join(hosts[i+1:], ","), "@") {
				return "", errHidden // the comma was one of the password
			}
			return "", err
		}
	}
	if len(t.Addresses) > 1 && s.kind == Redis {
		return "", errors.New("one server is enough for Redis")
	}
	return tail, t.Broker.Login.check(s.kind)
}

// splitTail splits the servers from the path and the query behind them, which are
// behind the last, or the same behind each.
func splitTail(s *schemeInfo, rest string) (hosts []string, tail string, err error) {
	for i, one := range strings.Split(rest, ",") {
		if i > 0 {
			one = strings.TrimPrefix(strings.TrimSpace(one), s.Name+"://")
		}
		host, after := one, ""
		if end := strings.IndexAny(one, "/?#"); end >= 0 {
			host, after = one[:end], one[end:]
		}
		switch {
		case strings.Contains(after, "@"):
			return nil, "", errHidden // a / or ? or # of the password
		case tail != "" && after != tail:
			return nil, "", errors.New("every server has the same path, written once behind the last (a comma in a name is %2C)")
		}
		hosts, tail = append(hosts, host), after
	}
	return hosts, tail, nil
}

// addServer reads [user[:password]@]host[:port].
func (t *Target) addServer(s *schemeInfo, text string) error {
	at := strings.LastIndexByte(text, '@')
	address, err := brokerAddress(text[at+1:], s.port)
	if err != nil {
		return err
	}
	if slices.Contains(t.Addresses, address) {
		return fmt.Errorf("%s is there twice", address)
	}
	t.Addresses = append(t.Addresses, address)
	if at < 0 {
		return nil
	}
	u, err := url.Parse("x://" + text[:at] + "@host")
	if err != nil || u.User == nil {
		return errHidden
	}
	l := readLogin(u.User, s.kind == NATS)
	if old := t.Broker.Login; old.Given && !old.same(l) {
		return errors.New("all servers have the same user and password")
	}
	t.Broker.Login = l
	return nil
}

func (l Login) same(other Login) bool {
	if l.User != other.User || (l.Password == nil) != (other.Password == nil) {
		return false
	}
	return l.Password == nil || l.Password() == other.Password()
}

// check tells when the broker needs more of a login.
func (l Login) check(k Kind) error {
	switch {
	case !l.Given:
		return nil
	case l.Password == nil && (k == RabbitMQ || l.User == ""):
		return exit.WithHint(errors.New("there is no password"), "put it behind the user, user:password@, or into the environment as %s", PasswordVariable)
	case l.User == "" && k == RabbitMQ:
		return exit.WithHint(errors.New("there is no user"), "RabbitMQ takes user:password@")
	}
	return nil
}

// brokerAddress reads host, host:port, [::1] or [::1]:port.
func brokerAddress(text, port string) (string, error) {
	host := text
	switch {
	case text == "":
		return "", errors.New("the host is missing")
	case strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]"):
		host = text[1 : len(text)-1]
	case strings.Contains(text, ":"):
		var err error
		if host, port, err = net.SplitHostPort(text); err != nil {
			return "", fmt.Errorf("%q is not host or host:port (an IPv6 address is in brackets: [::1])", text)
		}
	}
	if host == "" || strings.ContainsAny(host, " %[]") {
		return "", fmt.Errorf("%q is not host or host:port", text)
	}
	if number, err := strconv.Atoi(port); err != nil || number < 1 || number > 65535 {
		return "", fmt.Errorf("port %q must be a number from 1 to 65535", port)
	}
	return net.JoinHostPort(host, port), nil
}

// readTail reads the path and the options.
func (t *Target) readTail(tail string) error {
	tail, _, fragment := strings.Cut(tail, "#")
	if fragment {
		return errors.New("nothing follows a # (in a name it is %23)")
	}
	path, query, _ := strings.Cut(tail, "?")
	if err := t.Broker.readPath(path); err != nil {
		return err
	}
	t.Broker.query = query
	var err error
	t.Broker.Parameters, err = parseParams(t.Broker.Kind, query)
	if err != nil {
		return err
	}
	if t.Broker.Kind == RabbitMQ && t.Broker.Queue == "" && !t.Broker.Parameters.WithoutQueue() {
		return exit.WithHint(errors.New("the queue is missing"), "put it behind the host: %s://%s/QUEUE, or /VHOST/QUEUE", t.Scheme, t.Addresses[0])
	}
	return nil
}

// readPath reads what the path means to the broker.
func (b *Broker) readPath(path string) error {
	path = strings.TrimPrefix(path, "/")
	switch {
	case b.Kind == RabbitMQ:
		return b.readQueue(path)
	case b.Kind == Redis && path != "":
		if n, err := strconv.Atoi(path); err != nil || n < 0 {
			return fmt.Errorf("%q is not the number of a database", path)
		}
		b.DB = path
	case path != "":
		return fmt.Errorf("/%s is too much: NATS has no more than hosts", path)
	}
	return nil
}

// readQueue reads [VHOST/]QUEUE.
func (b *Broker) readQueue(path string) error {
	parts := strings.Split(path, "/")
	if len(parts) > 2 {
		return exit.WithHint(errors.New("the path has more than a vhost and a queue"), "a / in a name is %%2F")
	}
	names := make([]string, len(parts))
	for i, part := range parts {
		name, err := url.PathUnescape(part)
		if err != nil || strings.Contains(part, " ") {
			return exit.WithHint(fmt.Errorf("%q is not percent-encoded as it should be", part), "a %% in a name is %%25, a space %%20")
		}
		names[i] = name
	}
	b.VHost = "/"
	if len(names) == 2 {
		b.VHost = names[0]
	}
	if b.VHost == "" {
		return exit.WithHint(errors.New("the vhost is missing"), "the vhost / needs not be named: /QUEUE")
	}
	b.Queue = names[len(names)-1]
	if len(b.Queue) > mostQueueName {
		return fmt.Errorf("the queue's name has %d bytes, and RabbitMQ takes %d", len(b.Queue), mostQueueName)
	}
	return nil
}

// mostQueueName is how long a short string of AMQP may be, in bytes.
const mostQueueName = 255
