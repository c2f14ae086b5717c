package microrabbit

import (
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/msctl/msctl/internal/test/testenv"
)

// broker returns the RabbitMQ that the tests of this package share unless they stop or
// reconfigure it: that of the environment, or one that the first test starts.
func broker(t testing.TB) *testenv.Broker {
	t.Helper()
	if startBroker(); oneBroker.broker != nil {
		return oneBroker.broker
	}
	return testenv.RabbitMQ(t)
}

// BrokerOfTests returns the URL of that broker for examples, or "" if there is none.
func BrokerOfTests() string {
	if startBroker(); oneBroker.broker != nil {
		return oneBroker.broker.URL
	}
	return os.Getenv(urlEnv)
}

const urlEnv = "MSCTL_TEST_AMQP_URL"

func startBroker() {
	oneBroker.once.Do(func() {
		if os.Getenv(urlEnv) != "" {
			return
		}
		if b, end, err := testenv.StartRabbitMQ(); err == nil { // otherwise testenv reports the error
			oneBroker.broker, oneBroker.end = b, end
		}
	})
}

var oneBroker struct {
	once   sync.Once
	broker *testenv.Broker
	end    func()
}

// peer speaks AMQP through the driver alone, without this package.
type peer struct {
	t    testing.TB
	conn *amqp.Connection
	ch   *amqp.Channel
}

func dialPeer(t testing.TB, url string) *peer {
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
	return &peer{t: t, conn: conn, ch: ch}
}

// queue declares a queue for the duration of the test.
func (p *peer) queue(name string, args amqp.Table) string {
	p.t.Helper()
	q, err := p.ch.QueueDeclare(name, true, false, false, false, args)
	if err != nil {
		p.t.Fatal(err)
	}
	p.deleteLater(q.Name)
	return q.Name
}

// deleteLater deletes a queue, and the exchange with the same name, after the test.
func (p *peer) deleteLater(names ...string) {
	p.t.Cleanup(func() {
		ch, err := p.conn.Channel()
		if err != nil {
			return
		}
		for _, name := range names {
			_, _ = ch.QueueDelete(name, false, false, false)
			_ = ch.ExchangeDelete(name, false, false)
		}
		_ = ch.Close()
	})
}

func (p *peer) publish(exchange, key string, msg amqp.Publishing) {
	p.t.Helper()
	if err := p.ch.Publish(exchange, key, false, false, msg); err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) send(queue, body string) {
	p.t.Helper()
	p.publish("", queue, amqp.Publishing{Body: []byte(body)})
}

func (p *peer) consume(queue string) <-chan amqp.Delivery {
	p.t.Helper()
	c, err := p.ch.Consume(queue, "", true, false, false, false, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	return c
}

// depth returns the number of messages in a queue.
func (p *peer) depth(queue string) int {
	p.t.Helper()
	q, err := p.ch.QueueDeclarePassive(queue, true, false, false, false, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	return q.Messages
}

// take returns the next message of a channel.
func take[T any](t testing.TB, what string, c <-chan T) T {
	t.Helper()
	select {
	case v, ok := <-c:
		if !ok {
			t.Fatalf("%s: the channel is closed", what)
		}
		return v
	case <-time.After(soon):
		t.Fatalf("%s: nothing within %s", what, soon)
	}
	panic("unreachable")
}

// eventually waits until ok returns true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	testenv.Eventually(t, soon, what, ok)
}

// unique returns a unique name for a queue or an exchange, which is deleted after the
// test.
func unique(t testing.TB, name string) string {
	t.Helper()
	name = strings.ToLower(testenv.Unique(t, name))
	dialPeer(t, broker(t).URL).deleteLater(name)
	return name
}
