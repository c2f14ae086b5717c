package observe

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/tap"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
	reported "github.com/msctl/msctl/runtime/tap"
)

// connect observes a broker until the test ends.
func connect(t *testing.T, address string) *view {
	t.Helper()
	v := newView(t)
	o, err := Connect(t.Context(), new(target.Flags), parseTarget(t, address), Options{Note: v.note})
	if err != nil {
		t.Fatal(err)
	}
	v.watch(o)
	return v
}

// rejected checks the error of observing a broker, which names no password.
func rejected(t *testing.T, address string, code int, text, hint string) {
	t.Helper()
	o, err := Connect(t.Context(), new(target.Flags), parseTarget(t, address), Options{})
	if err == nil {
		o.Close()
		t.Fatalf("%s is accepted", target.WithoutLogin(address))
	}
	if exit.Code(err) != code || !strings.Contains(err.Error(), text) || !strings.Contains(exit.Hint(err), hint) {
		t.Errorf("exit code %d: %v\nhint: %s", exit.Code(err), err, exit.Hint(err))
	}
	for _, secret := range secrets {
		if strings.Contains(err.Error()+exit.Hint(err), secret) {
			t.Errorf("the password is in %v", err)
		}
	}
}

func TestRejections(t *testing.T) {
	for _, scheme := range []string{"nats", "redis", "amqp"} {
		rejected(t, scheme+"://user:s3cr3t-seen@127.0.0.1:1", exit.Unreachable, "cannot reach ", "is it running?")
	}
	if _, err := Connect(t.Context(), new(target.Flags), parseTarget(t, "tcp://127.0.0.1:1"), Options{}); exit.Code(err) != exit.Usage || !strings.Contains(exit.Hint(err), "--listen") {
		t.Errorf("%v: %s", err, exit.Hint(err))
	}
	if _, err := Connect(t.Context(), &target.Flags{Insecure: true}, parseTarget(t, "nats://127.0.0.1:1"), Options{}); exit.Code(err) != exit.Usage {
		t.Error(err)
	}
	t.Run("NATS", func(t *testing.T) {
		broker := testenv.NATS(t, `authorization { users = [ {user: all, password: hunter2-seen}, {user: few, password: hunter2-seen, permissions: {subscribe: "a.>"}} ] }`)
		rejected(t, broker.URL, exit.Unreachable, "does not take the user's credentials", "requires a login")
		rejected(t, "nats://all:s3cr3t-seen@"+broker.Addr, exit.Unreachable, "does not take the user's credentials", "check the user")
		rejected(t, "nats://few:hunter2-seen@"+broker.Addr, exit.Unreachable, `does not let the user subscribe to ">"`, `allow the user to subscribe to ">"`)
		connect(t, "nats://all:hunter2-seen@"+broker.Addr)
	})
	t.Run("Redis", func(t *testing.T) {
		broker := testenv.Redis(t, "user default off", "user all on >hunter2-seen allchannels +@all", "user few on >hunter2-seen resetchannels &a +@all", "user none on >hunter2-seen allchannels +ping")
		rejected(t, broker.URL, exit.Unreachable, "NOAUTH", "requires a login")
		rejected(t, "redis://all:s3cr3t-seen@"+broker.Addr, exit.Unreachable, "WRONGPASS", "check the user")
		rejected(t, "redis://few:hunter2-seen@"+broker.Addr, exit.Unreachable, "NOPERM", `ACL SETUSER few "&*"`)
		rejected(t, "redis://none:hunter2-seen@"+broker.Addr, exit.Unreachable, "NOPERM", "ACL SETUSER none +psubscribe")
		connect(t, "redis://all:hunter2-seen@"+broker.Addr)
	})
	t.Run("RabbitMQ", func(t *testing.T) {
		broker := testenv.RabbitMQ(t)
		rejected(t, "amqp://guest:s3cr3t-seen@"+broker.Addr, exit.Unreachable, "rejected the login", "check the user")
		rejected(t, "amqp://guest:guest@"+broker.Addr+"/nowhere/", exit.Unreachable, "vhost nowhere not found", "is the vhost correct?")
	})
}

// TestForeignMessagesNATS checks messages that are not NestJS's.
func TestForeignMessagesNATS(t *testing.T) {
	broker := testenv.NATS(t)
	v := connect(t, broker.URL)
	v.noted("no responders")
	nc, err := nats.Connect(broker.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if _, err := nc.Subscribe("greet.*", func(m *nats.Msg) { _ = m.Respond([]byte("hello s")) }); err != nil {
		t.Fatal(err)
	}
	if _, err := nc.Request("greet.bob", []byte(`{"password":"hunter2-seen"}`), soon); err != nil {
		t.Fatal(err)
	}
	m := v.message("the request", of(micro.Name("greet.bob")))
	if m.Outcome != reported.OK || m.Event || string(m.Data) != `{"password":"***"}` || string(m.Reply) != `"hello s"` {
		t.Errorf("%+v", m)
	}
	publish := func(subject, body string) {
		if err := nc.PublishMsg(&nats.Msg{Subject: subject, Data: []byte(body), Header: nats.Header{"X-Api-Key": {"s3cr3t-seen"}, "Traceparent": {"x"}}}); err != nil {
			t.Fatal(err)
		}
	}
	publish("$KV.a", `"hunter2-seen"`)
	publish("msctl.health", `{"pattern":"msctl.health","data":{}}`)
	publish("_INBOX.gone", `{"response":1,"isDisposed":true,"id":"1"}`)
	publish(`{"cmd":"a"}`, `{"pattern":{"cmd": "a"},"data":[]}`)
	publish("raw", "Bearer bearer-of-secrets")
	if m := v.message("the text", of(micro.Name("raw"))); !m.Event || string(m.Data) != `"***"` || m.Metadata["X-Api-Key"] != "***" {
		t.Errorf("%+v", m)
	}
	if m := v.message("the stray reply", of(micro.Name("_INBOX.gone"))); m.Outcome != reported.NoRequest || string(m.Reply) != "1" {
		t.Errorf("%+v", m)
	}
	v.message("the event", of(micro.Cmd("a")))
	v.mu.Lock()
	defer v.mu.Unlock()
	if slices.ContainsFunc(v.all, func(m tap.Message) bool {
		return strings.Contains(m.Pattern, "msctl.") || strings.Contains(m.Pattern, "$KV")
	}) {
		t.Errorf("%+v", v.all)
	}
}

// TestRedisInstances checks the replies of several instances, a stray one, and a message that is too large.
func TestRedisInstances(t *testing.T) {
	broker := testenv.Redis(t)
	v := connect(t, broker.URL)
	v.noted("PUBLISH")
	conn, err := loginRedis(t.Context(), new(target.Flags), parseTarget(t, broker.URL), false)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	publish := func(channel, body string) {
		if _, err := conn.ask(t.Context(), "PUBLISH", channel, body); err != nil {
			t.Fatal(err)
		}
	}
	publish("items", `{"pattern":"items","data":{"token":"s3cr3t-seen"},"id":"1"}`)
	publish("items.reply", `{"response":1,"isDisposed":true,"id":"1"}`)
	publish("items.reply", `{"response":2,"isDisposed":true,"id":"1"}`)
	publish("items.reply", `{"response":3,"isDisposed":true,"id":"2"}`)
	publish("text.reply", "of no request")
	publish("large", strings.Repeat("x", maxBulk+1))
	publish("last", "{}")
	first := v.message("the request", func(m *tap.Message) bool { return string(m.Reply) == "1" })
	second := v.message("the second reply", func(m *tap.Message) bool { return string(m.Reply) == "2" })
	if first.Pattern != `"items"` || second.Record.Parent != first.Span || second.Trace != first.Trace || second.Pattern != first.Pattern {
		t.Errorf("%+v and %+v", first, second)
	}
	if m := v.message("the stray reply", func(m *tap.Message) bool { return string(m.Reply) == "3" }); m.Outcome != reported.NoRequest || m.Pattern != `"items"` {
		t.Errorf("%+v", m)
	}
	v.message("what was too large", func(m *tap.Message) bool { return m.Dropped == 1 })
	v.message("the last one", of(micro.Name("last")))
}

// TestReconnect checks that an observer connects again.
func TestReconnect(t *testing.T) {
	for name, broker := range map[string]*testenv.Broker{"nats": testenv.PrivateNATS(t), "redis": testenv.PrivateRedis(t)} {
		t.Run(name, func(t *testing.T) {
			v := connect(t, broker.URL)
			broker.Kill()
			v.noted("lost the connection to ")
			broker.Start()
			v.noted(" again")
			c := client(t, broker.URL)
			if err := c.Emit(t.Context(), noted, input{"a", "hunter2-seen"}); err != nil {
				t.Fatal(err)
			}
			v.message("the event", of(noted))
		})
	}
}

// TestExchanges checks messages that RabbitMQ routes by an exchange.
func TestExchanges(t *testing.T) {
	broker := testenv.RabbitMQ(t)
	conn, err := amqp.Dial(broker.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	exchange, queue := testenv.Unique(t, "x"), testenv.Unique(t, "q")
	_, declared := ch.QueueDeclare(queue, false, true, true, false, nil)
	if err := errors.Join(ch.ExchangeDeclare(exchange, "topic", false, true, false, false, nil), declared, ch.QueueBind(queue, "a.*", exchange, false, nil)); err != nil {
		t.Fatal(err)
	}
	v := connect(t, broker.URL+"/")
	publish := func(key, id string, headers amqp.Table) micro.Pattern {
		p := micro.Name(key + queue)
		body := fmt.Sprintf(`{"pattern":%s,"data":{"password":"hunter2-seen"}%s}`, p.JSON(), id)
		if err := ch.PublishWithContext(t.Context(), exchange, key, false, false, amqp.Publishing{Body: []byte(body), Headers: headers}); err != nil {
			t.Fatal(err)
		}
		return p
	}
	routed := v.message("the event", of(publish("a.b", "", amqp.Table{"Authorization": "Bearer bearer-of-secrets", "nested": amqp.Table{"token": "s3cr3t-seen"}, "n": int64(1)})))
	if routed.Service != queue || routed.Outcome != reported.OK || !routed.Event || routed.Peer == "" || routed.Metadata["nested"] != `{"token":"***"}` || routed.Metadata["n"] != "1" {
		t.Errorf("%+v", routed)
	}
	lost := v.message("the event without a queue", of(publish("b", "", nil)))
	if lost.Service != exchange || lost.Outcome != reported.Unreachable || lost.Error == nil || !strings.Contains(lost.Error.Message, "no queue for the routing key b") {
		t.Errorf("%+v %+v", lost, lost.Error)
	}
	unread := v.message("the request that nothing consumes", of(publish("a.c", `,"id":"`+queue+`"`, amqp.Table{"timeout-ms": "1"})))
	if unread.Outcome != reported.TimedOut || !strings.Contains(unread.Error.Message, "no consumer has received the request") {
		t.Errorf("%+v %+v", unread, unread.Error)
	}
}

// TestTracingOff checks the note on how to switch tracing on.
func TestTracingOff(t *testing.T) {
	broker := testenv.RabbitMQ(t, "default_vhost = shop", "default_permissions.configure = .*", "default_permissions.read = .*", "default_permissions.write = .*")
	v := connect(t, broker.URL+"/shop/")
	v.noted("`rabbitmqctl trace_on -p shop`")
}
