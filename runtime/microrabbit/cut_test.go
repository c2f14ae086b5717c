package microrabbit

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// relay forwards connections to a broker until it cuts them.
type relay struct {
	url    string
	target string
	socket net.Listener
	wg     sync.WaitGroup

	mu       sync.Mutex
	conns    map[net.Conn]bool
	forwards func(sent []byte) bool // false cuts the connection; nil forwards everything
}

func startRelay(t *testing.T, b *testenv.Broker) *relay {
	t.Helper()
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{target: b.Addr, socket: socket, conns: map[net.Conn]bool{}}
	if r.target == "" {
		all, err := parseAddresses(b.URL)
		if err != nil {
			t.Fatal(err)
		}
		r.target = all[0].host
	}
	r.url = "amqp://guest:guest@" + socket.Addr().String()
	r.wg.Go(func() {
		for {
			conn, err := socket.Accept()
			if err != nil {
				return
			}
			r.wg.Go(func() { r.join(conn) })
		}
	})
	t.Cleanup(func() {
		_ = socket.Close()
		r.cut()
		r.wg.Wait()
	})
	return r
}

func (r *relay) join(conn net.Conn) {
	other, err := net.Dial("tcp", r.target)
	if err != nil {
		_ = conn.Close()
		return
	}
	r.mu.Lock()
	r.conns[conn], r.conns[other] = true, true
	forwards := r.forwards
	r.mu.Unlock()
	r.wg.Go(func() {
		_, _ = io.Copy(conn, other)
		_ = conn.Close()
	})
	_, _ = io.Copy(filter{other, forwards}, conn)
	_ = other.Close()
	_ = conn.Close()
}

type filter struct {
	net.Conn

	forwards func(sent []byte) bool
}

func (f filter) Write(p []byte) (int, error) {
	if f.forwards != nil && !f.forwards(p) {
		return 0, io.ErrClosedPipe
	}
	return f.Conn.Write(p)
}

// cut resets all connections, as a network failure does.
func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for conn := range r.conns {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
	}
	clear(r.conns)
}

// TestCuts checks that no event is lost when connections of clients and servers break
// under load, and that each call ends with its own response or a lost connection.
func TestCuts(t *testing.T) {
	r := startRelay(t, broker(t))
	q := unique(t, "cuts")
	var events eventCounts
	s := quietServer()
	micro.HandleEvent(s, noted, events.handle)
	start(t, s, Listen(r.url, q, WithAck(AckAfterHandling), WithReconnect(-1, 50*time.Millisecond)))
	c := dial(t, r.url, q, WithReconnect(-1, 50*time.Millisecond), WithWait())
	const n = 3000
	var load sync.WaitGroup
	again := 0
	load.Go(func() { again = emitAll(t, c, n) })
	for range 4 {
		load.Go(func() {
			for i := range 200 {
				got, err := micro.Call[int](t.Context(), c, echo, i)
				if err != nil && !errors.Is(err, micro.ErrConnectionLost) && !errors.Is(err, micro.ErrTimeout) || err == nil && got != i {
					t.Errorf("call %d: %d, %v", i, got, err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { load.Wait(); close(done) }()
	cuts := 0
	for running := true; running; {
		select {
		case <-done:
			running = false
		case <-time.After(100 * time.Millisecond):
			r.cut()
			cuts++
		}
	}
	eventually(t, "all events are handled", func() bool {
		events.mu.Lock()
		defer events.mu.Unlock()
		return len(events.runs) == n
	})
	t.Logf("%d cuts: %d events emitted again, %d handled again", cuts, again, events.total()-n)
}

// TestCutHandshake checks that a connection lost during the login, or while the virtual
// host is opened, is not taken for a rejected one: the driver reports each as 403.
func TestCutHandshake(t *testing.T) {
	for step, method := range map[string]string{"login": "\x00\x0a\x00\x0b", "virtual host": "\x00\x0a\x00\x28"} {
		t.Run(step, func(t *testing.T) {
			r := startRelay(t, broker(t))
			var seen atomic.Int32
			r.mu.Lock()
			r.forwards = func(sent []byte) bool { return !bytes.Contains(sent, []byte(method)) || seen.Add(1) > 1 }
			r.mu.Unlock()
			c := dial(t, r.url, unique(t, "handshake"), WithReconnect(-1, 50*time.Millisecond))
			if err := c.Emit(t.Context(), noted, 1); errors.Is(err, micro.ErrRefused) {
				t.Errorf("reported as refused: %v", err)
			}
			eventually(t, "the client connects", func() bool { return seen.Load() > 1 })
		})
	}
}

// TestNamedQueueIsReused checks that a server reuses a queue named by the broker after a
// lost connection, including the messages that arrived in the meantime.
func TestNamedQueueIsReused(t *testing.T) {
	b := broker(t)
	r := startRelay(t, b)
	p := dialPeer(t, b.URL)
	exchange := unique(t, "fan")
	s := quietServer()
	queues := make(chan string, 10)
	micro.HandleEvent(s, noted, func(ctx context.Context, _ string) error {
		select {
		case queues <- DeliveryFromContext(ctx).Queue:
		case <-t.Context().Done(): // on a busy machine, more events arrive than the test reads
		}
		return nil
	})
	start(t, s, Listen(r.url, "", WithTopology(Topology{Exchange: exchange, ExchangeType: "fanout"}), WithReconnect(-1, 50*time.Millisecond)))
	emit := func() { p.publish(exchange, "", amqp.Publishing{Body: []byte(`{"pattern":"noted","data":"x"}`)}) }
	emit()
	name := take(t, "an event", queues)
	p.deleteLater(name)
	for range 3 {
		r.cut()
		emit()
		if got := take(t, "an event", queues); got != name || !strings.HasPrefix(name, "amq.gen-") {
			t.Errorf("the queue is %s, was %s", got, name)
		}
	}
	if _, err := p.ch.QueueDelete(name, false, false, false); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the server uses another queue", func() bool {
		emit()
		select {
		case got := <-queues:
			return got != name
		default:
			return false
		}
	})
}

// TestUnsent checks that a message whose connection has ended before it was sent is sent
// on the next connection.
func TestUnsent(t *testing.T) {
	b := broker(t)
	q := unique(t, "unsent")
	start(t, quietServer(), Listen(b.URL, q))
	conn := Dial(b.URL, q, WithReconnect(-1, 20*time.Millisecond))
	c := micro.NewClient(conn)
	t.Cleanup(func() { _ = c.Close() })
	for i := range 20 {
		if got, err := micro.Call[int](t.Context(), c, echo, i); err != nil || got != i {
			t.Fatalf("%d, %v", got, err)
		}
		s, _ := conn.link.now()
		s.wire.out.fail(net.ErrClosed) // from now on, no message can be sent on this connection
		if i%2 == 0 {
			if err := c.Emit(t.Context(), noted, "x"); err != nil {
				t.Errorf("emit: %v", err)
			}
		}
	}
}

// TestPublisher checks that the broker's confirmations and returned messages settle the
// right messages, and only those.
func TestPublisher(t *testing.T) {
	ours, theirs := net.Pipe()
	go func() { _, _ = io.Copy(io.Discard, theirs) }()
	w := newSocket(ours)
	w.out.left = 0
	go w.out.run()
	defer func() { _ = w.Close() }()
	p := &publisher{conn: &connection{wire: w, frameMax: frameLimit, down: make(chan struct{})}, next: 1, oldest: 1, pending: map[uint64]*sent{}}
	got := map[string]error{}
	send := func(name string) {
		t.Helper()
		msg := &publishing{key: "q", properties: properties{messageID: name}}
		if err := p.send(t.Context(), time.Now().Add(time.Minute), msg, func(err error) { got[name] = err }); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(what string, want map[string]error) {
		t.Helper()
		if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b error) bool { return errors.Is(a, b) || errors.Is(b, a) })); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
		clear(got)
	}
	for _, name := range []string{"1", "2", "3", "4", "5", "6", "7"} {
		send(name)
	}
	p.confirmed(2, false, true)
	expect("one", map[string]error{"2": nil})
	p.returned(&incoming{replyCode: amqp.NoRoute, key: []byte("q"), messageID: []byte("3")})
	p.returned(&incoming{replyCode: amqp.NoConsumers, replyText: []byte("none"), messageID: []byte("unknown")})
	p.confirmed(4, true, true)
	expect("all up to one", map[string]error{"1": nil, "3": micro.ErrNotServed, "4": nil})
	p.confirmed(4, true, true)
	expect("the same again", map[string]error{})
	p.confirmed(5, false, false)
	expect("a refusal", map[string]error{"5": micro.ErrShed})
	p.confirmed(1<<63, true, true)
	expect("more than were sent", map[string]error{"6": nil, "7": nil})
	send("8")
	p.abandon(micro.ErrConnectionLost, nil)
	expect("the end", map[string]error{"8": micro.ErrConnectionLost})
	if err := p.send(t.Context(), time.Now().Add(time.Minute), &publishing{}, nil); !errors.Is(err, errUnsent) {
		t.Errorf("after the end: %v", err)
	}
	p.conn.block(amqp.Blocking{Active: true, Reason: "memory"})
	p.conn.end(errors.New("gone"))
	if err := p.publish(t.Context(), time.Now().Add(time.Minute), &publishing{}); !errors.Is(err, errUnsent) {
		t.Errorf("blocked, and gone: %v", err)
	}
}
