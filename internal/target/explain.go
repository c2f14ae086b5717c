package target

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/micronats"
	"github.com/msctl/msctl/runtime/microredis"
	"github.com/msctl/msctl/runtime/microtcp"
)

// Explain rewrites the error of a call for the user and adds a hint. The result
// wraps err, so it has the same exit code.
func Explain(err error, t Target) error {
	var remote *micro.Error
	if err == nil || errors.As(err, &remote) && remote.Remote() {
		return err
	}
	if rejected := explainTLS(err, t); rejected != nil {
		return rejected
	}
	var large *microtcp.TooLargeError
	switch {
	case errors.As(err, &large):
		return explainTooLarge(err, large, t)
	case errors.Is(err, micro.ErrUnreachable):
		return t.transport().explain(t, err)
	case errors.Is(err, micro.ErrConnectionLost) && t.Broker != nil:
		return exit.WithText(err, fmt.Sprintf("lost the connection to %s at %s before the reply", t.Kind(), t.Where()))
	case errors.Is(err, micro.ErrTimeout):
		return t.explainTimeout(err)
	case errors.Is(err, micro.ErrBadReply):
		_, why, _ := strings.Cut(innermost(err, micro.ErrBadReply), micro.ErrBadReply.Error()+": it ")
		return exit.WithHint(exit.WithText(err, "the reply of "+t.Name()+" "+why), "%s", t.replyHint())
	case errors.Is(err, micro.ErrConnectionLost):
		return exit.WithText(err, t.Name()+" closed the connection before replying")
	}
	return err
}

// explainTooLarge explains that msctl itself has closed the connection.
func explainTooLarge(err error, large *microtcp.TooLargeError, t Target) error {
	text := fmt.Sprintf("msctl closed the connection: the reply of %s is larger than the limit of %d characters", t.Name(), large.Limit)
	const step = 1 << 20
	enough := max((large.Length+step/2)/step+1, 2*large.Limit/step) * step // with room for the header
	return exit.WithHint(exit.WithCode(exit.WithText(err, text), exit.Failed), "--max-buffer-size %d raises it (in Go: microtcp.WithMaxBufferSize)", enough)
}

// replyHint describes a reply of the target's transport, for services that send others.
func (t Target) replyHint() string {
	switch t.Kind() {
	case RabbitMQ:
		return `a NestJS service replies with {"response":…,"isDisposed":true} and the correlation ID of the request`
	case TCP:
		return `a NestJS service replies with LENGTH#{"response":…,"isDisposed":true,"id":…}, where LENGTH counts UTF-16 code units and id is that of the request`
	}
	return `a NestJS service replies with {"response":…,"isDisposed":true,"id":…}, where id is that of the request`
}

// StartHint returns how to start the target if `msctl run` can, or another hint.
func (t Target) StartHint(other string) string {
	if t.Service == "" {
		return other
	}
	return fmt.Sprintf("start it with `msctl run %s`", t.Service)
}

// explainBroker explains why a message did not get from a broker to a service: the
// broker is unreachable, rejects the user, or has no subscriber.
func explainBroker(t Target, err error) error {
	text := rootCause(err)
	switch {
	case errors.Is(err, micro.ErrNotServed):
		return t.notServed(err, "no subscriber at "+t.Where())
	case errors.Is(err, micro.ErrForbidden):
		return exit.WithHint(exit.WithText(err, t.refusal(text)), "%s", t.permissionHint(err))
	case errors.Is(err, micro.ErrRefused):
		return exit.WithHint(exit.WithText(err, t.refusal(text)), "%s", t.loginHint())
	}
	err = exit.WithText(err, fmt.Sprintf("cannot reach %s at %s: %s", t.Kind(), t.Where(), text))
	if t.Service != "" {
		return exit.WithHint(err, "`msctl run` starts a broker on this machine if none is running; %s selects another one", t.transport().environment)
	}
	return exit.WithHint(err, "is it running? --to sets another address")
}

// notServed explains that no service received a message.
func (t Target) notServed(err error, text string) error {
	if t.Service != "" {
		text = t.Service + " is not running: " + text
	}
	return exit.WithHint(exit.WithText(err, text), "%s", t.StartHint(t.ServedHint()))
}

// ServedHint returns what to check when no service receives a message.
func (t Target) ServedHint() string {
	switch {
	case t.Kind() != RabbitMQ:
		return "is the service running, and does it use this broker?"
	case t.Broker.Parameters.byExchange():
		return "a service binds its queue when it starts: is it running, and does one of its patterns match?"
	}
	return "a service declares its queue when it starts: are the queue and the vhost correct?"
}

// refusal is the text for a broker that rejects a connection or an operation.
func (t Target) refusal(text string) string {
	if said := atBroker.ReplaceAllString(text, ""); said != text {
		return fmt.Sprintf("%s at %s %s", t.Kind(), t.Where(), said)
	}
	return fmt.Sprintf("%s at %s rejected the request: %s", t.Kind(), t.Where(), text)
}

// atBroker matches the start of a transport's sentence about a broker.
var atBroker = regexp.MustCompile(`^(RabbitMQ|Redis|NATS) at \S+ `)

// permissionHint returns which permission is missing when the broker has accepted the login.
func (t Target) permissionHint(err error) string {
	user := "users without a login"
	if t.Login.Given || t.Kind() == NATS && natsLogin(t) != "" {
		user = "the user"
	}
	var denied *micronats.PermissionError
	var forbidden *microredis.PermissionError
	switch {
	case errors.As(err, &forbidden):
		return fmt.Sprintf("the login is correct: grant the permission with ACL SETUSER %s %s", cmp.Or(t.Login.User, "default"), forbidden.Grant())
	case !errors.As(err, &denied):
		return fmt.Sprintf("the login is correct: grant %s the permission", user)
	case denied.Replies:
		return fmt.Sprintf(`allow %s to subscribe to "_INBOX.>" or "_INBOX.*", or add ?inboxPrefix=PREFIX to the address if PREFIX.> is allowed`, user)
	}
	var subjects []string
	for _, s := range denied.Subjects {
		subjects = append(subjects, strconv.Quote(s))
	}
	return fmt.Sprintf("the login is correct: allow %s to %s to %s", user, denied.Operation, strings.Join(subjects, " and "))
}

// loginHint returns what to check when the broker rejects the login.
func (t Target) loginHint() string {
	switch {
	case t.Kind() == NATS && natsLogin(t) != "":
		return "the user of the credentials may be unknown to this broker, revoked, or expired"
	case t.Kind() == NATS && !t.Login.Given:
		return fmt.Sprintf("the broker requires a login: %s://user:password@%s, or user@ with the password in %s, or ?creds=FILE or ?nkey=FILE after the address", t.Scheme, t.Addresses[0], PasswordVariable)
	case !t.Login.Given:
		return fmt.Sprintf("the broker requires a login: %s://user:password@%s, or user@ with the password in %s", t.Scheme, t.Addresses[0], PasswordVariable)
	case t.Login.User == "":
		return fmt.Sprintf("check the password in the address or in %s", PasswordVariable)
	}
	return fmt.Sprintf("check the user, and the password in the address or in %s", PasswordVariable)
}

func (t Target) explainTimeout(err error) error {
	text := t.Name() + " did not reply in time"
	if _, more, ok := strings.Cut(innermost(err, micro.ErrTimeout), micro.ErrTimeout.Error()+": "); ok {
		text += ": " + more // what the transport knows about it
	}
	hint := t.transport().timeoutHint
	switch {
	case Replied(err):
		text = strings.Replace(text, " did not reply in time", " did not complete its reply in time", 1)
		hint = t.replyHint()
	case hint == "":
		hint = "increase --timeout"
	}
	return exit.WithHint(exit.WithText(err, text), "%s", hint)
}

// innermost returns the text of the innermost error that matches target, without what a
// policy has added about its attempts.
func innermost(err, target error) (text string) {
	for ; errors.Is(err, target); err = errors.Unwrap(err) {
		if err.Error() == target.Error() && text != "" {
			break
		}
		text = err.Error()
	}
	return text
}

// unfinished is how a transport's reason begins for a reply that has no end.
const unfinished = ": the last packet of the reply "

// Replied reports whether err is that of a request to which something was sent in reply,
// but no complete reply.
func Replied(err error) bool {
	return errors.Is(err, micro.ErrBadReply) || err != nil && strings.Contains(err.Error(), unfinished)
}

// AtAddress returns " at " and the address of a target whose Name is that of a service.
func AtAddress(t Target) string {
	if t.Service == "" {
		return ""
	}
	return " at " + t.String()
}

// rootCause returns why a target could not be reached, without the prefixes that say
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
			return "unknown host " + dns.Name
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
	for _, layer := range []error{micro.ErrForbidden, micro.ErrRefused, micro.ErrNotServed} {
		text = strings.TrimPrefix(text, strings.TrimPrefix(layer.Error(), micro.ErrUnreachable.Error()+": ")+": ")
	}
	return connecting.ReplaceAllString(text, "")
}

// connecting matches the start of a transport's error about a connection attempt.
var connecting = regexp.MustCompile(`^connect to (\w+ at )?\S+: `)
