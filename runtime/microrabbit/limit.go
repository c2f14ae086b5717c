package microrabbit

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"

	amqp "github.com/rabbitmq/amqp091-go"
)

// LimitError reports that a limit of the broker leaves no room for another connection,
// channel, or queue. Servers wait until there is room, and messages wait until their deadline.
// errors.As finds it in the errors of clients and servers.
type LimitError struct {
	// Limit is the name of the limit: max-connections, max-channels, or max-queues, or
	// connection_max or channel_max_per_node of a node.
	Limit string
	// Of is what it applies to: virtual host, user, or node. Name is its name, if known.
	Of, Name string
	// Max is the value of the limit.
	Max int
}

func (e *LimitError) Error() string {
	if e.Name == "" {
		return fmt.Sprintf("%s of the %s is %d", e.Limit, e.Of, e.Max)
	}
	return fmt.Sprintf("%s of the %s %q is %d", e.Limit, e.Of, e.Name, e.Max)
}

// limits match RabbitMQ's texts for limits that have been reached, with the name, if any, and
// the value.
var limits = []struct {
	text      *regexp.Regexp
	limit, of string
}{
	{regexp.MustCompile(`access to vhost '(.*)' refused for user '.*': (?:vhost )?connection limit \((\d+)\) is reached`), "max-connections", "virtual host"},
	{regexp.MustCompile(`refused for user '(.*)': user connection limit \((\d+)\) is reached`), "max-connections", "user"},
	{regexp.MustCompile(`channels opened for user '(.*)' has reached the maximum allowed (?:user )?limit of \((\d+)\)`), "max-channels", "user"},
	{regexp.MustCompile(`queue limit in vhost '(.*)' \((\d+)\) is reached`), "max-queues", "virtual host"},
	{regexp.MustCompile(`channels opened on node '(.*)' has reached .*\((\d+)\)`), "channel_max_per_node", "node"},
	{regexp.MustCompile(`connection limit() \((\d+)\) is reached`), "connection_max", "node"},
}

// limitOf returns the limit that the broker's reason reports, or nil if there is another
// reason.
func limitOf(reason string) *LimitError {
	for _, l := range limits {
		if m := l.text.FindStringSubmatch(reason); m != nil {
			value, _ := strconv.Atoi(m[2]) // digits
			return &LimitError{Limit: l.limit, Of: l.of, Name: m[1], Max: value}
		}
	}
	return nil
}

// limited reports whether a limit of the broker has been reached.
func limited(err error) bool {
	var full *LimitError
	return errors.As(err, &full)
}

// temporary matches RabbitMQ's texts for conditions that pass by themselves, although their
// reply codes are those of mistakes: another consumer is exclusive, the node of a queue is
// restarting, or a virtual host is.
var temporary = regexp.MustCompile(`in exclusive use|is down or inaccessible|vhost '.*' is down`)

// passes reports whether the broker was reached, and what it rejected may succeed without any
// change to the program or the broker's configuration. Of several errors, one is enough.
func passes(err error) bool {
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		return slices.ContainsFunc(several.Unwrap(), passes)
	}
	var broker *amqp.Error
	return errors.As(err, &broker) && broker.Server && (limitOf(broker.Reason) != nil || temporary.MatchString(broker.Reason))
}
