package cli

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"

	"github.com/msctl/msctl/runtime/micro"
)

// tail is the path and the options, as they are written.
func (t target) tail() string {
	b := t.broker
	text := ""
	switch {
	case b.kind == rabbitMQ && b.vhost != "/":
		text = "/" + url.PathEscape(b.vhost) + "/" + url.PathEscape(b.queue)
	case b.kind == rabbitMQ:
		text = "/" + url.PathEscape(b.queue)
	case b.db != "":
		text = "/" + b.db
	}
	if b.query != "" {
		text += "?" + b.query
	}
	return text
}

// place is where on the broker a message of a pattern goes: the queue, the channel
// or the subject. It is "" where there is no broker.
func (t target) place(p micro.Pattern) string {
	if t.broker == nil {
		return ""
	}
	switch options := t.broker.params; {
	case t.broker.kind == redisKV:
		return "channel " + p.Route()
	case t.broker.kind == natsIO:
		return "subject " + p.Route()
	case t.byExchange():
		key := p.JSON()
		if micro.Name(p.Route()) == p {
			key = p.Route()
		}
		return fmt.Sprintf("exchange %s, routing key %s", cmp.Or(options.text("exchange"), t.broker.queue), key)
	}
	return "queue " + t.broker.queue
}

// hasHeaders reports whether metadata travels beside the packet rather than in it.
func (t target) hasHeaders() bool { return t.broker != nil && t.broker.kind != redisKV }

// dialURLs is the address as the transports take it: with the password, with the
// vhost and without the queue, and with the scheme before each server.
func (t target) dialURLs() string {
	scheme, path := t.dialForm()
	login := t.broker.login.reveal(t.broker.kind == natsIO)
	urls := make([]string, len(t.addresses))
	for i, address := range t.addresses {
		urls[i] = scheme + "://" + login + address + path
	}
	return strings.Join(urls, ",")
}

// dialForm is how the transports write the scheme, and what follows a server.
func (t target) dialForm() (scheme, path string) {
	b := t.broker
	switch {
	case t.scheme == schemeNATSTLS:
		return "tls", ""
	case b.kind == rabbitMQ && b.vhost != "/":
		return t.scheme, "/" + url.PathEscape(b.vhost)
	case b.db != "":
		return t.scheme, "/" + b.db
	}
	return t.scheme, ""
}
