package microrabbit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// limitedBroker returns a broker whose virtual host / allows one connection. Its virtual host
// /crowded has two users: crowd may have one connection, and narrow one channel.
func limitedBroker(t *testing.T) *testenv.Broker {
	t.Helper()
	guest, all := userOf("guest", ".*", ".*", ".*")
	crowd, crowded := userOf("crowd", ".*", ".*", ".*")
	crowd["limits"] = object{"max-connections": 1}
	crowded["vhost"] = "crowded"
	narrow, channel := userOf("narrow", ".*", ".*", ".*")
	narrow["limits"] = object{"max-channels": 1}
	channel["vhost"] = "crowded"
	return definedBroker(t, object{
		"vhosts": []object{{"name": "/"}, {"name": "crowded"}}, "users": []object{guest, crowd, narrow}, "permissions": []object{all, crowded, channel},
		"parameters": []object{{"component": "vhost-limits", "name": "limits", "vhost": "/", "value": object{"max-connections": 1}}},
	})
}

// TestNoRoomForConnection checks that services that start and messages wait while a limit leaves no room for
// their connection, and that an error names the limit. What does not pass fails at once.
func TestNoRoomForConnection(t *testing.T) {
	b := limitedBroker(t)
	for _, tt := range []struct{ url, limit string }{
		{b.URL, `max-connections of the virtual host "/" is 1`},
		{strings.Replace(b.URL, "guest:guest@", "crowd:crowd@", 1) + "/crowded", `max-connections of the user "crowd" is 1`},
	} {
		t.Run(tt.limit, func(t *testing.T) {
			first := dialPeer(t, tt.url)
			if _, err := first.ch.QueueDeclare("room", true, false, false, false, nil); err != nil {
				t.Fatal(err)
			}
			c := dial(t, tt.url, "room")
			short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			deadline, _ := short.Deadline()
			err := c.Emit(short, noted, "too early")
			var full *LimitError
			if !errors.Is(err, micro.ErrUnreachable) || errors.Is(err, micro.ErrRefused) || !errors.As(err, &full) || !strings.Contains(err.Error(), tt.limit) || time.Now().Before(deadline) {
				t.Errorf("a message: %v", err)
			}
			long, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			emitted := make(chan error, 1)
			go func() { emitted <- c.Emit(long, noted, "x") }()
			if err := first.conn.Close(); err != nil {
				t.Fatal(err)
			}
			if err := take(t, "the event", emitted); err != nil {
				t.Errorf("when there is room: %v", err)
			}
			log := &testenv.Log{}
			s := quietServer(micro.WithLogger(slog.New(slog.NewTextHandler(log, nil))))
			handled := make(chan string, 1)
			micro.HandleEvent(s, noted, func(_ context.Context, in string) error { handled <- in; return nil })
			ctx, stop := context.WithCancel(t.Context())
			served := make(chan error, 1)
			go func() { served <- s.Serve(ctx, Listen(tt.url, "room", WithReconnect(-1, 100*time.Millisecond))) }()
			eventually(t, "the log names the limit", func() bool {
				return strings.Contains(log.String(), strings.ReplaceAll(tt.limit, `"`, `\"`))
			})
			_ = c.Close()
			if got := take(t, "the event", handled); got != "x" {
				t.Errorf("handled %q", got)
			}
			stop()
			if err := take(t, "the end of the server", served); err != nil {
				t.Error(err)
			}
		})
	}
	testOneChannel(t, strings.Replace(b.URL, "guest:guest@", "narrow:narrow@", 1)+"/crowded")
	for what, url := range map[string]string{
		"a virtual host that does not exist": b.URL + "/missing",
		"a wrong password":                   strings.Replace(b.URL, "guest:guest@", "crowd:wrong@", 1) + "/crowded",
		"no access to the virtual host":      b.URL + "/crowded",
	} {
		if err := serveOnce(t, Listen(url, "room")); !errors.Is(err, micro.ErrRefused) {
			t.Errorf("serve with %s: %v", what, err)
		}
		if err := dial(t, url, "room").Emit(t.Context(), noted, "x"); !errors.Is(err, micro.ErrRefused) {
			t.Errorf("emit with %s: %v", what, err)
		}
	}
}

// testOneChannel checks that a client whose user may open only one channel loses its connection
// to the check for consumers at most once.
func testOneChannel(t *testing.T, url string) {
	t.Helper()
	c := dial(t, url, "room") // which has no consumer
	call := func(limit time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		_, err := micro.Call[string](ctx, c, echo, "x")
		return err
	}
	if err := call(30 * time.Second); !errors.Is(err, micro.ErrConnectionLost) { // when the check comes, however late
		t.Errorf("the first call: %v", err)
	}
	if err := call(3 * idleAfter); !errors.Is(err, micro.ErrTimeout) {
		t.Errorf("the second call: %v", err)
	}
	l := Listen(url, "room", WithReconnect(1, time.Millisecond))
	if err := serveOnce(t, l); !limited(err) || !errors.Is(err, micro.ErrUnreachable) {
		t.Errorf("serve with one channel: %v", err)
	}
}

// TestExclusiveConsumer checks that a service waits for a queue whose consumer is exclusive.
func TestExclusiveConsumer(t *testing.T) {
	b := broker(t)
	p := dialPeer(t, b.URL)
	q := p.queue(unique(t, "exclusive"), nil)
	if _, err := p.ch.Consume(q, "alone", true, true, false, false, nil); err != nil {
		t.Fatal(err)
	}
	log := &testenv.Log{}
	s := quietServer(micro.WithLogger(slog.New(slog.NewTextHandler(log, nil))))
	l := Listen(b.URL, q, WithReconnect(-1, 100*time.Millisecond))
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()
	eventually(t, "the log gives the reason", func() bool { return strings.Contains(log.String(), "in exclusive use") })
	if err := p.ch.Cancel("alone", false); err != nil {
		t.Fatal(err)
	}
	if err := l.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	stop()
	if err := take(t, "the end of the server", served); err != nil {
		t.Error(err)
	}
}

// TestLimitOf reads the texts of RabbitMQ 3.10 to 4.
func TestLimitOf(t *testing.T) {
	for reason, want := range map[string]string{
		"NOT_ALLOWED - access to vhost 'v' refused for user 'u': connection limit (3) is reached":                 `max-connections of the virtual host "v" is 3`,
		"NOT_ALLOWED - connection refused for user 'u': user connection limit (1) is reached":                     `max-connections of the user "u" is 1`,
		"NOT_ALLOWED - number of channels opened for user 'u' has reached the maximum allowed user limit of (7)":  `max-channels of the user "u" is 7`,
		"NOT_ALLOWED - number of channels opened on node 'rabbit@a' has reached the maximum allowed limit of (9)": `channel_max_per_node of the node "rabbit@a" is 9`,
		"NOT_ALLOWED - connection refused for user 'u': node connection limit (5) is reached":                     `connection_max of the node is 5`,
		"PRECONDITION_FAILED - cannot declare queue 'q': queue limit in vhost 'v' (2) is reached":                 `max-queues of the virtual host "v" is 2`,
		"NOT_ALLOWED - vhost v not found":                                                                              "",
		"NOT_ALLOWED - access to vhost 'v' refused for user 'u'":                                                       "",
		"PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue 'q' in vhost '/'":                             "",
		"ACCESS_REFUSED - queue 'q' in vhost '/' in exclusive use":                                                     "passes",
		"NOT_FOUND - home node 'rabbit@a' of durable queue 'q' in vhost '/' is down or inaccessible":                   "passes",
		"INTERNAL_ERROR - access to vhost 'v' refused for user 'u': vhost 'v' is down":                                 "passes",
		"NOT_FOUND - no queue 'q' in vhost '/'":                                                                        "",
		"ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see the broker logfile.": "",
		"NOT_ALLOWED - number of channels opened (1) has reached the negotiated channel_max (1)":                       "",
		"NOT_ALLOWED - access to vhost 'limit' refused for user 'u': vhost connection limit (4) is reached":            `max-connections of the virtual host "limit" is 4`,
	} {
		code := map[string]int{"NOT_ALLOWED": amqp.NotAllowed, "PRECONDITION_FAILED": amqp.PreconditionFailed, "NOT_FOUND": amqp.NotFound, "ACCESS_REFUSED": amqp.AccessRefused, "INTERNAL_ERROR": amqp.InternalError}[strings.Fields(reason)[0]]
		broker := &amqp.Error{Code: code, Reason: reason, Server: true}
		for what, err := range map[string]error{"at": at(broker, "open"), "unconnected": unconnected(broker, address{name: "a"})} {
			got := ""
			var full *LimitError
			switch {
			case errors.As(err, &full):
				got = full.Error()
			case passes(err):
				got = "passes"
			}
			if got != want {
				t.Errorf("%s, %s: %q, want %q", what, reason, got, want)
			}
			if several := errors.Join(err, errors.New("refused")); hopeless(err) == (want != "") || passes(several) != (want != "") {
				t.Errorf("%s, %s: hopeless %v, passes %v", what, reason, hopeless(err), passes(several))
			}
		}
	}
	if err := at(amqp.ErrChannelMax, "open a channel"); !hopeless(err) || passes(err) || !strings.Contains(err.Error(), "increase channel_max") {
		t.Errorf("too few channels for one connection: %v", err)
	}
	if err := fmt.Errorf("no response"); passes(err) {
		t.Error("a broker that was not reached")
	}
}
