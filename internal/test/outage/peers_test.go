package outage

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/micronats"
	"github.com/msctl/msctl/runtime/microrabbit"
	"github.com/msctl/msctl/runtime/microredis"
	"github.com/msctl/msctl/runtime/microtcp"
)

// short is the dial timeout in these tests, and the deadline of a call that only its deadline
// ends. soon is far below every other deadline.
const (
	short = 200 * time.Millisecond
	soon  = 20 * time.Second
)

// ends are the two ends of a transport, at an address "host:port".
type ends struct {
	name   string
	dial   func(address string) micro.Conn
	listen func(address string) listener               // of a broker's client, or at the address itself
	broker func(testing.TB, ...string) *testenv.Broker // nil without one
	own    func(testing.TB, ...string) *testenv.Broker // which the test may stop
}

type listener interface {
	micro.Listener
	Ready(context.Context) error
}

func allEnds(t *testing.T) []ends {
	t.Helper()
	queue := testenv.Unique(t, "outage")
	return []ends{
		{
			"TCP",
			func(a string) micro.Conn { return microtcp.Dial(a, microtcp.WithDialTimeout(short)) },
			func(a string) listener { return microtcp.Listen(a, microtcp.WithListenRetry(0, 0)) }, nil, nil,
		},
		{
			"RabbitMQ",
			func(a string) micro.Conn {
				return microrabbit.Dial("amqp://guest:guest@"+a, queue, microrabbit.WithDialTimeout(short))
			},
			func(a string) listener {
				return microrabbit.Listen("amqp://guest:guest@"+a, queue, microrabbit.WithDialTimeout(short))
			}, testenv.RabbitMQ, testenv.PrivateRabbitMQ,
		},
		{
			"Redis",
			func(a string) micro.Conn { return microredis.Dial("redis://"+a, microredis.WithDialTimeout(short)) },
			func(a string) listener { return microredis.Listen("redis://"+a, microredis.WithDialTimeout(short)) }, testenv.Redis, testenv.PrivateRedis,
		},
		{
			"NATS",
			func(a string) micro.Conn { return micronats.Dial("nats://"+a, micronats.WithDialTimeout(short)) },
			func(a string) listener { return micronats.Listen("nats://"+a, micronats.WithDialTimeout(short)) }, testenv.NATS, testenv.PrivateNATS,
		},
	}
}

// TestPeerThatIsNone checks what clients and servers do at an address without a peer: a
// message fails with the reason long before its deadline, and the server of a broker waits
// until it is stopped.
func TestPeerThatIsNone(t *testing.T) {
	refused, err := testenv.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	for name, peer := range map[string]struct {
		address string
		reasons []string // one of them is in the error
		tcp     error    // over TCP, which has no login; nil is micro.ErrUnreachable
	}{
		"nothing listens":           {net.JoinHostPort("127.0.0.1", strconv.Itoa(refused)), []string{"refused"}, nil},
		"the host is unknown":       {"nowhere.test:3002", []string{"no such host"}, nil},
		"another protocol":          {testenv.ServeEach(t, answersHTTP), nil, micro.ErrBadReply},
		"it closes at once":         {testenv.ServeEach(t, func(net.Conn) {}), nil, micro.ErrConnectionLost},
		"it accepts, and is silent": {testenv.ServeEach(t, drain), nil, micro.ErrTimeout},
	} {
		for _, e := range allEnds(t) {
			t.Run(name+"/"+e.name, func(t *testing.T) {
				want, deadline := micro.ErrUnreachable, time.Minute
				if e.broker == nil && peer.tcp != nil {
					want = peer.tcp
				}
				if errors.Is(want, micro.ErrTimeout) {
					deadline = short
				}
				c := micro.NewClient(e.dial(peer.address), micro.WithLogger(slog.New(slog.DiscardHandler)))
				defer c.Close()
				ctx, cancel := context.WithTimeout(t.Context(), deadline)
				defer cancel()
				var err error
				testenv.Within(t, soon, "to fail", func() {
					_, err = micro.Call[int](ctx, c, slow, 1)
				})
				if !errors.Is(err, want) || !containsAny(err.Error(), peer.reasons) {
					t.Errorf("a call: %v, want %v, and one of %q", err, want, peer.reasons)
				}
				if e.broker != nil {
					waitsUntilStopped(t, e.listen(peer.address))
				}
			})
		}
	}
	tcp := allEnds(t)[0]
	if err := micro.NewServer().Serve(t.Context(), tcp.listen("nowhere.test:3002")); err == nil || !strings.Contains(err.Error(), "no such host") {
		t.Errorf("a server whose own address is unknown: %v", err)
	}
}

func containsAny(text string, parts []string) bool {
	for _, part := range parts {
		if strings.Contains(text, part) {
			return true
		}
	}
	return len(parts) == 0
}

// answersHTTP is a web server that gets anything else.
func answersHTTP(conn net.Conn) {
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
		_ = conn.(*net.TCPConn).CloseWrite()
		drain(conn) // data that is not read would reset the connection
	}
}

func drain(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }

// waitsUntilStopped checks that a server logs that it cannot connect, and returns nil as soon as
// it is stopped.
func waitsUntilStopped(t *testing.T, l micro.Listener) {
	t.Helper()
	var log testenv.Log
	s := micro.NewServer(micro.WithLogger(log.Logger()))
	micro.Handle(s, slow, func(context.Context, int) (int, error) { return 0, nil })
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	if !testenv.Poll(soon, func() bool { return strings.Contains(log.String(), "level=WARN") || len(ended) > 0 }) || len(ended) > 0 {
		t.Errorf("the server does not report that it waits: %s", log.String())
	}
	stop()
	testenv.Within(t, soon, "to stop", func() {
		if err := <-ended; err != nil {
			t.Errorf("the server: %v", err)
		}
	})
}

// brokerAddress returns "host:port" of a broker.
func brokerAddress(t *testing.T, b *testenv.Broker) string {
	t.Helper()
	u, err := url.Parse(b.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

// TestServerBeforeBroker checks that a server that is started before its broker serves once the
// broker is there.
func TestServerBeforeBroker(t *testing.T) {
	for _, e := range allEnds(t) {
		if e.broker == nil {
			continue
		}
		t.Run(e.name, func(t *testing.T) {
			b := e.own(t)
			b.Stop()
			var log testenv.Log
			s := micro.NewServer(micro.WithLogger(log.Logger()))
			micro.Handle(s, echo, func(_ context.Context, n int) (int, error) { return n, nil })
			serveUntilEnd(t, s, e.listen(brokerAddress(t, b)))
			testenv.Eventually(t, soon, "the server reports that it waits", func() bool { return strings.Contains(log.String(), "level=WARN") })
			b.Start()
			c := micro.NewClient(e.dial(brokerAddress(t, b)), micro.WithLogger(slog.New(slog.DiscardHandler)))
			defer c.Close()
			untilAnswered(t, c)
		})
	}
}

// TestServiceDies checks how a call ends whose service has gone while it handled the request: at
// once over TCP, and at its deadline over a broker, which does not report it.
func TestServiceDies(t *testing.T) {
	for _, e := range allEnds(t) {
		t.Run(e.name, func(t *testing.T) {
			entered, hold := make(chan struct{}, 1), micro.Cmd("hold")
			s := micro.NewServer(micro.WithLogger(slog.New(slog.DiscardHandler)), micro.WithDrainTimeout(time.Millisecond))
			micro.Handle(s, hold, func(ctx context.Context, _ int) (int, error) {
				entered <- struct{}{}
				<-ctx.Done()
				return 0, ctx.Err()
			})
			var r *relay
			var address string
			want := micro.ErrTimeout
			if e.broker == nil {
				want = micro.ErrConnectionLost
				r = startRelay(t, "127.0.0.1:0", serveUntilEnd(t, s, e.listen("127.0.0.1:0")))
				address = r.socket.Addr().String()
			} else {
				address = brokerAddress(t, e.broker(t))
				r = startRelay(t, "127.0.0.1:0", address)
				l := e.listen(r.socket.Addr().String())
				serveUntilEnd(t, s, l)
				if err := l.Ready(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			c := micro.NewClient(e.dial(address), micro.WithLogger(slog.New(slog.DiscardHandler)))
			defer c.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			ended := make(chan error, 1)
			go func() {
				_, err := micro.Call[int](ctx, c, hold, 1)
				ended <- err
			}()
			select {
			case <-entered:
				r.stop()
			case err := <-ended:
				t.Fatalf("before the handler: %v", err)
			}
			if err := <-ended; !errors.Is(err, want) {
				t.Errorf("the call: %v, want %v", err, want)
			}
		})
	}
}
