package microrabbit

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/internal/stagger"
	"github.com/msctl/msctl/runtime/micro"
)

// silentPort returns the address of a port that accepts connections and sends nothing.
func silentPort(t *testing.T) string {
	t.Helper()
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	return socket.Addr().String()
}

// TestSilentAddress checks that a broker that accepts connections and stays silent delays
// nothing while another one answers.
func TestSilentAddress(t *testing.T) {
	testSilentAddress(t, broker(t).URL, "amqp://"+silentPort(t), unique(t, "silent"))
}

func testSilentAddress(t *testing.T, good, silent, queue string) {
	t.Helper()
	for _, urls := range []string{silent + "," + good, good + "," + silent} {
		const never = time.Hour // for an attempt that waits for the silent one
		l := Listen(urls, queue, WithDialTimeout(never))
		stop := start(t, quietServer(), l)
		conn := Dial(urls, queue, WithDialTimeout(never))
		c := micro.NewClient(conn, micro.WithTimeout(30*time.Second))
		for round := range 2 { // the second one reconnects
			began := time.Now()
			var all sync.WaitGroup
			for i := range 100 {
				all.Go(func() {
					if got, err := micro.Call[int](t.Context(), c, echo, i); got != i || err != nil {
						t.Errorf("%s: call %d: %d, %v", urls, i, got, err)
					}
				})
			}
			all.Wait()
			t.Logf("%s, round %d: 100 calls took %v", urls, round, time.Since(began))
			s, _ := conn.link.now()
			_ = s.wire.Close()
			<-s.lost()
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		_ = c.Close()
	}
}

// TestSilentAddressLast checks that an address that did not answer is tried last afterwards.
func TestSilentAddressLast(t *testing.T) {
	b := broker(t)
	urls := "amqp://" + silentPort(t) + "," + b.URL
	addresses, err := parseAddresses(urls)
	if err != nil {
		t.Fatal(err)
	}
	s := defaults("q")
	s.dialTimeout = time.Hour
	for round := range 3 {
		began := time.Now()
		c, err := s.connect(t.Context(), addresses, roleClient)
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); round == 0 && took < stagger.Delay {
			t.Errorf("the first address was not tried: it took %v", took)
		}
		c.shut()
		if got := s.memory.Order([]string{addresses[0].url, addresses[1].url}); got[0] != addresses[1].url {
			t.Errorf("round %d: the silent address comes first", round)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*stagger.Delay)
	defer cancel()
	if _, err := s.connect(ctx, addresses[:1], roleClient); err == nil || ctx.Err() == nil {
		t.Errorf("the silent address alone: %v", fmt.Sprint(err))
	}
}

// TestBlockedBrokerIsAlive checks that a broker that has announced that it accepts no messages
// is not taken for a lost one, although it does not read what was being sent.
func TestBlockedBrokerIsAlive(t *testing.T) {
	b := testenv.RabbitMQ(t, "vm_memory_high_watermark.absolute = 1")
	const timeout = time.Second
	conn := Dial(b.URL, "q", WithPeerTimeout(timeout), WithDeclare())
	c := micro.NewClient(conn)
	defer func() { _ = c.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	sent := make(chan error, 1)
	go func() {
		sent <- c.Emit(ctx, noted, strings.Repeat("x", 24<<20)) // more than the buffers of the system hold
	}()
	var s *session
	testenv.Eventually(t, 2*time.Minute, "the broker is not reading", func() bool {
		var connected bool
		s, connected = conn.link.now()
		return connected && !s.taking()
	})
	blocked := time.Now()
	eventually(t, "the timeout passes", func() bool { return time.Since(blocked) > 3*timeout })
	select {
	case <-s.lost():
		t.Errorf("the connection was lost: %v", s.why)
	default:
	}
	_ = c.Close()
	take(t, "the end of the event", sent)
}
