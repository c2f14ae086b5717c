package observe

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/wire"
)

// receive handles the copy of a message that was published, or was delivered to a consumer.
func (s *rabbitSession) receive(d *amqp.Delivery) {
	what, place, _ := strings.Cut(d.RoutingKey, ".")
	properties, _ := d.Headers["properties"].(amqp.Table)
	correlation := textOf(properties["correlation_id"])
	now, table := time.Now(), s.observer.table
	p := parse(d.Body)
	id := correlation
	if id == "" {
		id = idOf(&p)
	}
	m := &rabbitMessage{delivery: d, packet: &p, exchange: place, to: routingKey(d), properties: properties, queues: texts(d.Headers["routed_queues"])}
	switch {
	case what == "deliver":
		if id != "" {
			table.deliver(key{"", id})
		}
	case m.to == s.probe && place == "":
	case m.isReply():
		table.reply(&p, now, func() *sent {
			if s.queue != "" {
				return nil // it may be one of another queue
			}
			return m.sent(s.queue).asReply()
		}, key{"", id})
	case s.queue != "" && !m.reaches(s.queue):
	case p.ID == nil || !isMessage(&p):
		table.event(m.sent(s.queue), now)
	default:
		table.request(m.sent(s.queue), now, key{"", id})
	}
}

// rabbitMessage is a message that was published.
type rabbitMessage struct {
	delivery   *amqp.Delivery
	packet     *wire.Packet
	exchange   string // "" for the default one
	to         string // its routing key
	properties amqp.Table
	queues     []string // that it was routed to, as far as the broker reports it
}

// directReply is what the routing keys of replies begin with that need no queue.
const directReply = "amq.rabbitmq.reply-to"

func (m *rabbitMessage) isReply() bool {
	return strings.HasPrefix(m.to, directReply) || !isMessage(m.packet) && textOf(m.properties["correlation_id"]) != "" && m.properties["reply_to"] == nil
}

func (m *rabbitMessage) reaches(queue string) bool {
	for _, q := range m.queues {
		if q == queue {
			return true
		}
	}
	return m.exchange == "" && m.to == queue
}

// sent describes the message. Its receiver is the queue that is observed, or else the first one that it reaches.
func (m *rabbitMessage) sent(queue string) *sent {
	s := &sent{transport: "rmq", id: m.packet.ID, data: dataOf(m.packet), peer: textOf(m.delivery.Headers["connection"])}
	s.peer, _, _ = strings.Cut(s.peer, " -> ") // then comes the broker
	switch {
	case queue != "":
		s.service = queue
	case len(m.queues) > 0:
		s.service = m.queues[0]
	case m.exchange == "":
		s.service = m.to
	default:
		s.service = m.exchange
		s.failure = fmt.Sprintf("exchange %s has no queue for the routing key %s", m.exchange, m.to)
	}
	s.pattern = pattern(m.packet.Pattern)
	if m.packet.Pattern == nil {
		s.pattern = micro.Name(cut(m.to, maxText)).JSON()
	}
	s.hidden = isReserved(routeOf(s.pattern))
	s.tracked = true
	headers, _ := m.properties["headers"].(amqp.Table)
	values := make(map[string]string, len(headers))
	for k, v := range headers {
		if len(values) < maxPairs {
			values[k] = textOf(v)
		}
	}
	s.metadata = metadataOf(m.packet.Metadata, values)
	return s
}

// routeOf returns the route of a pattern, which is JSON text.
func routeOf(text string) string {
	p, err := micro.ParsePattern(text)
	if err != nil {
		return ""
	}
	return p.Route()
}

// routingKey returns the routing key that a message was published with.
func routingKey(d *amqp.Delivery) string {
	if keys := texts(d.Headers["routing_keys"]); len(keys) > 0 {
		return keys[0]
	}
	return ""
}

// texts returns the texts of a list.
func texts(v any) (list []string) {
	all, _ := v.([]any)
	for _, one := range all {
		list = append(list, textOf(one))
	}
	return list
}

// textOf returns a value of a header as metadata has it; "" for nil.
func textOf(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case []byte:
		return string(v)
	case bool:
		return strconv.FormatBool(v)
	case amqp.Table, []any:
		text, err := json.Marshal(v) // as JSON, its secrets are recognized
		if err != nil {
			return ""
		}
		return string(text)
	}
	return fmt.Sprint(v)
}
