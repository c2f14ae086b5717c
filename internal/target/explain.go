package target

import (
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"strings"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/runtime/micro"
)

// explain makes the person's sentence out of what a call of a target ended
// with, with the hint that fits. The exit code is exitCode's affair.
func Explain(err error, t Target) error {
	var remote *micro.Error
	switch {
	case err == nil, errors.As(err, &remote) && remote.Remote():
		return err
	case errors.Is(err, micro.ErrUnreachable) && t.Broker != nil:
		return t.explainBroker(err)
	case errors.Is(err, micro.ErrUnreachable):
		err = exit.WithText(err, "cannot reach "+t.Name()+AtAddress(t)+": "+rootCause(err))
		return exit.WithHint(err, "%s", t.StartHint("is it running there? another address goes in --to"))
	case errors.Is(err, micro.ErrConnectionLost) && t.Broker != nil:
		return exit.WithText(err, fmt.Sprintf("the connection to %s at %s was lost before there was an answer", t.Broker.Kind, t.Where()))
	case errors.Is(err, micro.ErrConnectionLost):
		return exit.WithText(err, t.Name()+" closed the connection before it had answered")
	case errors.Is(err, micro.ErrTimeout):
		return t.explainTimeout(err)
	}
	return err
}

// startHint is how to start the target where `msctl run` can, or another hint.
func (t Target) StartHint(other string) string {
	if t.Service == "" {
		return other
	}
	return fmt.Sprintf("start it with `msctl run %s`", t.Service)
}

// where is the broker's address without the queue.
func (t Target) Where() string { return t.Scheme + "://" + strings.Join(t.Addresses, ",") }

// explainBroker tells what keeps a message from its service on the way through a
// broker: the broker is not there, does not let us in, or has nobody for it.
func (t Target) explainBroker(err error) error {
	kind, text := t.Broker.Kind, rootCause(err)
	switch {
	case errors.Is(err, micro.ErrNotServed):
		return exit.WithHint(exit.WithText(err, t.notServed(text)), "%s", t.StartHint(t.ServedHint()))
	case strings.Contains(text, "PRECONDITION_FAILED"):
		return t.otherOptions(err, text)
	case errors.Is(err, micro.ErrRefused):
		return t.refused(err, text)
	}
	err = exit.WithText(err, fmt.Sprintf("cannot reach %s at %s: %s", kind, t.Where(), text))
	if t.Service != "" {
		return exit.WithHint(err, "`msctl run` starts one when there is none on this machine; %s says where it is", variableOf(kind))
	}
	return exit.WithHint(err, "is it running there? another address goes in --to")
}

// refused tells why the broker does not let us in, or do what the message needs.
func (t Target) refused(err error, text string) error {
	said, ok := strings.CutPrefix(placed.ReplaceAllString(text, "\x00"), "\x00")
	if !ok {
		said = "refuses: " + coded.ReplaceAllString(text, "$1")
	}
	err = exit.WithText(err, fmt.Sprintf("%s at %s %s", t.Broker.Kind, t.Where(), said))
	code := coded.FindStringSubmatch(text)
	switch {
	case code == nil, code[2] == "403":
		return exit.WithHint(err, "%s", t.loginHint())
	case code[2] == "530":
		return exit.WithHint(err, "is the vhost right? It stands before the queue: %s://%s/VHOST/QUEUE", t.Scheme, t.Addresses[0])
	case code[2] == "404":
		return exit.WithHint(err, "what the options behind the ? of the address name must be there already")
	}
	return err
}

// coded is a sentence of RabbitMQ with its code, and what the transport adds.
var coded = regexp.MustCompile(`^(.*? \((\d{3})\)).*$`)

// variableOf is the environment variable with the address of a broker.
func variableOf(k Kind) string {
	return map[Kind]string{RabbitMQ: "RABBITMQ_URL", Redis: "REDIS_URL", NATS: "NATS_URL"}[k]
}

// notServed says who is missing.
func (t Target) notServed(text string) string {
	name := ""
	if t.Service != "" {
		name = t.Service + " does not run: "
	}
	switch {
	case t.Broker.Kind == RabbitMQ && !t.byExchange():
		return fmt.Sprintf("%sthere is no queue %s at %s", name, t.Broker.Queue, t.Where())
	case t.Broker.Kind == RabbitMQ:
		return name + text
	}
	return fmt.Sprintf("%snobody at %s handles it", name, t.Where())
}

// byExchange reports whether messages go to an exchange of RabbitMQ.
func (t Target) byExchange() bool {
	return t.Broker.Parameters.Flag("wildcards") || t.Broker.Parameters.Text("exchangeType") == "fanout"
}

// servedHint is what to look at when nobody is there.
func (t Target) ServedHint() string {
	switch {
	case t.Broker.Kind == RabbitMQ && !t.byExchange():
		return "a service declares its queue when it starts; is the name right, and the vhost?"
	case t.Broker.Kind == RabbitMQ:
		return "a service binds its queue when it starts: is it running, and is there a pattern of its that matches?"
	}
	return "a service handles its patterns while it runs: is it running, and at this broker?"
}

// loginHint is what to look at when the broker does not let us in.
func (t Target) loginHint() string {
	switch l := t.Broker.Login; {
	case !l.Given:
		return fmt.Sprintf("it wants to know who asks: %s://user:password@%s, or user@ and the password in %s", t.Scheme, t.Addresses[0], PasswordVariable)
	case l.User == "":
		return fmt.Sprintf("is the password right? It stands before the @, or in %s", PasswordVariable)
	default:
		return fmt.Sprintf("is the password of %s right (in the address, or in %s), and may it do this?", l.User, PasswordVariable)
	}
}

// explainTimeout tells what may keep the answer.
func (t Target) explainTimeout(err error) error {
	hint := "a longer --timeout waits longer"
	if t.Broker != nil && t.Broker.Kind == RabbitMQ {
		hint = "the message waits in the queue until its service takes it: does it run? A longer --timeout waits longer"
	}
	text := t.Name() + " did not answer in time"
	if _, more, ok := strings.Cut(err.Error(), micro.ErrTimeout.Error()+": "); ok {
		text += ": " + more // what the transport knows of it
	}
	return exit.WithHint(exit.WithText(err, text), "%s", hint)
}

// inequivalent is how RabbitMQ tells what differs.
var inequivalent = regexp.MustCompile(`inequivalent arg '([^']+)' for (\w+) '.*' in vhost '.*': received .* but current is (none|the value '([^']*)'|'([^']*)')`)

// otherOptions explains that a queue or an exchange exists with other options, and
// which option of the address says them.
func (t Target) otherOptions(err error, text string) error {
	m := inequivalent.FindStringSubmatch(text)
	if m == nil {
		return exit.WithHint(exit.WithText(err, text), "%s", "noAssert=true behind the ? of the address takes the queue as it is")
	}
	option, value := optionOf(m[1], m[2]), m[4]+m[5]
	what := t.Broker.Queue
	if m[2] == "exchange" {
		what = t.Broker.Parameters.Text("exchange")
	}
	err = exit.WithText(err, fmt.Sprintf("the %s %s exists with another %s", m[2], what, option))
	if m[3] == "none" {
		return exit.WithHint(err, "it has no %s: leave it out behind the ? of the address", option)
	}
	return exit.WithHint(err, "it has %s: say so behind the ? of the address, %s=%s", value, option, value)
}

// optionOf is NestJS' name for an argument of a queue or an exchange.
func optionOf(argument, of string) string {
	names := map[string]string{
		"auto_delete": "autoDelete", "x-message-ttl": "messageTtl", "x-expires": "expires", "x-max-length": "maxLength",
		"x-max-priority": "maxPriority", "x-dead-letter-exchange": "deadLetterExchange", "x-dead-letter-routing-key": "deadLetterRoutingKey",
	}
	if argument == "type" && of == "exchange" {
		return "exchangeType"
	}
	if name, ok := names[argument]; ok {
		return name
	}
	return argument
}

func AtAddress(t Target) string {
	if t.Service == "" {
		return ""
	}
	return " at " + t.String()
}

// rootCause is why something could not be reached, without the layers that say
// only that it could not.
func rootCause(err error) string {
	var (
		dns     *net.DNSError
		system  *os.SyscallError
		network *net.OpError
	)
	switch {
	case errors.As(err, &dns):
		if dns.IsNotFound {
			return "there is no host " + dns.Name
		}
		return dns.Error()
	case errors.As(err, &system):
		return system.Err.Error()
	case errors.As(err, &network):
		return network.Err.Error()
	}
	text := err.Error()
	if _, inner, ok := strings.Cut(text, micro.ErrUnreachable.Error()+": "); ok {
		text = inner
	}
	for _, layer := range []error{micro.ErrRefused, micro.ErrNotServed} {
		text = strings.TrimPrefix(text, strings.TrimPrefix(layer.Error(), micro.ErrUnreachable.Error()+": ")+": ")
	}
	return connecting.ReplaceAllString(text, "")
}

// placed is how the transports begin a sentence about a broker.
var placed = regexp.MustCompile(`^(RabbitMQ|Redis|NATS) at \S+ `)

// connecting is how the transports begin an error of the way to the broker, which
// is told already.
var connecting = regexp.MustCompile(`^connect to (\w+ at )?\S+: `)
