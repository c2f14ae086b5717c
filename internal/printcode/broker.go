package printcode

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/msctl/msctl/internal/target"
)

// nestPassword is the TypeScript expression for a password. The password itself is never
// part of the code.
const nestPassword = "process.env." + target.PasswordVariable

// nestBroker returns NestJS's name of a broker's transport, and its options.
func nestBroker(t target.Target) (name, options string) {
	var members []string
	add := func(name, value string) { members = append(members, name+": "+value) }
	switch t.Kind() {
	case target.RabbitMQ:
		name = "RMQ"
		nestRabbit(t, add)
	case target.Redis:
		name = "REDIS"
		nestRedis(t, add)
	case target.NATS:
		name = "NATS"
		nestNATS(t, add)
	}
	return name, strings.Join(members, ", ")
}

func nestRabbit(t target.Target, add func(name, value string)) {
	p := t.Broker.Parameters
	urls := make([]string, len(t.Addresses))
	for i, address := range t.Addresses {
		urls[i] = nestRabbitURL(t, address)
	}
	add("urls", "["+strings.Join(urls, ", ")+"]")
	add("queue", quote(t.Broker.Queue))
	if options := nestQueueOptions(p); options != "" {
		add("queueOptions", "{ "+options+" }")
	}
	if !p.Configures() && !p.WithoutQueue() {
		add("noAssert", "true")
	}
	for _, name := range []string{"exchange", "exchangeType", "routingKey", "replyQueue"} {
		if text := p.Text(name); text != "" {
			add(name, quote(text))
		}
	}
	if arguments := p.ExchangeArguments(); arguments != nil {
		add("exchangeArguments", nestLiteral(arguments))
	}
	for _, name := range []string{"wildcards", "persistent"} {
		if p.Flag(name) {
			add(name, "true")
		}
	}
}

// nestRabbitURL returns a string, or, with a password, the equivalent object.
func nestRabbitURL(t target.Target, address string) string {
	b := t.Broker
	if t.Login.Password == nil {
		_, path := t.DialForm()
		return quote(t.Scheme + "://" + address + path)
	}
	host, port, _ := net.SplitHostPort(address) // always valid
	return fmt.Sprintf("{ protocol: %s, hostname: %s, port: %s, username: %s, password: %s, vhost: %s }",
		quote(t.Scheme), quote(host), port, quote(t.Login.User), nestPassword, quote(b.VHost))
}

// nestQueueOptions returns the options of the queue that are set.
func nestQueueOptions(p target.Parameters) string {
	var list []string
	for _, name := range target.QueueParameters() {
		if v := p[name]; v != nil {
			list = append(list, name+": "+nestLiteral(v))
		}
	}
	if arguments := p.Arguments(); arguments != nil {
		list = append(list, "arguments: "+nestLiteral(arguments))
	}
	return strings.Join(list, ", ")
}

// nestLiteral returns the value of an option in TypeScript.
func nestLiteral(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return quote(v)
	case []any:
		items := make([]string, len(v))
		for i, item := range v {
			items[i] = nestLiteral(item)
		}
		return "[" + strings.Join(items, ", ") + "]"
	case map[string]any:
		var members []string
		for _, name := range slices.Sorted(maps.Keys(v)) {
			members = append(members, quote(name)+": "+nestLiteral(v[name]))
		}
		return "{ " + strings.Join(members, ", ") + " }"
	}
	return fmt.Sprint(v)
}

func nestRedis(t target.Target, add func(name, value string)) {
	switch host, port := t.FirstHostPort(); {
	case target.IsSocket(port):
		add("path", quote(port))
	case t.Broker.Master != "":
		var list []string
		for _, address := range t.Addresses {
			host, port, _ := net.SplitHostPort(address) // always valid
			list = append(list, fmt.Sprintf("{ host: %s, port: %s }", quote(host), port))
		}
		add("sentinels", "["+strings.Join(list, ", ")+"]")
		add("name", quote(t.Broker.Master))
	default:
		add("host", quote(host))
		add("port", port)
	}
	if l := t.Login; l.Given && l.User != "" {
		add("username", quote(l.User))
	}
	if t.Login.Password != nil {
		add("password", nestPassword)
	}
	if t.Broker.DB != "" {
		add("db", t.Broker.DB)
	}
	if t.Encrypted() {
		add("tls", "{}")
	}
}

func nestNATS(t target.Target, add func(name, value string)) {
	servers := make([]string, len(t.Addresses))
	for i, address := range t.Addresses {
		servers[i] = quote("nats://" + address)
	}
	add("servers", "["+strings.Join(servers, ", ")+"]")
	switch l := t.Login; {
	case l.Password == nil:
	case l.User == "":
		add("token", nestPassword)
	default:
		add("user", quote(l.User))
		add("pass", nestPassword)
	}
	if prefix := t.Broker.Parameters.Text("inboxPrefix"); prefix != "" {
		add("inboxPrefix", quote(prefix))
	}
	if path := t.Broker.Parameters.Text("creds"); path != "" {
		add("authenticator", "credsAuthenticator(readFileSync("+quote(path)+"))")
	}
	if path := t.Broker.Parameters.Text("nkey"); path != "" {
		add("authenticator", "nkeyAuthenticator(Buffer.from(readFileSync("+quote(path)+", 'utf8').trim()))")
	}
	if t.Encrypted() {
		add("tls", "{}")
	}
}

// nestNATSImports returns the imports that nestNATS requires.
func nestNATSImports(t target.Target) string {
	for option, function := range map[string]string{"creds": "credsAuthenticator", "nkey": "nkeyAuthenticator"} {
		if t.Kind() == target.NATS && t.Broker.Parameters.IsSet(option) {
			return "import { readFileSync } from 'node:fs';\nimport { " + function + " } from '@nats-io/transport-node';\n"
		}
	}
	return ""
}

// dialBroker returns the expression that dials a broker. For a password, it writes a line
// that reads it from the environment.
func (g *goProgram) dialBroker(t target.Target) string {
	if t.Login.Password != nil {
		g.use("net/url", "os")
		info := fmt.Sprintf("url.UserPassword(%q, os.Getenv(%q))", t.Login.User, target.PasswordVariable)
		if t.Login.User == "" && t.Kind() == target.NATS {
			info = fmt.Sprintf("url.User(os.Getenv(%q))", target.PasswordVariable)
		}
		g.printf("login := %s\n", info)
	}
	name := map[target.Kind]string{target.RabbitMQ: "microrabbit", target.Redis: "microredis", target.NATS: "micronats"}[t.Kind()]
	g.use(runtimePath + name)
	arguments := []string{goURLs(t)}
	if t.Kind() == target.RabbitMQ {
		arguments = append(arguments, strconv.Quote(t.Broker.Queue))
		arguments = append(arguments, goRabbitOptions(t.Broker.Parameters)...)
	}
	if prefix := t.Broker.Parameters.Text("inboxPrefix"); prefix != "" {
		arguments = append(arguments, fmt.Sprintf("micronats.WithInboxPrefix(%q)", prefix))
	}
	if path := t.Broker.Parameters.Text("creds"); path != "" {
		arguments = append(arguments, fmt.Sprintf("micronats.WithCredentialsFile(%q)", path))
	}
	if path := t.Broker.Parameters.Text("nkey"); path != "" {
		arguments = append(arguments, fmt.Sprintf("micronats.WithNKeyFile(%q)", path))
	}
	return name + ".Dial(" + strings.Join(arguments, ", ") + ")"
}

// goURLs returns the expression for the URLs of a broker.
func goURLs(t target.Target) string {
	scheme, path := t.DialForm()
	var parts []string // alternately strings and expressions
	text := ""
	for i, address := range t.Addresses {
		if i > 0 {
			text += ","
		}
		text += scheme + "://"
		if t.Login.Password != nil {
			parts = append(parts, strconv.Quote(text), "login.String()")
			text = "@"
		} else {
			text += t.Login.String()
		}
		text += address + path
	}
	return strings.Join(append(parts, strconv.Quote(text)), "+")
}

// goRabbitOptions returns the expressions for the options of a client.
func goRabbitOptions(p target.Parameters) (options []string) {
	add := func(format string, args ...any) {
		options = append(options, "microrabbit."+fmt.Sprintf(format, args...))
	}
	if topology := goTopology(p); topology != "" {
		add("WithTopology(microrabbit.Topology{%s})", topology)
	}
	if p.Flag("persistent") {
		add("WithPersistent()")
	}
	if name := p.Text("replyQueue"); name != "" {
		add("WithReplyQueue(%q)", name)
	}
	return options
}

// goTopology returns the fields of microrabbit.Topology that a client uses. It declares
// neither the queue nor the exchange.
func goTopology(p target.Parameters) string {
	var fields []string
	for _, f := range [][2]string{{"exchange", "Exchange"}, {"exchangeType", "ExchangeType"}} {
		if text := p.Text(f[0]); text != "" {
			fields = append(fields, fmt.Sprintf("%s: %q", f[1], text))
		}
	}
	if p.Flag("wildcards") {
		fields = append(fields, "Wildcards: true")
	}
	return strings.Join(fields, ", ")
}
