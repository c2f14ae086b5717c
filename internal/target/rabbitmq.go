package target

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net/url"
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
			"deadLetterExchange": emptyParameter, "deadLetterRoutingKey": emptyParameter, "overflow": textParameter, "queueMode": textParameter,
			"exchange": textParameter, "exchangeType": textParameter, "routingKey": textParameter, "wildcards": boolParameter,
			"persistent": boolParameter, "replyQueue": textParameter,
			"noAck": boolParameter, "prefetchCount": intParameter, "isGlobalPrefetchCount": boolParameter, "consumerTag": textParameter,
		},
		argument: argument,
		aliases: map[string]string{
			"alternate-exchange": exchangeArgument + "alternate-exchange", "alternateExchange": exchangeArgument + "alternate-exchange",
			"prefetch": "prefetchCount", "ttl": "messageTtl", "type": "exchangeType",
		},
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
	return []string{
		"durable", "exclusive", "autoDelete", "messageTtl", "expires", "maxLength", "maxPriority", "deadLetterExchange", "deadLetterRoutingKey",
		"overflow", "queueMode",
	}
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
	if p.ExchangeArguments() != nil && !p.IsSet("exchange") && !p.Flag("wildcards") {
		return errors.New("option exchangeArguments requires exchange")
	}
	if p.Flag("noAssert") {
		for _, name := range slices.Concat(QueueParameters(), slices.Sorted(maps.Keys(p))) {
			if p.IsSet(name) && (slices.Contains(QueueParameters(), name) || isArgument(name) && !ofExchange(name)) {
				return fmt.Errorf("option %s cannot be combined with noAssert", name)
			}
		}
	}
	return nil
}

// Configures reports whether the address describes how the queue is declared, or asks to
// declare it.
func (p Parameters) Configures() bool {
	declared := slices.ContainsFunc(QueueParameters(), p.IsSet) || p.Arguments() != nil
	return declared || p.IsSet("noAssert") && !p.Flag("noAssert")
}

// WithoutQueue reports whether messages go to an exchange alone.
func (p Parameters) WithoutQueue() bool { return p.IsSet("exchange") && p.byExchange() }

// byExchange reports whether messages go to an exchange of RabbitMQ.
func (p Parameters) byExchange() bool {
	return p.Flag("wildcards") || p.Text("exchangeType") == "fanout"
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
	opts := []microrabbit.DialOption{microrabbit.WithTopology(rabbitTopology(t.Broker.Parameters)), microrabbit.WithControl(o.Control)}
	if config != nil {
		opts = append(opts, microrabbit.WithTLS(config))
	}
	if o.Wait {
		opts = append(opts, microrabbit.WithWait())
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

// rabbitTopology is the queue and the exchange. Only services declare them.
func rabbitTopology(p Parameters) microrabbit.Topology {
	return microrabbit.Topology{
		Queue: microrabbit.QueueOptions{
			Durable: p.Truth("durable"), Exclusive: p.Flag("exclusive"), AutoDelete: p.Flag("autoDelete"),
			Arguments: p.queueArguments(),
		},
		Exchange: p.Text("exchange"), ExchangeType: p.Text("exchangeType"), ExchangeArguments: p.ExchangeArguments(),
		RoutingKey: p.Text("routingKey"), Wildcards: p.Flag("wildcards"),
	}
}
