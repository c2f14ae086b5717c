package target

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/msctl/msctl/internal/exit"
)

// errLogin is returned when the characters of a password, or of what looks like one,
// make an address unreadable. Its text must not quote the address.
var errLogin = errors.New("cannot read the user and password before the @")

// parseBroker parses the address of a broker.
func parseBroker(s Scheme, rest string) (Target, error) {
	return readBroker(s, rest, (*Target).readTail)
}

// readBroker is parseBroker with another parser for the part after the servers.
func readBroker(s Scheme, rest string, readTail func(*Target, string) error) (Target, error) {
	t := Target{Scheme: s.Name, Broker: &Broker{}}
	tail, err := t.readServers(s, rest)
	if err == nil {
		err = readTail(&t, tail)
	}
	if err == nil {
		return t, nil
	}
	hint := cmp.Or(exit.Hint(err), "for example, "+s.Sample)
	if errors.Is(err, errLogin) {
		hint = "percent-encode special characters in the user and password (@ as %40, : as %3A, / as %2F), or set the password in " + PasswordVariable
	}
	return Target{}, exit.WithHint(exit.Usagef("target %q: %w", WithoutLogin(s.Name+"://"+rest), err), "%s", hint)
}

// readServers parses the servers and the login, and returns what follows.
func (t *Target) readServers(s Scheme, rest string) (tail string, err error) {
	if s.socket {
		if tail, err = t.readSocket(rest); err != nil {
			return "", err
		}
		return tail, t.Login.check(t.transport())
	}
	hosts, tail, err := splitTail(s, rest)
	if err != nil {
		return "", err
	}
	for i, one := range hosts {
		if err := t.addServer(s, one); err != nil {
			if strings.Contains(strings.Join(hosts[i+1:], ","), "@") {
				return "", errLogin // the comma was part of the password
			}
			return "", err
		}
	}
	transport := t.transport()
	if len(t.Addresses) > 1 && transport.singleServer && !s.master {
		return "", fmt.Errorf("a %s target has only one server", transport.kind)
	}
	return tail, t.Login.check(transport)
}

// splitTail splits the servers from the path and the query, which follow the last
// server, or are the same after each.
func splitTail(s Scheme, rest string) (hosts []string, tail string, err error) {
	for i, one := range splitServers(s, rest) {
		if i > 0 {
			one = strings.TrimPrefix(strings.TrimSpace(one), s.Name+"://")
		}
		host, after := one, ""
		if end := strings.IndexAny(one, "/?#"); end >= 0 {
			host, after = one[:end], one[end:]
		}
		switch {
		case strings.Contains(after, "@"):
			return nil, "", errLogin // a / or ? or # was part of the password
		case tail != "" && after != tail:
			return nil, "", errors.New("all servers must have the same path, after the last one (write a comma in a name as %2C)")
		}
		hosts, tail = append(hosts, host), after
	}
	return hosts, tail, nil
}

// splitServers splits a list of servers at its commas. Those after a ? are part of an
// option, unless a complete address follows.
func splitServers(s Scheme, list string) []string {
	var servers []string
	for one := range strings.SplitSeq(list, ",") {
		complete := strings.HasPrefix(strings.TrimSpace(one), s.Name+"://") || strings.Contains(one, "?")
		if last := len(servers) - 1; last >= 0 && !complete && strings.Contains(servers[last], "?") {
			servers[last] += "," + one
			continue
		}
		servers = append(servers, one)
	}
	return servers
}

// addServer parses [user[:password]@]host[:port].
func (t *Target) addServer(s Scheme, text string) error {
	at := strings.LastIndexByte(text, '@')
	address, err := brokerAddress(text[at+1:], s.port)
	if err != nil {
		return err
	}
	if slices.Contains(t.Addresses, address) {
		return fmt.Errorf("duplicate address %s", address)
	}
	t.Addresses = append(t.Addresses, address)
	if at < 0 {
		return nil
	}
	return t.addLogin(text[:at])
}

// readSocket parses [user[:password]@]/path, and returns what follows.
func (t *Target) readSocket(rest string) (tail string, err error) {
	login, path, found := strings.Cut(rest, "/")
	before, given := strings.CutSuffix(login, "@")
	switch {
	case strings.Contains(path, "@"):
		return "", errLogin // a / was part of the password
	case !found || login != "" && !given:
		return "", errors.New("a path must follow the login, and begin with a slash")
	}
	path, query, options := strings.Cut(path, "?")
	if options {
		tail = "?" + query
	}
	if path, err = socketPath("/" + path); err != nil {
		return "", err
	}
	t.Addresses = []string{path}
	if given {
		err = t.addLogin(before)
	}
	return tail, err
}

// addLogin parses user[:password].
func (t *Target) addLogin(text string) error {
	u, err := url.Parse("x://" + text + "@host")
	if err != nil || u.User == nil {
		return errLogin
	}
	l := readLogin(u.User, t.transport().token)
	if t.Login.Given && !t.Login.same(l) {
		return errors.New("all servers must have the same user and password")
	}
	t.Login = l
	return nil
}

// brokerAddress parses host, host:port, [::1], or [::1]:port.
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
			return "", fmt.Errorf("invalid address %q: must be host or host:port (an IPv6 address requires brackets: [::1])", text)
		}
	}
	if host == "" || strings.ContainsAny(host, " %[]") {
		return "", fmt.Errorf("invalid address %q: must be host or host:port", text)
	}
	if err := checkPort(port); err != nil {
		return "", err
	}
	return net.JoinHostPort(host, port), nil
}

// readTail parses the path and the options.
func (t *Target) readTail(tail string) error {
	tail, _, fragment := strings.Cut(tail, "#")
	if fragment {
		return errors.New("unexpected # (write a # in a name as %23)")
	}
	path, query, _ := strings.Cut(tail, "?")
	return t.readOptions(path, query)
}

func (t *Target) readOptions(path, query string) error {
	transport, scheme, _ := lookUp(t.Scheme)
	path = strings.TrimPrefix(path, "/")
	if scheme.master {
		t.Broker.Master, path, _ = strings.Cut(path, "/")
		if t.Broker.Master == "" || strings.ContainsAny(t.Broker.Master, "% ,") {
			return errors.New("the name of the master is missing or invalid")
		}
	}
	if err := transport.readPath(t.Broker, path); err != nil {
		return err
	}
	t.Broker.query = transport.ownParameters(query)
	var err error
	t.Broker.Parameters, err = transport.parseParameters(query)
	return err
}
