package microrabbit

import (
	"cmp"
	"fmt"
	"log/slog"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/msctl/msctl/runtime/micro"
)

// exchangeName returns the name of the exchange, which is that of the queue by default.
func (s *shared) exchangeName() string {
	return cmp.Or(s.topology.Exchange, s.queue)
}

// published reports whether clients send to the exchange rather than to the queue.
func (s *shared) published() bool {
	return s.topology.Wildcards || s.topology.exchangeType() == "fanout"
}

// attempt runs an operation that the broker may reject, on a channel of its own: the
// broker closes the channel when it rejects the operation.
func (c *connection) attempt(operation func(*amqp.Channel) error) error {
	ch, err := c.openWith(nil)
	if err != nil {
		return err
	}
	defer func() { _ = ch.Close() }()
	return operation(ch)
}

// declareQueue declares a queue and returns its name. A user without permission to
// declare it can use one that exists.
func (c *connection) declareQueue(name string, q QueueOptions) (string, error) {
	var declared amqp.Queue
	err := c.attempt(func(ch *amqp.Channel) (err error) {
		declared, err = ch.QueueDeclare(name, q.durable(), q.AutoDelete, q.Exclusive, false, q.table())
		return err
	})
	if isForbidden(err) && name != "" && c.hasQueue(name) {
		return name, nil
	}
	return declared.Name, at(err, "declare the queue %q", name)
}

func (c *connection) hasQueue(name string) bool {
	return c.attempt(func(ch *amqp.Channel) error {
		_, err := ch.QueueDeclarePassive(name, false, false, false, false, nil)
		return err
	}) == nil
}

// declareExchange declares a durable exchange. A user without permission to declare it
// can use one that exists.
func (c *connection) declareExchange(name, kind string, args amqp.Table) error {
	err := c.attempt(func(ch *amqp.Channel) error {
		return ch.ExchangeDeclare(name, kind, true, false, false, false, args)
	})
	if isForbidden(err) && c.findExchange(name) == nil {
		return nil
	}
	return at(err, "declare the exchange %q", name)
}

// findExchange returns an error unless the exchange exists. It requires no permission.
func (c *connection) findExchange(name string) error {
	return c.attempt(func(ch *amqp.Channel) error {
		return ch.ExchangeDeclarePassive(name, "topic", true, false, false, false, nil) // only the name counts
	})
}

func (s *shared) assertExchange(c *connection) error {
	return c.declareExchange(s.exchangeName(), s.topology.exchangeType(), tableOf(s.topology.ExchangeArguments))
}

func (s *shared) bind(ch *amqp.Channel, queue, key string) error {
	name := s.exchangeName()
	return at(ch.QueueBind(queue, key, name, false, nil), "bind the queue %q to the exchange %q under %q", queue, name, key)
}

// setUpServer declares and binds the queue that a server consumes, and returns the
// queue's name (docs/wire.md 4.4).
func (s *shared) setUpServer(c *connection, known string, server *micro.Server) (queue string, err error) {
	queue = s.queue
	if s.queue == "" || !s.topology.NoDeclare {
		if queue, err = s.assertNamed(c, known); err != nil {
			return "", err
		}
	}
	if s.topology.Exchange == "" && !s.published() {
		return queue, nil
	}
	if err := s.assertExchange(c); err != nil {
		return "", err
	}
	err = c.attempt(func(ch *amqp.Channel) error { return s.bindServer(ch, queue, server) })
	if isForbidden(err) && s.topology.NoDeclare {
		server.Logger().Warn("the queue is used with the bindings that it has", "queue", queue, "error", err)
		err = nil
	}
	return queue, err
}

// bindServer binds the queue of a server to the exchange.
func (s *shared) bindServer(ch *amqp.Channel, queue string, server *micro.Server) (err error) {
	if s.topology.exchangeType() == "fanout" {
		err = s.bind(ch, queue, "")
	} else if s.topology.RoutingKey != "" {
		err = s.bind(ch, queue, s.topology.RoutingKey)
	}
	if err != nil || !s.topology.Wildcards {
		return err
	}
	for r := range server.Routes() {
		key := r.Address()
		if len(key) > maxShort {
			server.Logger().Log(server.Context(), slog.LevelWarn, "the handler is unreachable: its pattern is too long for a routing key", "pattern", key)
			continue
		}
		if err := s.bind(ch, queue, key); err != nil {
			return err
		}
	}
	return nil
}

// assertNamed declares the queue and returns its name. If the broker chose the name,
// and the queue may have outlived the last connection, assertNamed returns the known
// name without declaring the queue again.
func (s *shared) assertNamed(c *connection, known string) (string, error) {
	if s.queue == "" && known != "" && !s.topology.Queue.Exclusive && !s.topology.Queue.AutoDelete {
		return known, nil
	}
	return c.declareQueue(s.queue, s.topology.Queue)
}

// setUpClient checks that the exchange that a client sends to exists. With declare, it
// declares and binds the queue or exchange instead, as a client of NestJS does.
func (s *shared) setUpClient(c *connection, declare bool) error {
	switch {
	case s.published() && declare:
		return s.assertExchange(c)
	case s.published():
		err := c.findExchange(s.exchangeName())
		if isMissing(err) {
			return fmt.Errorf("%w: %q", ErrNoExchange, s.exchangeName())
		}
		return at(err, "find the exchange %q", s.exchangeName())
	case !declare:
		return nil // a message to a queue that does not exist is returned
	}
	if !s.topology.NoDeclare {
		if _, err := c.declareQueue(s.queue, s.topology.Queue); err != nil {
			return err
		}
	}
	if s.topology.Exchange != "" && s.topology.RoutingKey != "" {
		return c.attempt(func(ch *amqp.Channel) error { return s.bind(ch, s.queue, s.topology.RoutingKey) })
	}
	return nil
}
