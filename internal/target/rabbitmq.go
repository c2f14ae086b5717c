package target

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/workspace"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microrabbit"
)

func rabbitMQ() transport {
	return transport{
		kind: RabbitMQ,
		schemes: []Scheme{
			{Name: "amqp", Sample: "amqp://host/queue", port: "5672"},
			{Name: "amqps", Sample: "amqps://host/queue", port: "5671", tls: true},
		},
		environment: "RABBITMQ_URL",
		parameters: map[string]parameterType{
			"durable": boolParameter, "exclusive": boolParameter, "autoDelete": boolParameter, "noAssert": boolParameter,
			"messageTtl": intParameter, "expires": intParameter, "maxLength": intParameter, "maxPriority": intParameter,
			"deadLetterExchange": textParameter, "deadLetterRoutingKey": textParameter,
			"exchange": textParameter, "exchangeType": textParameter, "routingKey": textParameter, "wildcards": boolParameter,
			"persistent": boolParameter, "replyQueue": textParameter,
			"noAck": boolParameter, "prefetchCount": intParameter, "isGlobalPrefetchCount": boolParameter, "consumerTag": textParameter,
		},
		arguments:   true,
		headers:     true,
		fullLogin:   true,
		timeoutHint: "the message stays in the queue until a service consumes it: is the service running? If it is, increase --timeout",
		parse:       parseRabbitMQ,
		readPath:    readQueue,
		path:        func(b *Broker) string { return vhostPath(b) + "/" + url.PathEscape(b.Queue) },
		serverPath:  vhostPath,
		servicePath: queuePath,
		check:       checkExchange,
		place:       rabbitPlace,
		dial:        dialRabbitMQ,
		listen:      listenRabbitMQ,
		explain:     explainRabbitMQ,
	}
}

// QueueParameters lists the options that declare a queue.
func QueueParameters() []string {
	return []string{"durable", "exclusive", "autoDelete", "messageTtl", "expires", "maxLength", "maxPriority", "deadLetterExchange", "deadLetterRoutingKey"}
}

// exchangeTypes are the types that RabbitMQ has without plugins.
func exchangeTypes() []string { return []string{"topic", "direct", "fanout", "headers"} }

func parseRabbitMQ(s Scheme, rest string) (Target, error) {
	t, err := parseBroker(s, rest)
	if err == nil && t.Broker.Queue == "" && !t.Broker.Parameters.WithoutQueue() {
		err := exit.Usagef("target %q: the queue is missing", WithoutLogin(s.Name+"://"+rest))
		return Target{}, exit.WithHint(err, "add it after the host: %s://%s/QUEUE or /VHOST/QUEUE", s.Name, t.Addresses[0])
	}
	return t, err
}

// maxQueueName is the length limit of an AMQP short string, in bytes.
const maxQueueName = 255

// readQueue parses [VHOST/]QUEUE.
func readQueue(b *Broker, path string) error {
	parts := strings.Split(path, "/")
	if len(parts) > 2 {
		return exit.WithHint(errors.New("the path must be /QUEUE or /VHOST/QUEUE"), "write a / in a name as %%2F")
	}
	names := make([]string, len(parts))
	for i, part := range parts {
		name, err := url.PathUnescape(part)
		if err != nil || strings.Contains(part, " ") {
			return exit.WithHint(fmt.Errorf("invalid percent-encoding in %q", part), "write a %% in a name as %%25, a space as %%20")
		}
		names[i] = name
	}
	b.VHost = "/"
	if len(names) == 2 {
		b.VHost = names[0]
	}
	if b.VHost == "" {
		return exit.WithHint(errors.New("the vhost is empty"), "for the default vhost, write /QUEUE")
	}
	b.Queue = names[len(names)-1]
	if len(b.Queue) > maxQueueName {
		return fmt.Errorf("the queue name is %d bytes long: RabbitMQ allows at most %d", len(b.Queue), maxQueueName)
	}
	return nil
}

// vhostPath is the path of a vhost; "" for the default one.
func vhostPath(b *Broker) string {
	if b.VHost == "/" {
		return ""
	}
	return "/" + url.PathEscape(b.VHost)
}

// queuePath adds the queue of a service to the vhost in a broker's path.
func queuePath(s *workspace.Service, path string) string {
	if vhost := strings.Trim(path, "/"); vhost != "" {
		return "/" + vhost + "/" + url.PathEscape(s.QueueName())
	}
	return "/" + url.PathEscape(s.QueueName())
}

func checkExchange(p Parameters) error {
	if t := p.Text("exchangeType"); t != "" && !slices.Contains(exchangeTypes(), t) && !strings.HasPrefix(t, "x-") {
		return exit.WithHint(fmt.Errorf("unknown exchangeType %q", t), "use topic, direct, fanout, or headers")
	}
	if p.IsSet("exchangeType") && !p.IsSet("exchange") && !p.Flag("wildcards") {
		return errors.New("option exchangeType requires exchange")
	}
	if p.Flag("noAssert") {
		for _, name := range QueueParameters() {
			if p.IsSet(name) {
				return fmt.Errorf("option %s cannot be combined with noAssert", name)
			}
		}
	}
	return nil
}

// Asserts reports whether a client declares the queue before it sends. It does so
// only when the address configures the queue, because an existing queue was declared by
// its service.
func (p Parameters) Asserts() bool {
	declared := slices.ContainsFunc(QueueParameters(), p.IsSet) || p.Arguments() != nil
	return declared || p.IsSet("noAssert") && !p.Flag("noAssert")
}

// WithoutQueue reports whether messages go to an exchange alone.
func (p Parameters) WithoutQueue() bool { return p.IsSet("exchange") && p.byExchange() }

// byExchange reports whether messages go to an exchange of RabbitMQ.
func (p Parameters) byExchange() bool {
	return p.Flag("wildcards") || p.Text("exchangeType") == "fanout"
}

// Arguments returns the x-… arguments of a queue; nil for none.
func (p Parameters) Arguments() map[string]any {
	var list map[string]any
	for name, v := range p {
		if strings.HasPrefix(name, "x-") {
			if list == nil {
				list = map[string]any{}
			}
			list[name] = v
		}
	}
	return list
}

func rabbitPlace(t Target, p micro.Pattern) string {
	options := t.Broker.Parameters
	if !options.byExchange() {
		return "queue " + t.Broker.Queue
	}
	key := p.JSON()
	if micro.Name(p.Route()) == p {
		key = p.Route()
	}
	return fmt.Sprintf("exchange %s, routing key %s", cmp.Or(options.Text("exchange"), t.Broker.Queue), key)
}

func dialRabbitMQ(t Target, config *tls.Config, o DialOptions) micro.Conn {
	topology := rabbitTopology(t.Broker.Parameters)
	topology.NoDeclare = !t.Broker.Parameters.Asserts()
	opts := []microrabbit.DialOption{microrabbit.WithTopology(topology)}
	if config != nil {
		opts = append(opts, microrabbit.WithTLS(config))
	}
	if t.Broker.Parameters.Flag("persistent") {
		opts = append(opts, microrabbit.WithPersistent())
	}
	if name := t.Broker.Parameters.Text("replyQueue"); name != "" {
		opts = append(opts, microrabbit.WithReplyQueue(name))
	}
	return microrabbit.Dial(t.dialURLs(), t.Broker.Queue, opts...)
}

func listenRabbitMQ(t Target, config *tls.Config) Listener {
	p := t.Broker.Parameters
	topology := rabbitTopology(p)
	topology.NoDeclare = p.Flag("noAssert")
	opts := []microrabbit.ListenOption{microrabbit.WithTopology(topology), microrabbit.WithReconnect(10, 2*time.Second)}
	if config != nil {
		opts = append(opts, microrabbit.WithTLS(config))
	}
	if noAck := p.Truth("noAck"); noAck != nil {
		mode := microrabbit.AckAfterHandling
		if *noAck {
			mode = microrabbit.AckOnReceipt
		}
		opts = append(opts, microrabbit.WithAck(mode))
	}
	if p.IsSet("prefetchCount") {
		opts = append(opts, microrabbit.WithPrefetch(p.Number("prefetchCount"), p.Flag("isGlobalPrefetchCount")))
	}
	if tag := p.Text("consumerTag"); tag != "" {
		opts = append(opts, microrabbit.WithConsumerTag(tag))
	}
	return microrabbit.Listen(t.dialURLs(), t.Broker.Queue, opts...)
}

// rabbitTopology is what clients and servers declare alike.
func rabbitTopology(p Parameters) microrabbit.Topology {
	return microrabbit.Topology{
		Queue: microrabbit.QueueOptions{
			Durable: p.Truth("durable"), Exclusive: p.Flag("exclusive"), AutoDelete: p.Flag("autoDelete"),
			MessageTTL: p.millis("messageTtl"), Expires: p.millis("expires"),
			MaxLength: p.Number("maxLength"), MaxPriority: p.Number("maxPriority"),
			DeadLetterExchange: p.Text("deadLetterExchange"), DeadLetterRoutingKey: p.Text("deadLetterRoutingKey"),
			Arguments: p.Arguments(),
		},
		Exchange: p.Text("exchange"), ExchangeType: p.Text("exchangeType"),
		RoutingKey: p.Text("routingKey"), Wildcards: p.Flag("wildcards"),
	}
}

func (p Parameters) millis(name string) time.Duration {
	return time.Duration(p.Number(name)) * time.Millisecond
}

// explainRabbitMQ explains what RabbitMQ reports with a reply code; other errors
// are those of any broker.
func explainRabbitMQ(t Target, err error) error {
	text := rootCause(err)
	switch {
	case errors.Is(err, micro.ErrNotServed) && !t.Broker.Parameters.byExchange():
		text = fmt.Sprintf("queue %s does not exist at %s", t.Broker.Queue, t.Where())
		return t.notServed(err, text)
	case errors.Is(err, micro.ErrNotServed):
		return t.notServed(err, text)
	case strings.Contains(text, "PRECONDITION_FAILED"):
		return t.differentOptions(err, text)
	case !errors.Is(err, micro.ErrRefused):
		return explainBroker(t, err)
	}
	code := replyCode.FindStringSubmatch(text)
	if code == nil {
		return explainBroker(t, err)
	}
	err = exit.WithText(err, t.refusal(replyCode.ReplaceAllString(text, "$1")))
	switch code[2] {
	case "403":
		if errors.Is(err, micro.ErrForbidden) {
			return exit.WithHint(err, "%s", t.permissionHint(err))
		}
		return exit.WithHint(err, "%s", t.loginHint())
	case "530":
		return exit.WithHint(err, "is the vhost correct? It precedes the queue: %s://%s/VHOST/QUEUE", t.Scheme, t.Addresses[0])
	case "404":
		return exit.WithHint(err, "the exchange and queues named in the options of the address must already exist")
	}
	return err
}

// replyCode matches RabbitMQ's own text with its reply code, and what the transport
// adds to it.
var replyCode = regexp.MustCompile(`^(.*? \((\d{3})\)).*$`)

// inequivalent matches RabbitMQ's text for a queue or an exchange that exists with
// other options.
var inequivalent = regexp.MustCompile(`inequivalent arg '([^']+)' for (\w+) '.*' in vhost '.*': received .* but current is (none|the value '([^']*)'|'([^']*)')`)

// differentOptions explains that a queue or an exchange exists with different
// options, and which option of the address would match.
func (t Target) differentOptions(err error, text string) error {
	m := inequivalent.FindStringSubmatch(text)
	if m == nil {
		return exit.WithHint(exit.WithText(err, text), "to use the queue as it is, add ?noAssert=true to the address")
	}
	option, value := optionOf(m[1], m[2]), m[4]+m[5]
	name := t.Broker.Queue
	if m[2] == "exchange" {
		name = t.Broker.Parameters.Text("exchange")
	}
	err = exit.WithText(err, fmt.Sprintf("%s %s already exists with a different %s", m[2], name, option))
	if m[3] == "none" {
		return exit.WithHint(err, "it has no %s: remove the option from the address", option)
	}
	return exit.WithHint(err, "to match it, set %s=%s in the address", option, value)
}

// optionOf returns NestJS's name for an argument of a queue or an exchange.
func optionOf(argument, of string) string {
	names := map[string]string{
		"auto_delete": "autoDelete", "x-message-ttl": "messageTtl", "x-expires": "expires", "x-max-length": "maxLength",
		"x-max-priority": "maxPriority", "x-dead-letter-exchange": "deadLetterExchange", "x-dead-letter-routing-key": "deadLetterRoutingKey",
	}
	if argument == "type" && of == "exchange" {
		return "exchangeType"
	}
	return cmp.Or(names[argument], argument)
}
