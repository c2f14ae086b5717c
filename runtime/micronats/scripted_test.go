package micronats

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// scripted is a broker that sends what the test chooses. It accepts all users, and sends
// the first lines of each connection on received.
type scripted struct {
	url      string
	close    func() // ends the open connection, and accepts no other
	received chan string
	say      chan string // is sent on the open connection
}

func newScripted(t *testing.T, info string) *scripted {
	t.Helper()
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	s := &scripted{url: "nats://" + socket.Addr().String(), received: make(chan string, 1000), say: make(chan string)}
	done := make(chan struct{})
	s.close = func() {
		cancel()
		_ = socket.Close()
		<-done
	}
	go func() {
		defer close(done)
		for {
			conn, err := socket.Accept()
			if err != nil {
				return
			}
			s.serve(ctx, conn, info)
		}
	}()
	t.Cleanup(func() {
		_ = socket.Close()
		<-done
		cancel()
	})
	return s
}

func (s *scripted) serve(ctx context.Context, conn net.Conn, info string) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	fmt.Fprintf(conn, "INFO %s\r\n", info)
	lines := make(chan string)
	go func() {
		defer close(lines)
		for in := bufio.NewScanner(conn); in.Scan(); {
			lines <- in.Text()
		}
	}()
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				return
			}
			if line == "PING" {
				fmt.Fprint(conn, "PONG\r\n")
			}
			s.received <- line
		case text := <-s.say:
			fmt.Fprint(conn, text+"\r\n")
		}
	}
}

// hears waits for a line that holds text.
func (s *scripted) hears(t *testing.T, text string) string {
	t.Helper()
	var heard string
	testenv.Within(t, soon, "to hear "+text, func() {
		for heard = ""; !strings.Contains(heard, text); heard = <-s.received {
			continue
		}
	})
	return heard
}

// TestClosedForGood: a broker that ends a connection with an error that the driver
// takes for final is connected to again, by both sides.
func TestClosedForGood(t *testing.T) {
	b := newScripted(t, `{"max_payload":1048576,"headers":true}`)
	var log testenv.Log
	r := start(t, quietServer(micro.WithLogger(log.Logger())), b.url, WithName("shop"))
	if connect := b.hears(t, "CONNECT"); !strings.Contains(connect, `"name":"shop"`) {
		t.Error(connect)
	}
	b.hears(t, `SUB {"cmd":"echo"}`)
	b.say <- `-ERR 'Something Is Wrong'`
	b.hears(t, `SUB {"cmd":"echo"}`)
	eventually(t, "the error is logged", func() bool { return strings.Contains(log.String(), "Something Is Wrong") })
	r.end(t)
}

// TestOldBroker: a broker without headers gets the metadata in the packet.
func TestOldBroker(t *testing.T) {
	b := newScripted(t, `{"max_payload":1048576}`)
	c := client(t, b.url)
	req := &micro.Request{Pattern: note, Data: []byte("1"), Event: true}
	req.Metadata.Set("key", "value")
	req.Metadata.Set(micro.MetaCorrelationID, "c")
	if err := c.Do(t.Context(), req, micro.ReplyFunc(func(micro.Value) error { return nil })); err != nil {
		t.Fatal(err)
	}
	b.hears(t, "PUB noted ")
	if body := b.hears(t, "pattern"); body != `{"pattern":"noted","data":1,"metadata":{"key":"value","correlation-id":"c"}}` {
		t.Error(body)
	}
}

// TestUnsent: a message that finds its connection gone is sent over the next.
func TestUnsent(t *testing.T) {
	b := testenv.PrivateNATS(t)
	start(t, quietServer(), b.URL)
	c, conn := dial(t, b.URL)
	if _, err := micro.Call[string](t.Context(), c, echo, "x"); err != nil {
		t.Fatal(err)
	}
	s := conn.up.Load()
	b.Kill()
	eventually(t, "the loss", func() bool { return conn.up.Load() == nil })
	conn.up.Store(s) // as if it had not been noticed yet
	sent := make(chan error, 2)
	go func() {
		_, err := micro.Call[string](t.Context(), c, echo, "x")
		if errors.Is(err, micro.ErrNotServed) {
			err = nil // the server may come back after us
		}
		sent <- err
	}()
	go func() { sent <- c.Emit(t.Context(), note, 1) }()
	eventually(t, "it to be noticed", func() bool { return conn.up.Load() == nil })
	b.Start()
	for range cap(sent) {
		if err := <-sent; err != nil {
			t.Error(err)
		}
	}
}
