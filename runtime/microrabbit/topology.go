package microrabbit

import (
	"cmp"
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

func (s *shared) assertQueue(ch *amqp.Channel, name string) (string, error) {
	q := s.topology.Queue
	declared, err := ch.QueueDeclare(name, q.durable(), q.AutoDelete, q.Exclusive, false, q.table())
	return declared.Name, at(err, "declare the queue %q", name)
}

func (s *shared) assertExchange(ch *amqp.Channel) error {
	name := s.exchangeName()
	return at(ch.ExchangeDeclare(name, s.topology.exchangeType(), true, false, false, false, s.topology.ExchangeArguments), "declare the exchange %q", name)
}

func (s *shared) bind(ch *amqp.Channel, queue, key string) error {
	name := s.exchangeName()
	return at(ch.QueueBind(queue, key, name, false, nil), "bind the queue %q to the exchange %q under %q", queue, name, key)
}

// setUpServer declares and binds the queue that a server consumes, and returns the
// queue's name (docs/wire.md 4.4).
func (s *shared) setUpServer(ch *amqp.Channel, known string, server *micro.Server) (queue string, err error) {
	queue = s.queue
	if s.queue == "" || !s.topology.NoDeclare {
		if queue, err = s.assertNamed(ch, known); err != nil {
			return "", err
		}
	}
	if s.topology.Exchange == "" && !s.published() {
		return queue, nil
	}
	if err := s.assertExchange(ch); err != nil {
		return "", err
	}
	if s.topology.exchangeType() == "fanout" {
		err = s.bind(ch, queue, "")
	} else if s.topology.RoutingKey != "" {
		err = s.bind(ch, queue, s.topology.RoutingKey)
	}
	if err != nil || !s.topology.Wildcards {
		return queue, err
	}
	for r := range server.Routes() {
		key := r.Address()
		if len(key) > maxShort {
			server.Logger().Log(server.Context(), slog.LevelWarn, "the handler is unreachable: its pattern is too long for a routing key", "pattern", key)
			continue
		}
		if err := s.bind(ch, queue, key); err != nil {
			return "", err
		}
	}
	return queue, nil
}

// assertNamed declares the queue and returns its name. If the broker chose the name,
// and the queue may have outlived the last connection, assertNamed returns the known
// name without declaring the queue again.
func (s *shared) assertNamed(ch *amqp.Channel, known string) (string, error) {
	if s.queue == "" && known != "" && !s.topology.Queue.Exclusive && !s.topology.Queue.AutoDelete {
		return known, nil
	}
	return s.assertQueue(ch, s.queue)
}

// setUpClient declares and binds the queue or exchange that a client sends to.
func (s *shared) setUpClient(ch *amqp.Channel) error {
	if s.published() {
		return s.assertExchange(ch)
	}
	if !s.topology.NoDeclare {
		if _, err := s.assertQueue(ch, s.queue); err != nil {
			return err
		}
	}
	if s.topology.Exchange != "" && s.topology.RoutingKey != "" {
		return s.bind(ch, s.queue, s.topology.RoutingKey)
	}
	return nil
}
