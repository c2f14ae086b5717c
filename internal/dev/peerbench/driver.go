package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/msctl/msctl/runtime/wire"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/msctl/msctl/runtime/micro"
)

// driverListener serves a queue with the API of amqp091-go alone: the same server as with
// runtime/microrabbit, but without its framing. The difference in cost decides whether that
// code is worth keeping (docs/performance.md). The driver is used in its cheapest mode, in
// which the broker acknowledges each delivery automatically.
type driverListener struct {
	url, queue string
	ready      chan struct{}
}

func newDriverListener(url, queue string) *driverListener {
	return &driverListener{url, queue, make(chan struct{})}
}

// Serve handles deliveries in order until ctx ends.
func (l *driverListener) Serve(ctx context.Context, s *micro.Server) error {
	conn, err := amqp.Dial(l.url)
	if err != nil {
		return fmt.Errorf("dial RabbitMQ: %w", err)
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err != nil {
		return fmt.Errorf("open a channel: %w", err)
	}
	if _, err := ch.QueueDeclare(l.queue, true, false, false, false, nil); err != nil {
		return fmt.Errorf("declare the queue %s: %w", l.queue, err)
	}
	deliveries, err := ch.ConsumeWithContext(ctx, l.queue, "", true, false, false, false, nil)
	if err != nil {
		return fmt.Errorf("consume from the queue %s: %w", l.queue, err)
	}
	close(l.ready)
	for {
		select {
		case <-ctx.Done():
			return nil
		case d, ok := <-deliveries:
			if !ok {
				return errors.New("the channel was closed")
			}
			if err := handle(ctx, s, ch, d); err != nil {
				return err
			}
		}
	}
}

// Ready returns when the queue is being consumed, or with ctx's error.
func (l *driverListener) Ready(ctx context.Context) error {
	select {
	case <-l.ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func handle(ctx context.Context, s *micro.Server, ch *amqp.Channel, d amqp.Delivery) error {
	packet, err := wire.Parse(d.Body)
	if err != nil {
		return err
	}
	if in := s.Deliver(ctx, micro.Delivery{Packet: &packet, To: &driverReply{ch, d}}); in != nil {
		in.Run()
	}
	return nil
}

// driverReply publishes the replies to one delivery.
type driverReply struct {
	ch       *amqp.Channel
	delivery amqp.Delivery
}

func (r *driverReply) Respond(ctx context.Context, p wire.Reply) error {
	return r.ch.PublishWithContext(ctx, "", r.delivery.ReplyTo, false, false, amqp.Publishing{
		CorrelationId: r.delivery.CorrelationId, Body: p.AppendWithoutID(nil),
	})
}
