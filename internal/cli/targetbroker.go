package cli

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
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
type kind string

const (
	rabbitMQ kind = "RabbitMQ"
	redisKV  kind = "Redis"
	natsIO   kind = "NATS"
)

// scheme is what msctl knows of a scheme.
type schemeInfo struct {
	name   string
	kind   kind // "" for none
	tls    bool
	port   string // where none is given; "" when one must be
	sample string
}

// schemes are all of them, in the order in which help lists them.
func schemes() []schemeInfo {
	return []schemeInfo{
		{schemeTCP, "", false, "", "tcp://host:port"},
		{schemeTLS, "", true, "", "tls://host:port"},
		{schemeAMQP, rabbitMQ, false, "5672", "amqp://host/queue"},
		{schemeAMQPS, rabbitMQ, true, "5671", "amqps://host/queue"},
		{schemeRedis, redisKV, false, "6379", "redis://host"},
		{schemeRedisS, redisKV, true, "6379", "rediss://host"},
		{schemeNATS, natsIO, false, "4222", "nats://host"},
		{schemeNATSTLS, natsIO, true, "4222", "nats+tls://host"},
	}
}

// schemeOf finds a scheme; nil for one that takes no messages.
func schemeOf(name string) *schemeInfo {
	for _, s := range schemes() {
		if s.name == name {
			return &s
		}
	}
	return nil
}

// broker is what an address says of a broker beyond its hosts.
type broker struct {
	kind  kind // "" for none
	login login
	// vhost and queue are RabbitMQ's.
	vhost, queue string
	// db is Redis' database, "" for none. Its channels are the same in all.
	db string
	// query is the options as they were written, params what they say.
	query  string
	params params
}

// errHidden is what is wrong with an address whose password, or what looks like
// one, is in the way of reading it.
var errHidden = errors.New("what stands before the @ cannot be read")

// parseBroker reads the address of a broker: what follows the scheme's ://. All
// errors are usage errors, in which nothing of a password stands.
func parseBroker(s *schemeInfo, rest string) (target, error) {
	return readBroker(s, rest, (*target).readTail)
}

// readBroker is parseBroker with another reader of what follows the servers.
func readBroker(s *schemeInfo, rest string, readTail func(*target, string) error) (target, error) {
	t := target{scheme: s.name, broker: &broker{kind: s.kind}}
	shown := withoutLogin(s.name + "://" + rest)
	tail, err := t.readServers(s, rest)
	if err == nil {
		err = readTail(&t, tail)
	}
	switch {
	case err == nil:
		return t, nil
	case errors.Is(err, errHidden):
		err := usagef("target %q: %w", shown, err)
		return target{}, withHint(err, "characters other than letters, digits and -._~ are percent-encoded in a user and a password: @ as %%40, : as %%3A, / as %%2F; "+
			"or give the password in %s", passwordVariable)
	}
	return target{}, withHint(usagef("target %q: %w", shown, err), "%s", cmp.Or(hintOf(err), "such as "+s.sample))
}

// readServers reads the servers and who we are there, and returns what follows.
func (t *target) readServers(s *schemeInfo, rest string) (tail string, err error) {
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
	if len(t.addresses) > 1 && s.kind == redisKV {
		return "", errors.New("one server is enough for Redis")
	}
	return tail, t.broker.login.check(s.kind)
}

// splitTail splits the servers from the path and the query behind them, which are
// behind the last, or the same behind each.
func splitTail(s *schemeInfo, rest string) (hosts []string, tail string, err error) {
	for i, one := range strings.Split(rest, ",") {
		if i > 0 {
			one = strings.TrimPrefix(strings.TrimSpace(one), s.name+"://")
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
func (t *target) addServer(s *schemeInfo, text string) error {
	at := strings.LastIndexByte(text, '@')
	address, err := brokerAddress(text[at+1:], s.port)
	if err != nil {
		return err
	}
	if slices.Contains(t.addresses, address) {
		return fmt.Errorf("%s is there twice", address)
	}
	t.addresses = append(t.addresses, address)
	if at < 0 {
		return nil
	}
	u, err := url.Parse("x://" + text[:at] + "@host")
	if err != nil || u.User == nil {
		return errHidden
	}
	l := readLogin(u.User, s.kind == natsIO)
	if old := t.broker.login; old.given && !old.same(l) {
		return errors.New("all servers have the same user and password")
	}
	t.broker.login = l
	return nil
}

func (l login) same(other login) bool {
	if l.user != other.user || (l.password == nil) != (other.password == nil) {
		return false
	}
	return l.password == nil || l.password() == other.password()
}

// check tells when the broker needs more of a login.
func (l login) check(k kind) error {
	switch {
	case !l.given:
		return nil
	case l.password == nil && (k == rabbitMQ || l.user == ""):
		return withHint(errors.New("there is no password"), "put it behind the user, user:password@, or into the environment as %s", passwordVariable)
	case l.user == "" && k == rabbitMQ:
		return withHint(errors.New("there is no user"), "RabbitMQ takes user:password@")
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
func (t *target) readTail(tail string) error {
	tail, _, fragment := strings.Cut(tail, "#")
	if fragment {
		return errors.New("nothing follows a # (in a name it is %23)")
	}
	path, query, _ := strings.Cut(tail, "?")
	if err := t.broker.readPath(path); err != nil {
		return err
	}
	t.broker.query = query
	var err error
	t.broker.params, err = parseParams(t.broker.kind, query)
	if err != nil {
		return err
	}
	if t.broker.kind == rabbitMQ && t.broker.queue == "" && !t.broker.params.withoutQueue() {
		return withHint(errors.New("the queue is missing"), "put it behind the host: %s://%s/QUEUE, or /VHOST/QUEUE", t.scheme, t.addresses[0])
	}
	return nil
}

// readPath reads what the path means to the broker.
func (b *broker) readPath(path string) error {
	path = strings.TrimPrefix(path, "/")
	switch {
	case b.kind == rabbitMQ:
		return b.readQueue(path)
	case b.kind == redisKV && path != "":
		if n, err := strconv.Atoi(path); err != nil || n < 0 {
			return fmt.Errorf("%q is not the number of a database", path)
		}
		b.db = path
	case path != "":
		return fmt.Errorf("/%s is too much: NATS has no more than hosts", path)
	}
	return nil
}

// readQueue reads [VHOST/]QUEUE.
func (b *broker) readQueue(path string) error {
	parts := strings.Split(path, "/")
	if len(parts) > 2 {
		return withHint(errors.New("the path has more than a vhost and a queue"), "a / in a name is %%2F")
	}
	names := make([]string, len(parts))
	for i, part := range parts {
		name, err := url.PathUnescape(part)
		if err != nil || strings.Contains(part, " ") {
			return withHint(fmt.Errorf("%q is not percent-encoded as it should be", part), "a %% in a name is %%25, a space %%20")
		}
		names[i] = name
	}
	b.vhost = "/"
	if len(names) == 2 {
		b.vhost = names[0]
	}
	if b.vhost == "" {
		return withHint(errors.New("the vhost is missing"), "the vhost / needs not be named: /QUEUE")
	}
	b.queue = names[len(names)-1]
	if len(b.queue) > mostQueueName {
		return fmt.Errorf("the queue's name has %d bytes, and RabbitMQ takes %d", len(b.queue), mostQueueName)
	}
	return nil
}

// mostQueueName is how long a short string of AMQP may be, in bytes.
const mostQueueName = 255
