package target

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microrabbit"
)

// explainRabbitMQ explains what RabbitMQ reports with a reply code; other errors
// are those of any broker.
func explainRabbitMQ(t Target, err error) error {
	text := rootCause(err)
	var full *microrabbit.LimitError
	switch {
	case errors.As(err, &full):
		err = exit.WithText(err, fmt.Sprintf("%s at %s has no room at the moment: %s", t.Kind(), t.Where(), full))
		return exit.WithHint(err, "%s, or increase --timeout to wait for room", raise(full))
	case errors.Is(err, microrabbit.ErrNoExchange):
		return exit.WithHint(exit.WithText(err, fmt.Sprintf("exchange %s does not exist at %s", t.exchange(), t.Where())), "%s",
			t.StartHint("a service declares its exchange when it starts: are the exchange and the vhost correct?"))
	case errors.Is(err, micro.ErrNotServed) && !t.Broker.Parameters.byExchange():
		text = fmt.Sprintf("queue %s does not exist at %s", t.Broker.Queue, t.Where())
		return t.notServed(err, text)
	case errors.Is(err, micro.ErrNotServed):
		return t.notServed(err, text)
	case strings.Contains(text, "PRECONDITION_FAILED"):
		return t.precondition(err, text)
	case !errors.Is(err, micro.ErrRefused):
		return explainBroker(t, err)
	}
	code := replyCode.FindStringSubmatch(text)
	if code == nil {
		return explainBroker(t, err)
	}
	err = exit.WithText(err, t.refusal(replyCode.ReplaceAllString(text, "$1")))
	if hint := t.rejectionHint(err, text, code[2]); hint != "" {
		return exit.WithHint(err, "%s", hint)
	}
	return err
}

// raise returns how to raise a limit.
func raise(l *microrabbit.LimitError) string {
	switch l.Of {
	case "virtual host":
		return fmt.Sprintf("`rabbitmqctl set_vhost_limits -p %s '{\"%s\": N}'` raises the limit", l.Name, l.Limit)
	case "user":
		return fmt.Sprintf("`rabbitmqctl set_user_limits %s '{\"%s\": N}'` raises the limit", l.Name, l.Limit)
	}
	return l.Limit + " in the broker's rabbitmq.conf raises the limit"
}

// replyCode matches RabbitMQ's own text with its reply code, and what the transport
// adds to it.
var replyCode = regexp.MustCompile(`^(.*? \((\d{3})\)).*$`)

// deniedVHost matches RabbitMQ's text for a user without access to a vhost.
var deniedVHost = regexp.MustCompile(`access to vhost '(.*)' refused for user '([^']*)'`)

// rejectionHint returns what to do about an operation that RabbitMQ has rejected, or "". A
// wrong password and a missing permission have different hints.
func (t Target) rejectionHint(err error, text, code string) string {
	switch {
	case strings.Contains(text, "Login was refused"):
		return t.loginHint()
	case code == "404":
		return "the exchange and queues named in the options of the address must already exist"
	case strings.Contains(text, "not found"):
		return fmt.Sprintf("is the vhost correct? It precedes the queue: %s://%s/VHOST/QUEUE", t.Scheme, t.Addresses[0])
	}
	var denied *microrabbit.PermissionError
	if errors.As(err, &denied) {
		return missingPermission(denied)
	}
	if m := deniedVHost.FindStringSubmatch(text); m != nil {
		return fmt.Sprintf("the login is correct, but %s has no access to the vhost %s: `rabbitmqctl set_permissions -p %s %s CONFIGURE WRITE READ` grants it", m[2], m[1], m[1], m[2])
	}
	if errors.Is(err, micro.ErrForbidden) {
		return t.permissionHint(err)
	}
	return ""
}

// missingPermission names the permission that a user lacks, and how to see those it has.
func missingPermission(denied *microrabbit.PermissionError) string {
	list, place := "list_user_permissions", denied.Kind+" "+denied.Name
	switch {
	case denied.Kind == "topic":
		list, place = "list_user_topic_permissions", "routing key "+denied.Name
	case denied.Name == "amq.default":
		place += ", which delivers messages and replies to queues,"
	}
	return fmt.Sprintf("%s lacks the %s permission for the %s in the vhost %s: `rabbitmqctl %s %s` shows what it has",
		denied.User, denied.Permission, place, denied.VHost, list, denied.User)
}

// exchange returns the exchange that messages are sent to.
func (t Target) exchange() string {
	if name := t.Broker.Parameters.Text("exchange"); name != "" {
		return name
	}
	return t.Broker.Queue
}

// sizeLimit matches RabbitMQ's text for a message that is too large.
var sizeLimit = regexp.MustCompile(`message size (\d+) is larger than (?:configured )?max size (\d+)`)

// inequivalent matches RabbitMQ's text for a queue or an exchange that exists with
// other options.
var inequivalent = regexp.MustCompile(`(?s)inequivalent arg '(.+?)' for (\w+) '(.*?)' in vhost '.*': received .* but current is (?:(none)|the value '(.*)' of type '(\w+)'|'(.*?)')`)

// precondition explains what does not fit: the message, or options that differ from those
// of an existing queue or exchange, and which option of the address would match.
func (t Target) precondition(err error, text string) error {
	if m := sizeLimit.FindStringSubmatch(text); m != nil {
		err = exit.WithText(err, fmt.Sprintf("the message is too large for %s at %s: it has %s bytes, and the limit is %s", t.Kind(), t.Where(), m[1], m[2]))
		return exit.WithHint(err, "max_message_size in the broker's rabbitmq.conf raises the limit")
	}
	m := inequivalent.FindStringSubmatch(text)
	if m == nil {
		return exit.WithText(err, t.refusal(replyCode.ReplaceAllString(text, "$1")))
	}
	option := optionOf(m[1], m[2])
	if option == "" {
		err = exit.WithText(err, fmt.Sprintf("%s %s already exists with a different %s", m[2], m[3], m[1]))
		return exit.WithHint(err, "NestJS services and msctl use only durable exchanges: use another one, or delete it")
	}
	err = exit.WithText(err, fmt.Sprintf("%s %s already exists with a different %s", m[2], m[3], option))
	value, known := m[5]+m[7], true
	switch m[6] {
	case "", "longstr": // without a type, an argument is a text
		if isArgument(option) {
			value = argumentText(value)
		}
	case "array", "table":
		value, known = termJSON(value, m[6])
	case "timestamp", "void", "decimal":
		known = false
	}
	switch {
	case m[4] != "":
		return exit.WithHint(err, "it has no %s: remove the option from the address", option)
	case !known:
		return exit.WithHint(err, "an address cannot express its value, %s: use another %s, or delete it", oneLine(m[5]), m[2])
	}
	return exit.WithHint(err, "to match it, set %s=%s in the address", option, url.QueryEscape(value))
}

// oneLine removes the line breaks from a term that RabbitMQ prints.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// optionOf returns the option for an argument of a queue or an exchange, or "" if an
// address cannot express it.
func optionOf(argument, of string) string {
	switch {
	case of == "exchange" && argument == "type":
		return "exchangeType"
	case of == "exchange" && (argument == "durable" || argument == "auto_delete" || argument == "internal"):
		return ""
	case of == "exchange":
		return exchangeArgument + argument
	case argument == "durable" || argument == "exclusive":
		return argument
	case argument == "auto_delete":
		return "autoDelete"
	}
	for name, other := range namedArguments() {
		if other == argument {
			return name
		}
	}
	if strings.HasPrefix(argument, "x-") {
		return argument
	}
	return queueArgument + argument
}
