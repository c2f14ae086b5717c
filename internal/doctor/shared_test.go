package doctor

import (
	"fmt"
	"testing"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micronats"
	"github.com/msctl/msctl/runtime/microredis"
)

func TestRedis(t *testing.T) {
	broker := testenv.Redis(t)
	t.Run("healthy", func(t *testing.T) {
		serve(t, server("items", "find"), microredis.Listen(broker.URL))
		serve(t, server("orders", "order"), microredis.Listen(broker.URL))
		healthy(t, examine(t, at(t, broker.URL)), "reachability", "replicas on Redis")
	})
	t.Run("replicas", func(t *testing.T) {
		for range 3 {
			serve(t, server("items", "find"), microredis.Listen(broker.URL))
		}
		mentions(t, one(t, examine(t, at(t, broker.URL)), "redis-replicas"), "3 instances of items", "handled 3 times")
	})
	t.Run("two services with one pattern", func(t *testing.T) {
		serve(t, server("items", "find"), microredis.Listen(broker.URL))
		serve(t, server("orders", "find"), microredis.Listen(broker.URL))
		mentions(t, one(t, examine(t, at(t, broker.URL)), "redis-replicas"), `PUBSUB NUMSUB {"cmd":"find"}: 2 subscribers`)
	})
	t.Run("no service describes itself", func(t *testing.T) {
		r := examine(t, at(t, broker.URL))
		if r.Healthy() || len(r.Findings) > 0 || len(r.Checked) > 0 || len(r.NotChecked) == 0 {
			t.Errorf("got %+v, want nothing checked", r)
		}
	})
}

func TestNATS(t *testing.T) {
	broker := testenv.NATS(t)
	t.Run("healthy", func(t *testing.T) {
		for range 2 {
			serve(t, server("items", "find"), micronats.Listen(broker.URL, micronats.WithQueue("items")))
		}
		serve(t, server("orders", "order"), micronats.Listen(broker.URL))
		healthy(t, examine(t, at(t, broker.URL)), "reachability", "queue groups on NATS")
	})
	t.Run("no queue group", func(t *testing.T) {
		for range 2 {
			serve(t, server("items", "find"), micronats.Listen(broker.URL))
		}
		mentions(t, one(t, examine(t, at(t, broker.URL)), "no-queue-group"), "2 instances of items", "WithQueue")
	})
}

// TestNATSMonitoring uses services of NestJS, which do not describe themselves.
func TestNATSMonitoring(t *testing.T) {
	port := testenv.Port(t)
	broker := testenv.PrivateNATS(t, `http: "127.0.0.1:`+port+`"`)
	subject := func(t *testing.T) Subject {
		t.Helper()
		p := workspaceAt(t, fmt.Sprintf(`name: shop
services:
  items:
    command: node dist/main
    dir: items
    transport: nats
brokers:
  nats: %s
`, broker.URL), map[string]string{"items/package.json": nestPackage, "items/src/app.controller.ts": controller("items", `@MessagePattern('echo') echo() {}`)})
		p.Monitoring = "http://127.0.0.1:" + port
		return p
	}
	t.Run("healthy", func(t *testing.T) {
		for range 2 {
			testenv.Nest(t, testenv.Nest12, "--transport", "nats", "--url", broker.URL, "--queue", "items")
		}
		healthy(t, examine(t, subject(t)), "queue groups on NATS")
	})
	t.Run("no queue group", func(t *testing.T) {
		for range 2 {
			testenv.Nest(t, testenv.Nest12, "--transport", "nats", "--url", broker.URL)
		}
		mentions(t, one(t, examine(t, subject(t)), "no-queue-group"), "subject echo has 2 subscriptions", "queue: 'items'")
	})
	t.Run("without monitoring", func(t *testing.T) {
		testenv.Nest(t, testenv.Nest12, "--transport", "nats", "--url", broker.URL)
		p := subject(t)
		p.Monitoring = "http://127.0.0.1:" + testenv.Port(t)
		if r := examine(t, p); len(r.Findings) > 0 || !skipped(r, "queue groups on NATS") {
			t.Errorf("got %+v", r)
		}
	})
}

// TestRedisNest counts the subscribers of services that do not describe themselves.
func TestRedisNest(t *testing.T) {
	broker := testenv.Redis(t)
	subject := func(t *testing.T) Subject {
		t.Helper()
		return workspaceAt(t, fmt.Sprintf(`name: shop
services:
  items:
    command: node dist/main
    dir: items
    transport: redis
brokers:
  redis: %s
`, broker.URL), map[string]string{"items/package.json": nestPackage, "items/src/app.controller.ts": controller("items", `@MessagePattern('echo') echo() {}`)})
	}
	t.Run("healthy", func(t *testing.T) {
		testenv.Nest(t, testenv.Nest12, "--transport", "redis", "--url", broker.URL)
		healthy(t, examine(t, subject(t)), "reachability", "replicas on Redis")
	})
	t.Run("replicas", func(t *testing.T) {
		for range 2 {
			testenv.Nest(t, testenv.Nest12, "--transport", "redis", "--url", broker.URL)
		}
		mentions(t, one(t, examine(t, subject(t)), "redis-replicas"), "PUBSUB NUMSUB echo: 2 subscribers")
	})
	t.Run("not running", func(t *testing.T) {
		mentions(t, one(t, examine(t, subject(t)), "not-running"), "no subscriber for its 1 channel")
	})
}
