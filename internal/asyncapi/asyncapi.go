// Package asyncapi describes the messages of services as AsyncAPI 3.0 documents.
package asyncapi

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/msctl/msctl/runtime/micro"
)

// Service is a program that handles messages.
type Service struct {
	Name string
	// Version is empty if it is not known.
	Version string
	// Servers are the addresses at which it receives messages. Services with the same server
	// share it in the document. nil means that they are not known.
	Servers []Server
	// Handlers are in the order of the document.
	Handlers []Handler
}

// Server is an address without credentials.
type Server struct {
	// Name is the server's name in the document, unless another one has it.
	Name string
	// Host is host:port, or the path of a Unix socket.
	Host string
	// Path is the virtual host or the database of a broker; "" for none.
	Path string
	// Protocol is tcp, amqp, amqps, redis, rediss, or nats.
	Protocol string
	// Description states what else a client must know, such as that connections use TLS.
	Description string
}

// Handler is a handler of a service.
type Handler struct {
	micro.HandlerInfo
	// Title is the pattern as a user writes it.
	Title string
	// Address is the subject, channel, queue, or event name that receives the messages; "" if
	// the transport has none.
	Address string
	// Queue is the queue of RabbitMQ; "" for none.
	Queue string
	// Transport is the only transport of NestJS that the handler is for; "" for all.
	Transport string
}

// Document returns the AsyncAPI document of services as JSON. What the services send is not part
// of it: they only declare what they receive. The names of channels, operations, and messages
// depend on the services and their patterns alone.
func Document(title, version string, services []Service) ([]byte, error) {
	b := builder{
		doc: document{
			AsyncAPI: "3.0.0", Info: info{title, cmp.Or(version, "0.0.0")}, DefaultContentType: "application/json",
			Channels: ordered[channel]{}, Operations: ordered[operation]{},
		},
		schemas: schemas{names: map[string][]named{}},
		several: len(services) > 1,
	}
	for _, s := range services {
		b.add(s)
	}
	if len(b.schemas.all) > 0 {
		b.doc.Components = &components{b.schemas.all}
	}
	text, err := json.Marshal(b.doc)
	if err != nil {
		return nil, fmt.Errorf("encode the AsyncAPI document: %w", err)
	}
	return text, nil
}

type builder struct {
	doc     document
	schemas schemas
	several bool // names begin with that of the service
}

func (b *builder) add(s Service) {
	var servers []ref
	for _, server := range s.Servers {
		servers = append(servers, ref{"#/servers/" + b.server(server)})
	}
	for _, h := range s.Handlers {
		b.handler(s, h, servers)
	}
}

// server returns the name of a server in the document.
func (b *builder) server(s Server) string {
	described := server{s.Host, s.Path, s.Protocol, s.Description}
	name := identifier(s.Name)
	for n := 2; ; n++ {
		known, taken := b.doc.Servers.get(name)
		switch {
		case !taken:
			b.doc.Servers = append(b.doc.Servers, entry[server]{name, described})
			return name
		case known == described:
			return name
		}
		name = identifier(s.Name) + strconv.Itoa(n)
	}
}

func (b *builder) handler(s Service, h Handler, servers []ref) {
	base := nameOf(h.HandlerInfo)
	if b.several {
		base = identifier(s.Name) + "." + base
	}
	name := base
	for n := 2; b.doc.Channels.has(name) || b.doc.Channels.has(name+".reply"); n++ {
		name = base + strconv.Itoa(n)
	}
	kind := "request"
	if h.Kind == "event" {
		kind = "event"
	}
	c := channel{Title: h.Title, Servers: servers, Pattern: h.Pattern, Messages: ordered[message]{{kind, message{
		Name: name, Title: h.Title, Payload: b.schemas.convert(s.Name, h.Data, nil),
	}}}}
	if h.Address != "" && !strings.ContainsAny(h.Address, "{}") { // braces would be parameters
		c.Address = &h.Address
	}
	if h.Queue != "" {
		c.Bindings = &bindings{amqp{Is: "queue", Queue: queue{h.Queue}}}
	}
	b.doc.Channels = append(b.doc.Channels, entry[channel]{name, c})
	op := operation{
		Action: "receive", Channel: ref{"#/channels/" + name}, Title: h.Title, Description: h.Doc, Transport: h.Transport,
		Messages: []ref{{"#/channels/" + name + "/messages/" + kind}},
	}
	if b.several {
		op.Tags = []tag{{s.Name}}
	}
	if h.Kind != "event" {
		op.Reply = b.reply(s, h, name, servers)
		op.Stream = h.Kind == "stream"
	}
	b.doc.Operations = append(b.doc.Operations, entry[operation]{name, op})
}

// reply adds the channel of the replies, whose address is different for each client.
func (b *builder) reply(s Service, h Handler, name string, servers []ref) *reply {
	name += ".reply"
	title := "Reply to " + h.Title
	b.doc.Channels = append(b.doc.Channels, entry[channel]{name, channel{Title: title, Servers: servers, Messages: ordered[message]{{"reply", message{
		Name: name, Title: title, Payload: b.schemas.convert(s.Name, h.Reply, nil),
	}}}}})
	return &reply{Channel: ref{"#/channels/" + name}, Messages: []ref{{"#/channels/" + name + "/messages/reply"}}}
}

// nameOf returns the name in a pattern: createItem for {"cmd":"createItem"}, a string as it is,
// and the values of other objects.
func nameOf(h micro.HandlerInfo) string {
	var members map[string]any
	if json.Unmarshal(h.Pattern, &members) != nil || members == nil {
		return identifier(h.Route)
	}
	if cmd, ok := members["cmd"].(string); ok && len(members) == 1 {
		return identifier(cmd)
	}
	var values []string
	for _, key := range slices.Sorted(maps.Keys(members)) {
		value, isText := members[key].(string)
		if text, err := json.Marshal(members[key]); !isText && err == nil {
			value = string(text)
		}
		values = append(values, value)
	}
	return identifier(strings.Join(values, "."))
}

var notInNames = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// identifier returns text as a name that needs no escape in a reference.
func identifier(text string) string {
	return cmp.Or(strings.Trim(notInNames.ReplaceAllString(text, "_"), "_"), "unnamed")
}
