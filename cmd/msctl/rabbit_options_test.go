package main

import (
	"regexp"
	"strings"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/msctl/msctl/internal/test/testenv"
)

// rabbitChannel opens a channel to a broker for the duration of the test.
func rabbitChannel(t *testing.T, url string) *amqp.Channel {
	t.Helper()
	conn, err := amqp.Dial(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

// serveOnQueue runs msctl mock until it is ready or fails.
func serveOnQueue(t *testing.T, address string) result {
	t.Helper()
	return typeTo(t, "quit\n", "mock", "--pattern", "full", "--answer", "1", "--listen", address)
}

// TestRabbitMQHints declares a queue and an exchange with options of all kinds, as another
// program would, and follows the hints of msctl mock until it can use them.
func TestRabbitMQHints(t *testing.T) {
	b := testenv.RabbitMQ(t)
	ch := rabbitChannel(t, b.URL)
	name := strings.ToLower(testenv.Unique(t, "hints"))
	t.Cleanup(func() {
		for _, queue := range []string{name, name + "-plain"} {
			_, _ = ch.QueueDelete(queue, false, false, false)
		}
		_ = ch.ExchangeDelete(name, false, false)
	})
	if err := ch.ExchangeDeclare(name, "direct", true, false, false, false, amqp.Table{"alternate-exchange": "12"}); err != nil {
		t.Fatal(err)
	}
	if _, err := ch.QueueDeclare(name, false, true, false, false, amqp.Table{
		"x-message-ttl": int32(60000), "x-expires": int64(600000), "x-max-length": int32(9), "x-max-priority": int8(3), "x-max-length-bytes": int64(1 << 40),
		"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "a&b=c 100%", "x-overflow": "reject-publish", "x-queue-mode": "lazy",
		"x-single-active-consumer": true,
	}); err != nil {
		t.Fatal(err)
	}
	address := b.URL + "/" + name + "?wildcards"
	hint := regexp.MustCompile(`(?m)^hint: to match it, set (\S+)=(\S*) in the address$`)
	followed := map[string]bool{}
	for {
		got := serveOnQueue(t, address)
		if got.code == 0 {
			break
		}
		found := hint.FindStringSubmatch(got.stderr)
		if found == nil || followed[found[1]] {
			t.Fatalf("with %v: %+v", followed, got)
		}
		followed[found[1]] = true
		address += "&" + found[1] + "=" + found[2]
	}
	for _, option := range []string{"exchangeType", "exchangeArguments.alternate-exchange", "durable", "autoDelete", "messageTtl", "deadLetterRoutingKey"} {
		if !followed[option] {
			t.Errorf("no hint named %s: %v", option, followed)
		}
	}
	for option, want := range map[string]string{
		"&exchangeArguments.alternate-exchange=12": `set exchangeArguments.alternate-exchange=%2212%22`,
		"&alternate-exchange=u":                    "did you mean exchangeArguments.alternate-exchange?",
	} {
		other := regexp.MustCompile(`&exchangeArguments\S*?"?12"?`).ReplaceAllString(strings.ReplaceAll(address, "%22", `"`), "") + option
		if got := serveOnQueue(t, other); got.code == 0 || !strings.Contains(got.stderr, want) {
			t.Errorf("%s: %+v", option, got)
		}
	}
	plain := name + "-plain"
	if _, err := ch.QueueDeclare(plain, true, true, false, false, nil); err != nil {
		t.Fatal(err)
	}
	if got := serveOnQueue(t, b.URL+"/"+plain+"?autoDelete&maxLength=5"); got.code == 0 || !strings.Contains(got.stderr, "it has no maxLength: remove the option from the address") {
		t.Errorf("an option that the queue does not have: %+v", got)
	}
}

// TestRabbitMQOptions checks that msctl mock declares a queue and an exchange with every
// option of NestJS: a declaration with the same options, by another program, succeeds.
func TestRabbitMQOptions(t *testing.T) {
	b := testenv.RabbitMQ(t)
	name := strings.ToLower(testenv.Unique(t, "options"))
	t.Cleanup(func() {
		ch := rabbitChannel(t, b.URL)
		_, _ = ch.QueueDelete(name, false, false, false)
		_ = ch.ExchangeDelete(name, false, false)
	})
	got := serveOnQueue(t, b.URL+"/"+name+`?exchange=`+name+`&exchangeType=fanout&routingKey=rk&prefetchCount=7&isGlobalPrefetchCount&consumerTag=ct&noAck=false`+
		`&exchangeArguments={"alternate-exchange":"u","x-list":[1,"a",null,0.5,{"b":true}]}&durable=false&messageTtl=0&maxLength=9&overflow=drop-head`+
		`&arguments={"x-max-length-bytes":4096}&x-dead-letter-exchange=&x-text="5"&arguments.mine={"a":[0.5,null]}`)
	if got.code != 0 {
		t.Fatalf("%+v", got)
	}
	ch := rabbitChannel(t, b.URL)
	if err := ch.ExchangeDeclare(name, "fanout", true, false, false, false, amqp.Table{"alternate-exchange": "u"}); err != nil {
		t.Error(err)
	}
	if _, err := ch.QueueDeclare(name, false, false, false, false, amqp.Table{
		"x-message-ttl": int64(0), "x-max-length": int64(9), "x-overflow": "drop-head", "x-max-length-bytes": int64(4096), "x-dead-letter-exchange": "",
	}); err != nil {
		t.Error(err)
	}
}
