package testenv_test

import (
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/redis/go-redis/v9"

	"github.com/msctl/msctl/internal/test/testenv"
)

// TestRabbitMQPersistence checks that a durable queue and its persistent message survive a crash of the broker.
func TestRabbitMQPersistence(t *testing.T) {
	t.Parallel()
	b := testenv.PrivateRabbitMQ(t)
	const text = "é😀"
	conn, ch := dialAMQP(t, b.URL)
	if _, err := ch.QueueDeclare("kept", true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	if err := ch.Confirm(false); err != nil {
		t.Fatal(err)
	}
	confirmation, err := ch.PublishWithDeferredConfirm("", "kept", true, false, amqp.Publishing{DeliveryMode: amqp.Persistent, Body: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	if acked, err := confirmation.WaitContext(t.Context()); err != nil || !acked {
		t.Fatal(acked, err)
	}
	b.Kill()
	b.Start()
	_ = conn.Close()
	conn, ch = dialAMQP(t, b.URL)
	message, found, err := ch.Get("kept", true)
	if err != nil || !found || string(message.Body) != text {
		t.Errorf("after the crash: %q, found %v, %v", message.Body, found, err)
	}
	_ = conn.Close()
}

func dialAMQP(t *testing.T, url string) (*amqp.Connection, *amqp.Channel) {
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

// TestBrokerTLS checks that a broker with TLS and a password accepts only clients with the right password.
func TestBrokerTLS(t *testing.T) {
	t.Parallel()
	certs := testenv.NewCertificates(t)
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		b := testenv.Redis(t, append(certs.Redis(), "requirepass secret")...)
		for password, wanted := range map[string]bool{"secret": true, "wrong": false} {
			options, err := redis.ParseURL(b.URL)
			if err != nil {
				t.Fatal(err)
			}
			options.TLSConfig, options.Password = certs.Client.Clone(), password
			client := redis.NewClient(options)
			err = client.Ping(t.Context()).Err()
			checkLogin(t, password, err, wanted)
			_ = client.Close()
		}
	})
	t.Run("nats", func(t *testing.T) {
		t.Parallel()
		b := testenv.NATS(t, append(certs.NATS(), `authorization { user: app, password: secret }`)...)
		for password, wanted := range map[string]bool{"secret": true, "wrong": false} {
			conn, err := nats.Connect(b.URL, nats.UserInfo("app", password), nats.Secure(certs.Client.Clone()))
			checkLogin(t, password, err, wanted)
			if err == nil {
				conn.Close()
			}
		}
	})
	t.Run("rabbitmq", func(t *testing.T) {
		t.Parallel()
		b := testenv.RabbitMQ(t, certs.RabbitMQ()...)
		for password, wanted := range map[string]bool{"guest": true, "wrong": false} {
			url := strings.Replace(b.URL, ":guest@", ":"+password+"@", 1)
			conn, err := amqp.DialConfig(url, amqp.Config{TLSClientConfig: certs.Client.Clone()})
			checkLogin(t, password, err, wanted)
			if err == nil {
				_ = conn.Close()
			}
		}
	})
}

func checkLogin(t *testing.T, password string, err error, wanted bool) {
	t.Helper()
	if (err == nil) != wanted {
		t.Errorf("login with the password %q: %v, want success %v", password, err, wanted)
	}
}

// TestSharedBroker checks that a broker of the environment is used as it is, and that no test can kill it.
func TestSharedBroker(t *testing.T) {
	type starter = func(testing.TB, ...string) *testenv.Broker
	for variable, start := range map[string]struct{ own, shared starter }{
		"MSCTL_TEST_REDIS_URL": {testenv.PrivateRedis, testenv.Redis},
		"MSCTL_TEST_NATS_URL":  {testenv.PrivateNATS, testenv.NATS},
		"MSCTL_TEST_AMQP_URL":  {testenv.RabbitMQ, testenv.RabbitMQ}, // saves the start of a private one
	} {
		t.Run(variable, func(t *testing.T) {
			own := start.own(t)
			t.Setenv(variable, own.URL)
			r := &recorder{TB: t}
			shared := start.shared(r)
			if shared.URL != own.URL || shared.Addr != own.Addr {
				t.Errorf("got %s at %s, want %s at %s", shared.URL, shared.Addr, own.URL, own.Addr)
			}
			for name, f := range map[string]func(){"Kill": shared.Kill, "Stop": shared.Stop, "Start": shared.Start, "Pause": shared.Pause, "Resume": shared.Resume} {
				if text := r.fatal(f); !strings.Contains(text, name) || !strings.Contains(text, variable) {
					t.Errorf("%s of a shared broker fails the test with %q", name, text)
				}
			}
			accepts(t, shared.Addr, true)
		})
	}
}

// recorder records the message of Fatal instead of failing the test.
type recorder struct {
	testing.TB
	failed string
}

func (r *recorder) Fatal(args ...any) {
	r.failed = fmt.Sprint(args...)
	panic(r)
}

// fatal calls f and returns the message with which f failed the test.
func (r *recorder) fatal(f func()) (text string) {
	r.failed = ""
	defer func() {
		if got := recover(); got != nil && got != any(r) {
			panic(got)
		}
		text = r.failed
	}()
	f()
	return ""
}

// TestExclusiveBroker checks that one test at a time uses a broker of the environment whose names are global.
func TestExclusiveBroker(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("MSCTL_TEST_REDIS_URL", testenv.PrivateRedis(t).URL)
	t.Setenv("TMPDIR", dir) // for the lock file
	t.Cleanup(func() { testenv.AwaitNothingLeft(t, dir) })
	var holders atomic.Int32
	for range 8 {
		t.Run("test", func(t *testing.T) {
			t.Parallel()
			options, err := redis.ParseURL(testenv.Redis(t).URL)
			if err != nil {
				t.Fatal(err)
			}
			if n := holders.Add(1); n != 1 {
				t.Errorf("%d tests use the broker at the same time", n)
			}
			client := redis.NewClient(options)
			for range 100 {
				if err := client.Ping(t.Context()).Err(); err != nil {
					t.Error(err)
				}
			}
			_ = client.Close()
			holders.Add(-1)
		})
	}
}

func TestUnique(t *testing.T) {
	t.Run("a b/ü.*>", func(t *testing.T) {
		first, second := testenv.Unique(t, "items"), testenv.Unique(t, "items")
		if first == second {
			t.Errorf("twice %q", first)
		}
		if want := regexp.MustCompile(`^items-TestUnique_a_b_-[a-z0-9]{10}$`); !want.MatchString(first) {
			t.Errorf("got %q, want %s", first, want)
		}
	})
}
