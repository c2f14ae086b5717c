package target

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"

	"github.com/msctl/msctl/runtime/micro"
)

// tail is the path and the options, as they are written.
func (t Target) tail() string {
	b := t.Broker
	text := ""
	switch {
	case b.Kind == RabbitMQ && b.VHost != "/":
		text = "/" + url.PathEscape(b.VHost) + "/" + url.PathEscape(b.Queue)
	case b.Kind == RabbitMQ:
		text = "/" + url.PathEscape(b.Queue)
	case b.DB != "":
		text = "/" + b.DB
	}
	if b.query != "" {
		text += "?" + b.query
	}
	return text
}

// place is where on the broker a message of a pattern goes: the queue, the channel
// or the subject. It is "" where there is no broker.
func (t Target) Place(p micro.Pattern) string {
	if t.Broker == nil {
		return ""
	}
	switch options := t.Broker.Parameters; {
	case t.Broker.Kind == Redis:
		return "channel " + p.Route()
	case t.Broker.Kind == NATS:
		return "subject " + p.Route()
	case t.byExchange():
		key := p.JSON()
		if micro.Name(p.Route()) == p {
			key = p.Route()
		}
		return fmt.Sprintf("exchange %s, routing key %s", cmp.Or(options.Text("exchange"), t.Broker.Queue), key)
	}
	return "queue " + t.Broker.Queue
}

// hasHeaders reports whether metadata travels beside the packet rather than in it.
func (t Target) HasHeaders() bool { return t.Broker != nil && t.Broker.Kind != Redis }

// dialURLs is the address as the transports take it: with the password, with the
// vhost and without the queue, and with the scheme before each server.
func (t Target) dialURLs() string {
	scheme, path := t.DialForm()
	login := t.Broker.Login.reveal(t.Broker.Kind == NATS)
	urls := make([]string, len(t.Addresses))
	for i, address := range t.Addresses {
		urls[i] = scheme + "://" + login + address + path
	}
	return strings.Join(urls, ",")
}

// dialForm is how the transports write the scheme, and what follows a server.
func (t Target) DialForm() (scheme, path string) {
	b := t.Broker
	switch {
	case t.Scheme == schemeNATSTLS:
		return "tls", ""
	case b.Kind == RabbitMQ && b.VHost != "/":
		return t.Scheme, "/" + url.PathEscape(b.VHost)
	case b.DB != "":
		return t.Scheme, "/" + b.DB
	}
	return t.Scheme, ""
}

// firstHostPort is the first address, split.
func (t Target) FirstHostPort() (host, port string) {
	first := t.Addresses[0]
	i := strings.LastIndexByte(first, ':')
	return strings.Trim(first[:i], "[]"), first[i+1:]
}

// Through is the target behind a proxy: what the clients of that one talk to.
func (t Target) Through(address string) Target {
	switch t.Scheme {
	case SchemeTLS:
		t.Scheme = SchemeTCP // the proxy encrypts
	case SchemeHTTP:
		if u, err := url.Parse(t.Addresses[0]); err == nil {
			u.Host = address
			address = u.String()
		}
	}
	t.Addresses = []string{address}
	return t
}

// Each is the target's addresses as targets of their own; the brokers of one
// cluster are one.
func (t Target) Each() []Target {
	if t.Broker != nil {
		return []Target{t}
	}
	list := make([]Target, len(t.Addresses))
	for i, address := range t.Addresses {
		list[i] = t
		list[i].Addresses = []string{address}
	}
	return list
}

// Subscribes reports whether a server must say which patterns it wants.
func (t Target) Subscribes() bool {
	if t.Broker == nil {
		return false
	}
	p := t.Broker.Parameters
	return t.Shared() || p.Flag("wildcards") && p.Text("exchangeType") != "fanout"
}
