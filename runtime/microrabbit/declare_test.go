package microrabbit

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// TestClientsDeclareNothing checks that a client uses what exists, and creates nothing.
func TestClientsDeclareNothing(t *testing.T) {
	b := broker(t)
	p := dialPeer(t, b.URL)
	exchange := func(name string) bool {
		ch, err := p.conn.Channel()
		if err != nil {
			t.Fatal(err)
		}
		return ch.ExchangeDeclarePassive(name, "topic", true, false, false, false, nil) == nil
	}
	for name, topology := range map[string]Topology{
		"a queue":            {},
		"a configured queue": {Queue: QueueOptions{MaxLength: 5}},
		"wildcards":          {Wildcards: true},
		"fanout":             {ExchangeType: "fanout"},
		"a bound queue":      {Exchange: "amq.topic", RoutingKey: "key"},
	} {
		t.Run(name, func(t *testing.T) {
			missing := unique(t, "missing")
			c := dial(t, b.URL, missing, WithTopology(topology))
			_, err := micro.Call[string](t.Context(), c, echo, "x")
			for what, err := range map[string]error{"call": err, "emit": c.Emit(t.Context(), noted, "x")} {
				if !errors.Is(err, micro.ErrNotServed) || !strings.Contains(err.Error(), missing) {
					t.Errorf("%s: %v", what, err)
				}
			}
			if exchange(missing) {
				t.Error("an exchange was created")
			}
			ch, err := p.conn.Channel()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := ch.QueueDeclarePassive(missing, false, false, false, false, nil); err == nil {
				t.Error("a queue was created")
			}
		})
	}
	t.Run("WithDeclare", func(t *testing.T) {
		q := unique(t, "declared")
		if err := dial(t, b.URL, q, WithDeclare()).Emit(t.Context(), noted, "x"); err != nil || p.depth(q) != 1 {
			t.Errorf("a queue: %v", err)
		}
		e := unique(t, "declared-exchange")
		if err := dial(t, b.URL, e, WithDeclare(), WithTopology(Topology{Wildcards: true})).Emit(t.Context(), noted, "x"); !errors.Is(err, micro.ErrNotServed) || !exchange(e) {
			t.Errorf("an exchange without a queue: %v", err)
		}
	})
}

// TestArguments checks that arguments of all types can be sent, and that those that the
// broker compares have to match.
func TestArguments(t *testing.T) {
	b := broker(t)
	q, e := unique(t, "arguments"), unique(t, "exchange")
	topology := func(length any, alternate string) Option {
		return WithTopology(Topology{
			Queue: QueueOptions{Arguments: map[string]any{
				"x-max-length": length, "x-text": "5", "x-large": 1 << 40, "x-float": 0.5, "x-true": true, "x-null": nil,
				"x-list": []any{1, "a", []any{2}}, "x-table": map[string]any{"k": map[string]any{"n": []any{1 << 40}}},
			}},
			Wildcards: true, Exchange: e, ExchangeArguments: map[string]any{"alternate-exchange": alternate, "x-table": map[string]any{"n": 1}},
		})
	}
	serveQuietly(t, Listen(b.URL, q, topology(7, "other")))
	serveQuietly(t, Listen(b.URL, q, topology(int64(7), "other")))
	for name, other := range map[string]Option{"queue": topology(8, "other"), "exchange": topology(7, "another")} {
		if err := serveOnce(t, Listen(b.URL, q, other)); !errors.Is(err, micro.ErrRefused) || !strings.Contains(err.Error(), "for "+name) {
			t.Errorf("other arguments of the %s: %v", name, err)
		}
	}
}

// restrictedBroker returns a broker with a user for each kind of permission: writer,
// reader, and server (read and write, but not configure). The queue and exchange named
// shop exist and are bound to each other, and so do their retry queue and dead letters. The
// password is that of the user.
func restrictedBroker(t *testing.T) *testenv.Broker {
	t.Helper()
	var users, permissions []object
	for _, u := range [][4]string{
		{"guest", ".*", ".*", ".*"},
		{"writer", "^$", `^(amq\.default|shop)$`, "^$"},
		{"reader", "^$", "^$", "^shop$"},
		{"server", "^$", `^(amq\.default|shop)$`, "^shop$"},
		{"mute", "^$", "^$", "^shop$"},
		{"outsider", "^$", "^$", "^$"},
	} {
		user, permission := userOf(u[0], u[1], u[2], u[3])
		users, permissions = append(users, user), append(permissions, permission)
	}
	queue := object{"name": "shop", "vhost": "/", "durable": true, "auto_delete": false, "arguments": object{}}
	exchange := object{"name": "shop", "vhost": "/", "type": "topic", "durable": true, "auto_delete": false, "internal": false, "arguments": object{}}
	return definedBroker(t, object{
		"vhosts": []object{{"name": "/"}, {"name": "other"}}, "users": users, "permissions": permissions,
		"queues": []object{queue}, "exchanges": []object{exchange},
		"topic_permissions": []object{{"user": "writer", "vhost": "/", "exchange": "shop", "write": "^orders", "read": ".*"}},
	}, "max_message_size = 65536")
}

type object = map[string]any

// userOf returns the definitions of a user, whose password is its name, and of its permissions.
func userOf(name, configure, write, read string) (user, permission object) {
	sum := sha256.Sum256([]byte("salt" + name))
	hash := base64.StdEncoding.EncodeToString(append([]byte("salt"), sum[:]...))
	return object{"name": name, "password_hash": hash, "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": ""},
		object{"user": name, "vhost": "/", "configure": configure, "write": write, "read": read}
}

// definedBroker starts a broker with definitions and lines of its configuration.
func definedBroker(t *testing.T, definitions object, config ...string) *testenv.Broker {
	t.Helper()
	text, err := json.Marshal(definitions)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "definitions.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return testenv.RabbitMQ(t, append(config, "load_definitions = "+file)...)
}

// TestLeastPrivilege checks that the permissions that an operation needs are enough for it,
// and that the error names the permission that is missing.
func TestLeastPrivilege(t *testing.T) {
	b := restrictedBroker(t)
	as := func(user string) string { return strings.Replace(b.URL, "guest:guest@", user+":"+user+"@", 1) }
	topic := WithTopology(Topology{Wildcards: true})
	p := dialPeer(t, b.URL)
	refused := func(what string, err error, parts ...string) { // RabbitMQ 3.10 does not name the permission
		t.Helper()
		if !errors.Is(err, micro.ErrRefused) {
			t.Errorf("%s: %v", what, err)
			return
		}
		for _, part := range parts {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %v; want %q", what, err, part)
			}
		}
	}

	// A service without permission to declare uses what exists. It replies.
	serving := start(t, quietServer(), Listen(as("server"), "shop"))
	writer := dial(t, as("writer"), "shop")
	if got, err := micro.Call[string](t.Context(), writer, echo, "x"); err != nil || got != "x" {
		t.Errorf("call as writer: %q, %v", got, err)
	}
	if err := writer.Emit(t.Context(), noted, "x"); err != nil {
		t.Errorf("emit as writer: %v", err)
	}
	if err := serving(); err != nil {
		t.Fatal(err)
	}
	refused("serve what does not exist", serveOnce(t, Listen(as("server"), "new")), "declare the queue", "access", "grant server the configure permission")
	refused("serve as writer", serveOnce(t, Listen(as("writer"), "shop")), "consume from the queue", "access to queue 'shop'", "grant writer the read permission")
	refused("bind as reader", serveOnce(t, Listen(as("reader"), "shop", topic)), "bind the queue", "access to queue 'shop'")

	// A client without permission to write.
	reader := dial(t, as("reader"), "shop")
	_, err := micro.Call[string](t.Context(), reader, echo, "x")
	refused("call as reader", err, "access to exchange 'amq.default'", "grant reader the write permission")
	refused("emit as reader", reader.Emit(t.Context(), noted, "x"), "access to exchange 'amq.default'")
	refused("emit to an exchange as reader", dial(t, as("reader"), "shop", topic).Emit(t.Context(), noted, "x"), "access to exchange 'shop'")
	refused("emit a topic as writer", dial(t, as("writer"), "shop", topic).Emit(t.Context(), noted, "x"), "access to topic 'noted'", `permission for the topic "noted"`)

	// Reading the reply queue is only necessary for requests.
	replies := dial(t, as("writer"), "shop", WithReplyQueue("shop"))
	if err := replies.Emit(t.Context(), noted, "x"); err != nil {
		t.Errorf("emit with a reply queue: %v", err)
	}
	_, err = micro.Call[string](t.Context(), replies, echo, "x")
	refused("call with a reply queue", err, "consume replies from the queue", "access to queue 'shop'")
	if err := replies.Emit(t.Context(), noted, "x"); err != nil {
		t.Errorf("emit afterwards: %v", err)
	}

	// A password and a vhost.
	refused("a wrong password", dial(t, strings.Replace(b.URL, "guest:guest@", "writer:wrong@", 1), "shop").Emit(t.Context(), noted, "x"), "Login was refused", "the user and the password")
	refused("another vhost", dial(t, as("writer")+"/other", "shop").Emit(t.Context(), noted, "x"), "access to vhost 'other' refused", "virtual host")

	// Only the message that is too large fails.
	large := strings.Repeat("x", 70<<10)
	c := dial(t, b.URL, "shop")
	refused("a large message", c.Emit(t.Context(), noted, large), "message size", "65536")
	if err := c.Emit(t.Context(), noted, "x"); err != nil {
		t.Errorf("emit afterwards: %v", err)
	}
	if _, err := p.ch.QueuePurge("shop", false); err != nil {
		t.Fatal(err)
	}
	testMute(t, b, as("mute"))
}

// testMute checks that a service that may not reply reports it.
func testMute(t *testing.T, b *testenv.Broker, url string) {
	t.Helper()
	log := &testenv.Log{}
	s := quietServer(micro.WithLogger(slog.New(slog.NewTextHandler(log, nil))))
	start(t, s, Listen(url, "shop"))
	p := dialPeer(t, b.URL)
	p.publish("", "shop", amqp.Publishing{ReplyTo: "shop", Body: []byte(`{"pattern":{"cmd":"echo"},"data":"x","id":"1"}`)})
	eventually(t, "the log names the permission", func() bool {
		return strings.Contains(log.String(), "access to exchange 'amq.default'") && strings.Contains(log.String(), "grant mute the write permission")
	})
}

// TestRejection checks which of the unconfirmed messages the broker has rejected when it
// closes the channel.
func TestRejection(t *testing.T) {
	for _, tt := range []struct {
		code   int
		reason string
		route  string
		size   int
		alone  bool
		want   error
	}{
		{amqp.AccessRefused, "ACCESS_REFUSED - access to exchange 'e' in vhost '/' refused for user 'u'", "k", 1, false, micro.ErrRefused},
		{amqp.AccessRefused, "ACCESS_REFUSED - write access to exchange 'e' in vhost '/' refused for user 'u'", "k", 1, false, micro.ErrRefused},
		{amqp.AccessRefused, "ACCESS_REFUSED - access to topic 'k' in exchange 'e' in vhost '/' refused for user 'u'", "k", 1, false, micro.ErrRefused},
		{amqp.AccessRefused, "ACCESS_REFUSED - access to topic 'k' in exchange 'e' in vhost '/' refused for user 'u'", "other", 1, false, nil},
		{amqp.AccessRefused, "ACCESS_REFUSED - read access to queue 'e' in vhost '/' refused for user 'u'", "k", 1, false, nil},
		{amqp.PreconditionFailed, "PRECONDITION_FAILED - message size 9 is larger than configured max size 5", "k", 9, false, micro.ErrRefused},
		{amqp.PreconditionFailed, "PRECONDITION_FAILED - message size 9 is larger than configured max size 5", "k", 1, false, nil},
		{amqp.PreconditionFailed, "PRECONDITION_FAILED - invalid expiration", "k", 1, true, micro.ErrRefused},
		{amqp.PreconditionFailed, "PRECONDITION_FAILED - invalid expiration", "k", 1, false, nil},
		{amqp.NotFound, "NOT_FOUND - no exchange 'e' in vhost '/'", "k", 1, true, micro.ErrNotServed},
		{amqp.NotFound, "NOT_FOUND - no exchange 'e' in vhost '/'", "k", 1, false, nil},
		{amqp.ConnectionForced, "CONNECTION_FORCED - broker forced connection closure", "k", 1, true, nil},
	} {
		got := rejection(&amqp.Error{Code: tt.code, Reason: tt.reason, Server: true}, &sent{route: tt.route, size: tt.size}, tt.alone)
		if tt.want == nil && got != nil || !errors.Is(got, tt.want) {
			t.Errorf("%s, alone %v: %v, want %v", tt.reason, tt.alone, got, tt.want)
		}
	}
	if got := rejection(errors.New("reset"), &sent{}, true); got != nil {
		t.Errorf("a lost connection: %v", got)
	}
}

// TestPermissionOf checks the permission that an operation lacks, with and without the
// name that newer versions of RabbitMQ have for it.
func TestPermissionOf(t *testing.T) {
	text := func(permission, kind, name string) string {
		return fmt.Sprintf("ACCESS_REFUSED - %saccess to %s '%s' in vhost '/' refused for user 'u'", permission, kind, name)
	}
	for _, tt := range []struct{ operation, reason, want string }{
		{`declare the queue "q"`, text("", "queue", "q"), `u lacks the configure permission for the queue "q"`},
		{`declare the queue "q"`, text("", "exchange", "dead"), `u lacks the write permission for the exchange "dead"`},
		{`declare the queue "q"`, text("read ", "queue", "q"), `u lacks the read permission for the queue "q"`},
		{`declare the exchange "e"`, text("", "exchange", "e"), `u lacks the configure permission for the exchange "e"`},
		{`consume from the queue "q"`, text("", "queue", "q"), `u lacks the read permission for the queue "q"`},
		{`bind the queue "q" to the exchange "e" under "k"`, text("", "queue", "q"), `u lacks the write permission for the queue "q"`},
		{`bind the queue "q" to the exchange "e" under "k"`, text("", "exchange", "e"), `u lacks the read permission for the exchange "e"`},
		{"publish", text("", "exchange", "amq.default"), `u lacks the write permission for the exchange "amq.default"`},
		{"publish", "ACCESS_REFUSED - access to topic 'k' in topic exchange 'e' in vhost '/' refused for user 'u'", `u lacks the write permission for the topic "k"`},
		{"publish", "ACCESS_REFUSED - access to topic 'k' in exchange 'e' in vhost '/' refused for user 'u'", `u lacks the write permission for the topic "k"`},
		{`declare the queue "amq.q"`, "ACCESS_REFUSED - queue name 'amq.q' contains reserved prefix 'amq.*'", ""},
	} {
		got := ""
		var e *PermissionError
		if err := at(&amqp.Error{Code: amqp.AccessRefused, Reason: tt.reason, Server: true}, "%s", tt.operation); errors.As(err, &e) {
			got = e.Error()
		}
		if got != tt.want {
			t.Errorf("%s, %s: %q, want %q", tt.operation, tt.reason, got, tt.want)
		}
	}
}
