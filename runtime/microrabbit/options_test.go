package microrabbit

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	amqp "github.com/rabbitmq/amqp091-go"
)

func TestAddresses(t *testing.T) {
	tests := []struct {
		list  string
		names []string
		hosts []string
	}{
		{"amqp://localhost", []string{"amqp://localhost:5672"}, []string{"localhost:5672"}},
		{"amqp://", []string{"amqp://localhost:5672"}, []string{"localhost:5672"}},
		{"amqps://u:p@rabbit", []string{"amqps://rabbit:5671"}, []string{"rabbit:5671"}},
		{"amqp://u:p%40ss@[::1]:1/%2Fshop?heartbeat=7", []string{"amqp://[::1]:1/%2Fshop"}, []string{"[::1]:1"}},
		{"amqp://a:1/%2f, amqps://u:s,e@b:2/v ,amqp://c", []string{"amqp://a:1", "amqps://b:2/v", "amqp://c:5672"}, []string{"a:1", "b:2", "c:5672"}},
	}
	for _, tt := range tests {
		all, err := parseAddresses(tt.list)
		if err != nil {
			t.Errorf("%s: %v", tt.list, err)
			continue
		}
		hosts := []string{}
		for _, a := range all {
			hosts = append(hosts, a.host)
		}
		if diff := cmp.Diff(tt.hosts, hosts); diff != "" {
			t.Errorf("%s: %s", tt.list, diff)
		}
		if diff := cmp.Diff(strings.Join(tt.names, ","), names(all)); diff != "" {
			t.Errorf("%s: %s", tt.list, diff)
		}
	}
	if all, _ := parseAddresses("amqp://a?heartbeat=7"); all[0].heartbeat != 7*time.Second {
		t.Errorf("heartbeat %v", all[0].heartbeat)
	}
}

// TestBadAddresses checks that the first use of a bad address fails, and that the error
// does not contain a possible password.
func TestBadAddresses(t *testing.T) {
	for _, list := range []string{"", "localhost:5672", "http://u:secret@a", "amqp:secret", "amqp://u:secret", "amqp://u:sec ret@a", "amqp://u:sec%zzret@a:1", "amqp://u:secret@a:1:2", "amqp://u:secret@a,b"} {
		if _, err := parseAddresses(list); err == nil || strings.Contains(err.Error(), "sec") {
			t.Errorf("%s: %v", list, err)
		}
		c := dial(t, list, "q")
		if err := c.Emit(t.Context(), noted, "x"); err == nil || strings.Contains(err.Error(), "sec") || !strings.Contains(err.Error(), "amqp://user:password@host:port/vhost") {
			t.Errorf("%s: emit: %v", list, err)
		}
		if err := quietServer().Serve(t.Context(), Listen(list, "q")); err == nil || strings.Contains(err.Error(), "sec") {
			t.Errorf("%s: serve: %v", list, err)
		}
	}
}

func TestQueueArguments(t *testing.T) {
	q := QueueOptions{
		MessageTTL: time.Second, Expires: time.Minute, MaxLength: 5, MaxPriority: 9, DeadLetterExchange: "dead", DeadLetterRoutingKey: "k",
		Arguments: map[string]any{"x-queue-type": "classic"},
	}
	want := amqp.Table{
		"x-message-ttl": int64(1000), "x-expires": int64(60000), "x-max-length": int64(5), "x-max-priority": int64(9),
		"x-dead-letter-exchange": "dead", "x-dead-letter-routing-key": "k", "x-queue-type": "classic",
	}
	if diff := cmp.Diff(want, q.table()); diff != "" {
		t.Error(diff)
	}
	if !q.durable() || len(QueueOptions{}.table()) != 0 {
		t.Error("the zero options are not those of NestJS")
	}
}

func TestRedeliveryDelays(t *testing.T) {
	tests := []struct {
		r    Redelivery
		want []time.Duration
	}{
		{Redelivery{}, []time.Duration{time.Second, 4 * time.Second, 16 * time.Second, 64 * time.Second}},
		{Redelivery{Delay: 100 * time.Millisecond, Factor: 1}, []time.Duration{100 * time.Millisecond, 100 * time.Millisecond}},
		{Redelivery{Delay: time.Minute, Factor: 10}, []time.Duration{time.Minute, 10 * time.Minute, 10 * time.Minute}},
		{Redelivery{Delay: math.MaxInt64, Factor: math.Inf(1)}, []time.Duration{10 * time.Minute, 10 * time.Minute}},
		{Redelivery{Delay: time.Nanosecond}, []time.Duration{time.Millisecond}},
	}
	for _, tt := range tests {
		r := tt.r.withDefaults()
		got := []time.Duration{}
		for i := range tt.want {
			got = append(got, r.after(i+1))
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%+v: %s", tt.r, diff)
		}
	}
}

// TestImpossibleOptions checks that options that AMQP cannot encode fail at once.
func TestImpossibleOptions(t *testing.T) {
	long := strings.Repeat("q", 256)
	tests := map[string]struct {
		queue string
		opt   Option
	}{
		"the name of the queue is 256 bytes long":       {long, WithTopology(Topology{Wildcards: true})},
		"the name of the exchange is 256 bytes long":    {"q", WithTopology(Topology{Exchange: long})},
		"the name of the routing key is 256 bytes long": {"q", WithTopology(Topology{RoutingKey: long})},
		`invalid arguments of the queue "q"`:            {"q", WithTopology(Topology{Queue: QueueOptions{Arguments: map[string]any{"x": struct{}{}}}})},
		`invalid arguments of the exchange "e"`:         {"q", WithTopology(Topology{Exchange: "e", ExchangeArguments: map[string]any{"x": struct{}{}}})},
	}
	for want, tt := range tests {
		served := serveOnce(t, Listen("amqp://127.0.0.1:1", tt.queue, tt.opt))
		emitted := dial(t, "amqp://127.0.0.1:1", tt.queue, tt.opt).Emit(t.Context(), noted, "x")
		for _, err := range []error{served, emitted} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %q", err, want)
			}
		}
	}
}

// TestAckDefault checks that redelivery and dead letters make AckAfterHandling the
// default.
func TestAckDefault(t *testing.T) {
	tests := []struct {
		ack  AckMode
		opts []ListenOption
	}{
		{AckOnReceipt, nil},
		{AckAfterHandling, []ListenOption{WithAck(AckAfterHandling)}},
		{AckAfterHandling, []ListenOption{WithRedelivery(Redelivery{})}},
		{AckAfterHandling, []ListenOption{WithTopology(Topology{DeadLetter: "dead"})}},
		{AckOnReceipt, []ListenOption{WithAck(AckOnReceipt), WithTopology(Topology{DeadLetter: "dead"})}},
		{AckOnReceipt, []ListenOption{WithRedelivery(Redelivery{}), WithAck(AckOnReceipt)}},
	}
	for _, tt := range tests {
		if l := Listen("amqp://localhost", "q", tt.opts...); l.ack != tt.ack {
			t.Errorf("%d options: mode %v", len(tt.opts), l.ack)
		}
	}
}

func TestRetryQueue(t *testing.T) {
	if got := retryQueue("mail", 4*time.Second); got != "mail.retry.4000" {
		t.Error(got)
	}
	if got := retryQueue(strings.Repeat("q", 255), time.Second); len(got) != 255 || !strings.HasSuffix(got, "q.retry.1000") {
		t.Error(got)
	}
}
