package cli

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
)

// nestPassword is the expression for a password in TypeScript: it is never part
// of the code.
const nestPassword = "process.env." + passwordVariable

// nestBroker is NestJS' name of a broker's transport, and its options.
func nestBroker(t target) (name, options string) {
	var members []string
	add := func(name, value string) { members = append(members, name+": "+value) }
	switch t.broker.kind {
	case rabbitMQ:
		name = "RMQ"
		nestRabbit(t, add)
	case redisKV:
		name = "REDIS"
		nestRedis(t, add)
	case natsIO:
		name = "NATS"
		nestNATS(t, add)
	}
	return name, strings.Join(members, ", ")
}

func nestRabbit(t target, add func(name, value string)) {
	p := t.broker.params
	urls := make([]string, len(t.addresses))
	for i, address := range t.addresses {
		urls[i] = nestRabbitURL(t, address)
	}
	add("urls", "["+strings.Join(urls, ", ")+"]")
	add("queue", quoteJSON(t.broker.queue))
	if options := nestQueueOptions(p); options != "" {
		add("queueOptions", "{ "+options+" }")
	}
	if !p.asserts() && !p.withoutQueue() {
		add("noAssert", "true")
	}
	for _, name := range []string{"exchange", "exchangeType", "routingKey", "replyQueue"} {
		if text := p.text(name); text != "" {
			add(name, quoteJSON(text))
		}
	}
	for _, name := range []string{"wildcards", "persistent"} {
		if p.flag(name) {
			add(name, "true")
		}
	}
}

// nestRabbitURL is a text, or where there is a password the object that may take
// its place.
func nestRabbitURL(t target, address string) string {
	b := t.broker
	if b.login.password == nil {
		_, path := t.dialForm()
		return quoteJSON(t.scheme + "://" + address + path)
	}
	host, port, _ := net.SplitHostPort(address) // it is one
	return fmt.Sprintf("{ protocol: %s, hostname: %s, port: %s, username: %s, password: %s, vhost: %s }",
		quoteJSON(t.scheme), quoteJSON(host), port, quoteJSON(b.login.user), nestPassword, quoteJSON(b.vhost))
}

// nestQueueOptions are the options of the queue that were given.
func nestQueueOptions(p params) string {
	var list []string
	for _, name := range queueParams() {
		if v := p[name]; v != nil {
			list = append(list, name+": "+literal(v))
		}
	}
	if arguments := p.arguments(); arguments != nil {
		var inner []string
		for _, name := range slices.Sorted(maps.Keys(arguments)) {
			inner = append(inner, quoteJSON(name)+": "+literal(arguments[name]))
		}
		list = append(list, "arguments: { "+strings.Join(inner, ", ")+" }")
	}
	return strings.Join(list, ", ")
}

// literal is the value of an option as both languages write it.
func literal(v any) string {
	if text, ok := v.(string); ok {
		return strconv.Quote(text)
	}
	return fmt.Sprint(v)
}

func nestRedis(t target, add func(name, value string)) {
	host, port := t.firstHostPort()
	add("host", quoteJSON(host))
	add("port", port)
	if l := t.broker.login; l.given && l.user != "" {
		add("username", quoteJSON(l.user))
	}
	if t.broker.login.password != nil {
		add("password", nestPassword)
	}
	if t.broker.db != "" {
		add("db", t.broker.db)
	}
	if t.encrypted() {
		add("tls", "{}")
	}
}

func nestNATS(t target, add func(name, value string)) {
	servers := make([]string, len(t.addresses))
	for i, address := range t.addresses {
		servers[i] = quoteJSON("nats://" + address)
	}
	add("servers", "["+strings.Join(servers, ", ")+"]")
	switch l := t.broker.login; {
	case l.password == nil:
	case l.user == "":
		add("token", nestPassword)
	default:
		add("user", quoteJSON(l.user))
		add("pass", nestPassword)
	}
	if prefix := t.broker.params.text("inboxPrefix"); prefix != "" {
		add("inboxPrefix", quoteJSON(prefix))
	}
	if t.encrypted() {
		add("tls", "{}")
	}
}

// dialBroker gives the expression that dials a broker. For a password it writes
// the line that takes it from the environment.
func (g *goProgram) dialBroker(t target) string {
	if t.broker.login.password != nil {
		g.use("net/url", "os")
		info := fmt.Sprintf("url.UserPassword(%q, os.Getenv(%q))", t.broker.login.user, passwordVariable)
		if t.broker.login.user == "" && t.broker.kind == natsIO {
			info = fmt.Sprintf("url.User(os.Getenv(%q))", passwordVariable)
		}
		g.printf("login := %s\n", info)
	}
	name := map[kind]string{rabbitMQ: "microrabbit", redisKV: "microredis", natsIO: "micronats"}[t.broker.kind]
	g.use(runtimePath + name)
	arguments := []string{goURLs(t)}
	if t.broker.kind == rabbitMQ {
		arguments = append(arguments, strconv.Quote(t.broker.queue))
		arguments = append(arguments, goRabbitOptions(t.broker.params)...)
	}
	if prefix := t.broker.params.text("inboxPrefix"); prefix != "" {
		arguments = append(arguments, fmt.Sprintf("micronats.WithInboxPrefix(%q)", prefix))
	}
	return name + ".Dial(" + strings.Join(arguments, ", ") + ")"
}

// goURLs is the expression for the URLs of a broker.
func goURLs(t target) string {
	b := t.broker
	scheme, path := t.dialForm()
	var parts []string // texts and expressions in turns
	text := ""
	for i, address := range t.addresses {
		if i > 0 {
			text += ","
		}
		text += scheme + "://"
		if b.login.password != nil {
			parts = append(parts, strconv.Quote(text), "login.String()")
			text = "@"
		} else {
			text += b.login.String()
		}
		text += address + path
	}
	return strings.Join(append(parts, strconv.Quote(text)), "+")
}

// goRabbitOptions are the expressions of the options of a client.
func goRabbitOptions(p params) (options []string) {
	add := func(format string, args ...any) {
		options = append(options, "microrabbit."+fmt.Sprintf(format, args...))
	}
	if queue := goQueueOptions(p); queue != "" {
		add("WithQueueOptions(microrabbit.QueueOptions{%s})", queue)
	}
	if !p.asserts() {
		add("WithoutAssert()")
	}
	if p.isSet("exchange") || p.isSet("exchangeType") {
		add("WithExchange(%q, %q, nil)", p.text("exchange"), cmp.Or(p.text("exchangeType"), "topic"))
	}
	if p.flag("wildcards") {
		add("WithWildcards()")
	}
	if key := p.text("routingKey"); key != "" {
		add("WithRoutingKey(%q)", key)
	}
	if p.flag("persistent") {
		add("WithPersistent()")
	}
	if name := p.text("replyQueue"); name != "" {
		add("WithReplyQueue(%q)", name)
	}
	return options
}

// goQueueOptions are the fields of microrabbit.QueueOptions that were given.
func goQueueOptions(p params) string {
	var fields []string
	add := func(name, value string) { fields = append(fields, name+": "+value) }
	if durable := p.truth("durable"); durable != nil {
		add("Durable", fmt.Sprintf("new(%t)", *durable))
	}
	for _, f := range [][2]string{{"exclusive", "Exclusive"}, {"autoDelete", "AutoDelete"}} {
		if p.flag(f[0]) {
			add(f[1], "true")
		}
	}
	for _, f := range [][2]string{{"messageTtl", "MessageTTL"}, {"expires", "Expires"}} {
		if p.isSet(f[0]) {
			add(f[1], goDuration(inMillis(p.number(f[0]))))
		}
	}
	for _, f := range [][2]string{
		{"maxLength", "MaxLength"}, {"maxPriority", "MaxPriority"},
		{"deadLetterExchange", "DeadLetterExchange"}, {"deadLetterRoutingKey", "DeadLetterRoutingKey"},
	} {
		if p.isSet(f[0]) {
			add(f[1], literal(p[f[0]]))
		}
	}
	if arguments := p.arguments(); arguments != nil {
		var inner []string
		for _, name := range slices.Sorted(maps.Keys(arguments)) {
			inner = append(inner, strconv.Quote(name)+": "+literal(arguments[name]))
		}
		add("Arguments", "map[string]any{"+strings.Join(inner, ", ")+"}")
	}
	return strings.Join(fields, ", ")
}
