package doctor

import (
	"context"
	"fmt"

	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/internal/term"
)

// unacknowledged reports queues whose consumers take no more messages: they hold as many unacknowledged ones
// as their prefetch allows. RabbitMQ tells users neither number over AMQP, so the evidence is a question that
// stayed in the queue although there are consumers.
func unacknowledged(ctx context.Context, e *exam) {
	for _, o := range e.seen {
		switch {
		case o.target.Kind() != target.RabbitMQ || o.target.Broker.Queue == "":
		case o.queueErr != nil:
			e.skip(place(o.target), "cannot look at the queue: "+o.queueErr.Error())
		case o.queue == nil || !o.queue.exists || o.queue.consumers == 0:
		case o.queue.stuck:
			e.found(e.stuckFinding(ctx, o))
		case o.replies == 0 && len(o.queue.samples) < enoughSamples:
			e.skip(place(o.target), "too little time to see whether messages leave the queue: increase --timeout")
		default:
			e.checked()
		}
	}
}

func (e *exam) stuckFinding(ctx context.Context, o *observation) Finding {
	queue := o.target.Broker.Queue
	last := o.queue.samples[len(o.queue.samples)-1]
	f := Finding{
		Code: "unacknowledged", Where: "queue " + queue + " at " + o.target.Where(),
		Evidence: []string{
			fmt.Sprintf("queue %s has %s, and %s waited in it", queue, term.Count(o.queue.consumers, "consumer"), term.Count(last, "message")),
			fmt.Sprintf("none of them was given to a consumer within %s, and msctl's question was not either", term.Duration(e.Timeout)),
		},
		Cause: "the consumers hold as many unacknowledged messages as their prefetch allows: with noAck: false, NestJS acknowledges nothing itself, so each message that a handler does not acknowledge takes a place forever. " +
			"Messages with an unknown pattern do so in services that neither acknowledge nor reject them. Handlers that take longer than the timeout look the same",
		Fix: "acknowledge each message in its handler: ctx.getChannelRef().ack(ctx.getMessage()), also after an error; or remove noAck: false. " +
			"`rabbitmqctl list_queues name messages_ready messages_unacknowledged` shows how many are held, and a restart of the service redelivers them",
	}
	for _, end := range e.endpoints(ctx, o.target.Service) {
		if end.queue == queue && !end.client && end.noAck != nil && !*end.noAck {
			text := fmt.Sprintf("%s sets noAck: false", end.at)
			if end.prefetch > 0 {
				text += fmt.Sprintf(" and prefetchCount: %d", end.prefetch)
			}
			f.Evidence = append(f.Evidence, text)
		}
	}
	return f
}
