package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// startEcho serves an echo over a transport, with the data changed by reply, and returns its address.
func startEcho(t *testing.T, transport string, reply func(json.RawMessage) json.RawMessage) *generator {
	t.Helper()
	o := options{transport: transport, addr: "127.0.0.1:0"}
	g := &generator{transport: transport, exchange: exchangeOf("echo"), conns: 1}
	switch transport {
	case "rmq":
		b := testenv.RabbitMQ(t)
		o.addr, g.addr, o.queue = b.URL, b.Addr, testenv.Unique(t, "bench")
		g.queue = o.queue
	case "redis":
		b := testenv.Redis(t)
		o.addr, g.addr = b.URL, b.Addr
	case "nats":
		b := testenv.NATS(t)
		o.addr, g.addr = b.URL, b.Addr
	}
	s := micro.NewServer(micro.WithLogger(slog.New(slog.DiscardHandler)))
	micro.Handle(s, micro.Cmd("echo"), func(_ context.Context, in json.RawMessage) (json.RawMessage, error) { return reply(in), nil })
	l := listen(o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	if err := l.ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	if tcp, ok := l.Listener.(*microtcp.Listener); ok {
		addr, err := tcp.Addr(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		g.addr = addr.String()
	}
	return g
}

func transports() []string { return append(brokers(), "tcp") }

// measured runs g until it has measured a request, for 200 ms or, on a busy machine, longer.
func measured(t *testing.T, g *generator) []time.Duration {
	t.Helper()
	for length := 200 * time.Millisecond; ; length *= 2 {
		marks := 0
		took, err := g.run(t.Context(), length/10, length, func() { marks++ })
		if err != nil {
			t.Fatal(err)
		}
		if marks != 2 {
			t.Errorf("%d marks", marks)
		}
		if len(took) == 0 {
			continue
		}
		if took[0] <= 0 {
			t.Errorf("the first request took %v", took[0])
		}
		return took
	}
}

func TestGeneratorMeasuresWhatIsAnswered(t *testing.T) {
	for _, transport := range transports() {
		t.Run(transport, func(t *testing.T) {
			for _, inFlight := range []int{1, 16} {
				g := startEcho(t, transport, func(in json.RawMessage) json.RawMessage { return in })
				g.inFlight = inFlight
				measured(t, g)
			}
		})
	}
}

func TestGeneratorRefusesWrongReplies(t *testing.T) {
	for _, transport := range transports() {
		t.Run(transport, func(t *testing.T) {
			g := startEcho(t, transport, func(in json.RawMessage) json.RawMessage {
				return json.RawMessage(strings.Replace(string(in), "item-0000", "item-0001", 1))
			})
			g.inFlight = 4
			if _, err := g.run(t.Context(), 20*time.Second, time.Second, func() {}); err == nil || !strings.Contains(err.Error(), "wrong reply") {
				t.Errorf("a wrong reply gave the error %v", err)
			}
		})
	}
}

// FuzzReplies feeds arbitrary broker output, split at any byte, to the wires: they must return the same replies and not panic.
func FuzzReplies(f *testing.F) {
	e := exchangeOf("echo")
	f.Add([]byte("MSG _INBOX.peerbench.0 1 3\r\nabc\r\nPING\r\n"), 10)
	f.Add([]byte("*3\r\n$7\r\nmessage\r\n$20\r\n{\"cmd\":\"echo\"}.reply\r\n$3\r\nabc\r\n"), 30)
	f.Add([]byte("3#abc4#abcd"), 4)
	deliver := frame(amqpMethod, 1, method(basicDeliver, short("t"), u64(1), []byte{0}, short(""), short("q")))
	header := frame(amqpHeader, 1, append(append(append(u16(60), u16(0)...), u64(3)...), append(u16(1<<13|1<<10), append(u32(0), short("id")...)...)...))
	f.Add(append(append(deliver, header...), frame(amqpBody, 1, []byte("abc"))...), 20)
	f.Fuzz(func(t *testing.T, said []byte, cut int) {
		for _, transport := range transports() {
			whole := readAll(newWire(transport, "q", e), said)
			w := newWire(transport, "q", e)
			cut = min(max(cut, 0), len(said))
			rest, parts := readSome(w, said[:cut])
			if rest != nil {
				_, more := readSome(w, append(rest, said[cut:]...))
				parts = append(parts, more...)
			}
			if diff := cmp.Diff(whole, parts); diff != "" {
				t.Errorf("%s, cut at %d:\n%s", transport, cut, diff)
			}
		}
	})
}

func readAll(w protocol, said []byte) []string {
	_, all := readSome(w, said)
	return all
}

// readSome returns the bodies and IDs of the replies in the input, and the rest of the input; after an error, nothing.
func readSome(w protocol, said []byte) (rest []byte, all []string) {
	if n, ok := w.(*natsWire); ok {
		n.conn, _ = net.Pipe() // never written to: see below
	}
	rest = append([]byte{}, said...)
	for {
		if bytes.HasPrefix(rest, []byte("PING\r\n")) {
			rest = rest[6:] // the wire would reply to it
			continue
		}
		body, id, next, whole, err := w.next(rest)
		if err != nil {
			return nil, append(all, "error")
		}
		if !whole {
			return rest, all
		}
		if rest = next; body != nil {
			all = append(all, string(body)+" "+string(id))
		}
	}
}

// TestItemsAreTheSame compares our items with those of the NestJS peers, member for member.
func TestItemsAreTheSame(t *testing.T) {
	testenv.NeedNest(t, testenv.Nest12)
	s, err := startService(t.Context(), nest, "tcp")
	if err != nil {
		t.Fatal(err)
	}
	defer s.stop()
	c := micro.NewClient(microtcp.Dial(s.addr))
	defer c.Close()
	got, err := micro.Call[json.RawMessage](t.Context(), c, micro.Cmd("list"), struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(mustJSON(items(listLength))), string(got)); diff != "" {
		t.Errorf("items (-msctl +nest):\n%s", diff)
	}
}

// TestMissingPeers checks that rows with missing peers are skipped, with one line for
// each peer.
func TestMissingPeers(t *testing.T) {
	t.Setenv("PATH", t.TempDir()) // no node
	all := []row{{make: nest, transport: "tcp"}, {make: golang, transport: "tcp"}, {make: nest, transport: "tcp"}}
	var out strings.Builder
	got := available(&out, all)
	if len(got) != 1 || got[0].make != golang {
		t.Errorf("available rows: %+v, want the one of msctl", got)
	}
	if n := strings.Count(out.String(), "\n"); n != 1 || !strings.Contains(out.String(), "node is not installed") {
		t.Errorf("printed %q, want one line", out.String())
	}
}
