package doctor

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microrabbit"
)

// declaration is how one program declares a queue and an exchange.
type declaration struct {
	who string // the place where it does
	t   target.Target
	own bool // the place is the address itself
}

// declarations compares how programs declare queues and exchanges of RabbitMQ with those that exist. Declaring
// something as it is has no effect, and anything else is rejected. What does not exist is not declared.
func declarations(ctx context.Context, e *exam) {
	for _, o := range e.seen {
		if o.target.Kind() != target.RabbitMQ {
			continue
		}
		all := e.declaredBy(ctx, o)
		if len(all) == 0 {
			e.skip(place(o.target), "how its queue is declared is known from the sources of NestJS services in a workspace, and from options of the address, such as ?durable=false")
			continue
		}
		b, err := e.openBroker(ctx, o.target)
		if err != nil {
			e.skip(place(o.target), "cannot connect to the broker")
			continue
		}
		for _, d := range all {
			e.declare(b, d)
		}
		_ = b.Close()
	}
}

// declaredBy returns how the programs that use a queue declare it, as far as that is known.
func (e *exam) declaredBy(ctx context.Context, o *observation) (all []declaration) {
	p := o.target.Broker.Parameters
	idle := o.queue != nil && o.queue.exists && o.queue.consumers == 0
	if p.Configures() || p.IsSet("exchange") || p.Flag("wildcards") || idle && o.target.Service != "" && !o.target.Foreign() {
		who := "the address " + o.target.String()
		if !p.Configures() && !p.IsSet("exchange") && !p.Flag("wildcards") {
			who = o.target.Service + ", with the default options,"
		}
		all = append(all, declaration{who, o.target, true})
	}
	if e.Workspace == nil {
		return all
	}
	for _, s := range e.Workspace.Services {
		for _, end := range e.endpoints(ctx, s.Name) {
			if end.transport != "RMQ" || end.queue != o.target.Broker.Queue || end.options == nil || end.noAssert {
				continue
			}
			t, err := o.target.WithOptions(end.options.Encode())
			if err != nil {
				e.skip(end.at, "its options are not understood: "+err.Error())
				continue
			}
			all = append(all, declaration{end.at, t, false})
		}
	}
	return all
}

func (e *exam) declare(b *broker, d declaration) {
	top := d.t.Topology()
	queue := d.t.Broker.Queue
	if state, err := b.state(queue); queue != "" && err == nil && state.exists && !d.t.Broker.Parameters.Flag("noAssert") {
		e.judge(d, b.try(func(ch *amqp.Channel) error {
			_, err := ch.QueueDeclare(queue, durable(top.Queue), top.Queue.AutoDelete, top.Queue.Exclusive, false, table(top.Queue.Arguments))
			return err
		}))
	}
	name := top.Exchange
	if name == "" && top.Wildcards {
		name = queue
	}
	if name == "" {
		return
	}
	kind := orElse(top.ExchangeType, "topic")
	exists := b.try(func(ch *amqp.Channel) error {
		return ch.ExchangeDeclarePassive(name, kind, true, false, false, false, nil)
	}) == nil
	if exists {
		e.judge(d, b.try(func(ch *amqp.Channel) error {
			return ch.ExchangeDeclare(name, kind, true, false, false, false, table(top.ExchangeArguments))
		}))
	}
}

func durable(q microrabbit.QueueOptions) bool { return q.Durable == nil || *q.Durable }

// table converts arguments to types that the driver encodes.
func table(args map[string]any) amqp.Table {
	if len(args) == 0 {
		return nil
	}
	t := amqp.Table{}
	for k, v := range args {
		switch v := v.(type) {
		case int:
			t[k] = int64(v)
		case float64:
			t[k] = v
			if v == float64(int64(v)) {
				t[k] = int64(v)
			}
		case map[string]any:
			t[k] = table(v)
		default:
			t[k] = v
		}
	}
	return t
}

// received matches the values in RabbitMQ's text.
var received = regexp.MustCompile(`(?s)inequivalent arg '.*`)

// judge reports what RabbitMQ replied to a declaration.
func (e *exam) judge(d declaration, err error) {
	var rejected *amqp.Error
	switch {
	case err == nil:
		e.checked()
		return
	case !errors.As(err, &rejected):
		e.skip(d.who, "the broker did not reply to the declaration: "+err.Error())
		return
	case rejected.Code == amqp.ResourceLocked, rejected.Code == amqp.AccessRefused:
		e.skip(d.who, "the broker does not let this user compare it: "+rejected.Reason)
		return
	}
	explained := target.Explain(fmt.Errorf("%w: %w", micro.ErrRefused, err), d.t)
	said := strings.Join(strings.Fields(orElse(received.FindString(rejected.Reason), rejected.Reason)), " ")
	f := Finding{
		Code: "declared-differently", Where: "queue " + d.t.Broker.Queue + " at " + d.t.Where(),
		Evidence: []string{fmt.Sprintf("RabbitMQ rejects the declaration of %s (%d): %s", d.who, rejected.Code, said)},
		Cause:    explained.Error() + ", and RabbitMQ closes the channel of a program that declares it otherwise, so the program cannot start",
		Fix:      "declare it with the same options everywhere, or stop its services, delete it, and start them again",
	}
	if hint := exit.Hint(explained); hint != "" && d.own && d.t.Broker.Parameters.Configures() {
		f.Fix = hint
	}
	e.found(f)
}
