package doctor

import (
	"encoding/json"
	"fmt"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/microrabbit"
)

func TestRabbitMQ(t *testing.T) {
	broker := testenv.RabbitMQ(t)
	queueOf := func(t *testing.T) (queue, address string) {
		t.Helper()
		queue = testenv.Unique(t, "q")
		return queue, broker.URL + "/" + queue
	}
	listen := func(queue string) readyListener { return microrabbit.Listen(broker.URL, queue) }

	t.Run("healthy", func(t *testing.T) {
		queue, address := queueOf(t)
		for range 2 { // instances of one service share their queue
			serve(t, server("items", "find", "create"), listen(queue))
		}
		healthy(t, examine(t, at(t, address)), "reachability", "handlers of a queue", "unacknowledged messages")
	})
	t.Run("healthy NestJS", func(t *testing.T) {
		queue, address := queueOf(t)
		testenv.Nest(t, testenv.Nest12, "--transport", "rmq", "--url", broker.URL, "--queue", queue)
		healthy(t, examine(t, at(t, address)), "reachability", "handlers of a queue", "unacknowledged messages")
	})
	t.Run("different handlers", func(t *testing.T) {
		queue, address := queueOf(t)
		serve(t, server("items", "find"), listen(queue))
		serve(t, server("orders", "order"), listen(queue))
		f := one(t, examine(t, at(t, address)), "mixed-handlers")
		mentions(t, f, "2 consumers", "items 1.0.0", "orders 1.0.0", `{"cmd":"find"}`, "every other message")
	})
	t.Run("different handlers with NestJS", func(t *testing.T) {
		queue, address := queueOf(t)
		serve(t, server("items", "find"), listen(queue))
		testenv.Nest(t, testenv.Nest11, "--transport", "rmq", "--url", broker.URL, "--queue", queue)
		mentions(t, one(t, examine(t, at(t, address)), "mixed-handlers"), "items 1.0.0", "does not describe itself")
	})
	t.Run("no consumer", func(t *testing.T) {
		queue, address := queueOf(t)
		mentions(t, one(t, examine(t, at(t, address)), "not-running"), "does not exist")
		declare(t, broker.URL, queue, nil)
		mentions(t, one(t, examine(t, at(t, address)), "not-running"), "no consumer")
	})
	t.Run("unacknowledged messages", func(t *testing.T) {
		queue, address := queueOf(t)
		nest := testenv.Nest(t, testenv.Nest12, "--transport", "rmq", "--url", broker.URL, "--queue", queue, "--verbose", "--options", `{"noAck":false,"prefetchCount":2}`)
		proxy := testenv.NestClient(t, testenv.Nest12, "--transport", "rmq", "--url", broker.URL, "--queue", queue)
		for range 2 { // the handler does not acknowledge
			if events, err := proxy.Call(testenv.Call{Pattern: json.RawMessage(`"echo"`)}); err != nil || len(events) == 0 {
				t.Fatal(events, err)
			}
		}
		if _, err := nest.AwaitHandled(t.Context(), `"echo"`, 2); err != nil {
			t.Fatal(err)
		}
		f := within(t, at(t, address), "unacknowledged")
		mentions(t, f, "1 consumer", "noAck: false", "ack(ctx.getMessage())")
	})
	t.Run("declared differently", func(t *testing.T) {
		queue, address := queueOf(t)
		declare(t, broker.URL, queue, amqp.Table{"x-max-length": 5})
		serve(t, server("items", "find"), microrabbit.Listen(broker.URL, queue, microrabbit.WithTopology(microrabbit.Topology{NoDeclare: true})))
		f := one(t, examine(t, at(t, address+"?maxLength=7")), "declared-differently")
		mentions(t, f, "406", "x-max-length", "maxLength=5")
		f = one(t, examine(t, at(t, address+"?durable=false&maxLength=5")), "declared-differently")
		mentions(t, f, "inequivalent arg 'durable'", "durable=true")
		healthy(t, examine(t, at(t, address+"?maxLength=5")), "declarations")
	})
	t.Run("an exchange declared differently", func(t *testing.T) {
		queue, address := queueOf(t)
		topology := microrabbit.Topology{Exchange: queue + "-x", ExchangeType: "direct"}
		serve(t, server("items", "find"), microrabbit.Listen(broker.URL, queue, microrabbit.WithTopology(topology)))
		f := one(t, examine(t, at(t, fmt.Sprintf("%s?exchange=%s-x&exchangeType=topic", address, queue))), "declared-differently")
		mentions(t, f, "inequivalent arg 'type'", "exchangeType")
		healthy(t, examine(t, at(t, fmt.Sprintf("%s?exchange=%s-x&exchangeType=direct", address, queue))), "declarations")
	})
	t.Run("nothing is declared", func(t *testing.T) {
		queue, address := queueOf(t)
		one(t, examine(t, at(t, address+"?maxLength=7")), "not-running")
		conn, ch := channel(t, broker.URL)
		defer conn.Close()
		if _, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil); err == nil {
			t.Error("the queue exists")
		}
	})
	t.Run("rejected", func(t *testing.T) {
		_, address := queueOf(t)
		u := "amqp://nobody:wrong-password@" + address[len("amqp://guest:guest@"):]
		f := one(t, examine(t, at(t, u)), "rejected")
		mentions(t, f, "check the user, and the password")
	})
}

func channel(t *testing.T, url string) (*amqp.Connection, *amqp.Channel) {
	t.Helper()
	conn, err := amqp.Dial(url)
	if err != nil {
		t.Fatal(err)
	}
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	return conn, ch
}

func declare(t *testing.T, url, queue string, args amqp.Table) {
	t.Helper()
	conn, ch := channel(t, url)
	defer conn.Close()
	if _, err := ch.QueueDeclare(queue, true, false, false, false, args); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn, ch := channel(t, url)
		defer conn.Close()
		_, _ = ch.QueueDelete(queue, false, false, false)
	})
}

func TestStuck(t *testing.T) {
	for _, tt := range []struct {
		samples []int
		want    bool
	}{
		{nil, false},
		{[]int{1, 1}, false},
		{[]int{1, 1, 1}, true},
		{[]int{1, 2, 5}, true},
		{[]int{3, 2, 2}, false},
		{[]int{0, 1, 1}, false},
	} {
		if got := stuck(tt.samples); got != tt.want {
			t.Errorf("stuck(%v) = %v", tt.samples, got)
		}
	}
}
