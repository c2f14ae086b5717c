package microtcp

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/internal/stagger"
	"github.com/msctl/msctl/runtime/micro"
)

func TestTLS(t *testing.T) {
	ours, others := testenv.NewCertificates(t), testenv.NewCertificates(t)
	s := start(t, quietServer(), WithTLS(ours.Server()))
	mutual := start(t, quietServer(), WithTLS(ours.MutualServer()))
	for _, c := range []struct {
		name   string
		addr   string
		config *tls.Config
		is     error // nil: answered
	}{
		{"trusted", s.addr, ours.Trusting(), nil},
		{"not trusted", s.addr, others.Trusting(), micro.ErrUnreachable},
		{"mutual", mutual.addr, ours.Client, nil},
		{"without a certificate", mutual.addr, ours.Trusting(), micro.ErrConnectionLost},
		{"with another's certificate", mutual.addr, &tls.Config{RootCAs: ours.Client.RootCAs, Certificates: others.Client.Certificates}, micro.ErrConnectionLost},
	} {
		t.Run(c.name, func(t *testing.T) {
			cl := client(t, c.addr, WithTLS(c.config))
			text := strings.Repeat("é😀", 50_000)
			got, err := micro.Call[string](t.Context(), cl, echo, text)
			if !errors.Is(err, c.is) || c.is == nil && got != text {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
	plain := client(t, s.addr)
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	if _, err := micro.Call[string](ctx, plain, echo, "x"); !errors.Is(err, micro.ErrConnectionLost) {
		t.Errorf("without TLS: %v", err)
	}
}

// TestSilentAddress: an address that accepts connections and sends nothing, here
// because the handshake of TLS never ends, costs no call once another is known to
// work.
func TestSilentAddress(t *testing.T) {
	ours := testenv.NewCertificates(t)
	r := start(t, quietServer(), WithTLS(ours.Server()))
	silent := listen(t)
	conn := Dial(r.addr+","+silent.Addr().String(), WithTLS(ours.Trusting()))
	c := micro.NewClient(conn)
	defer func() { _ = c.Close() }()
	first := &micro.Request{Pattern: echo, Data: []byte(`"x"`), Deadline: time.Now().Add(soon)}
	if err := conn.addresses[0].exchange(t.Context(), first, micro.ReplyFunc(func(micro.Value) error { return nil })); err != nil {
		t.Fatal(err)
	}
	within(t, "calls next to a silent address", func() {
		for i := range 100 {
			if _, err := micro.Call[string](t.Context(), c, echo, "x"); err != nil {
				t.Errorf("call %d: %v", i, err)
			}
		}
	})
}

// TestSilentAddressFirst checks that no first message waits for an address that does not
// answer, in whatever order the addresses are, and that it waits for a slow one if there is
// no other.
func TestSilentAddressFirst(t *testing.T) {
	ours := testenv.NewCertificates(t)
	r := start(t, quietServer(), WithTLS(ours.Server()))
	silent := listen(t).Addr().String()
	for _, addresses := range []string{silent + "," + r.addr, r.addr + "," + silent, silent + "," + silent + "," + r.addr} {
		c := client(t, addresses, WithTLS(ours.Trusting()), WithDialTimeout(time.Hour))
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if _, err := micro.Call[string](t.Context(), c, echo, "x"); err != nil {
					t.Errorf("%s: %v", addresses, err)
				}
				if err := c.Emit(t.Context(), note, 1); err != nil {
					t.Errorf("an event to %s: %v", addresses, err)
				}
			})
		}
		all.Wait()
	}
	c := client(t, silent+","+silent, WithTLS(ours.Trusting()), WithDialTimeout(time.Hour))
	ctx, cancel := context.WithTimeout(t.Context(), 600*time.Millisecond)
	defer cancel()
	if _, err := micro.Call[string](ctx, c, echo, "x"); !errors.Is(err, micro.ErrUnreachable) {
		t.Errorf("silent addresses only: %v, want ErrUnreachable", err)
	}
}

// TestSlowAddress checks that a message waits for an address that answers late if the others
// refuse it.
func TestSlowAddress(t *testing.T) {
	ours := testenv.NewCertificates(t)
	r := start(t, quietServer(), WithTLS(ours.Server()))
	slow := listen(t)
	go func() { // passes connections on after twice the delay
		for {
			conn, err := slow.Accept()
			if err != nil {
				return
			}
			<-time.After(2 * stagger.Delay)
			to, err := net.Dial("tcp", r.addr)
			if err != nil {
				_ = conn.Close()
				return
			}
			go func() { _, _ = io.Copy(to, conn); _ = to.Close() }()
			go func() { _, _ = io.Copy(conn, to); _ = conn.Close() }()
		}
	}()
	c := client(t, "127.0.0.1:1,"+slow.Addr().String(), WithTLS(ours.Trusting()))
	if got, err := micro.Call[string](t.Context(), c, echo, "x"); got != "x" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// TestTLSDrain: calls in flight over TLS are answered too, and a peer that never
// finished its handshake holds nothing up.
func TestTLSDrain(t *testing.T) {
	ours := testenv.NewCertificates(t)
	s := quietServer(micro.WithDrainTimeout(soon))
	entered, release := make(chan struct{}), make(chan struct{})
	micro.Handle(s, hold, func(context.Context, int) (int, error) {
		close(entered)
		<-release
		return 1, nil
	})
	r := start(t, s, WithTLS(ours.Server()))
	c := client(t, r.addr, WithTLS(ours.Trusting()))
	_ = dialPeer(t, r.addr)
	got := make(chan error)
	go func() {
		_, err := micro.Call[int](t.Context(), c, hold, 1)
		got <- err
	}()
	<-entered
	r.stop()
	close(release)
	if err := <-got; err != nil {
		t.Error(err)
	}
	began := time.Now()
	r.end(t)
	if took := time.Since(began); took >= handshakeTimeout {
		t.Errorf("the drain took %v", took)
	}
}

// TestSilentHandshake checks that a peer that does not complete the TLS handshake is
// disconnected after a while, and at once by a server that stops.
func TestSilentHandshake(t *testing.T) {
	config := testenv.NewCertificates(t).Server()
	for _, c := range []struct {
		name string
		sent string
		stop bool
		want time.Duration
	}{
		{"sends nothing", "", false, handshakeTimeout},
		{"stops in the middle", "\x16\x03\x01\x02\x00", false, handshakeTimeout},
		{"sends something else", "24#{\"pattern\":\"x\",\"data\":1}", false, 0},
		{"nothing to a stopping server", "", true, 0},
		{"half of it to a stopping server", "\x16\x03\x01\x02\x00", true, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := Listen("in memory", WithTLS(config))
				l.server = quietServer()
				ours, theirs := net.Pipe()
				defer func() { _ = theirs.Close() }()
				slots := make(chan struct{}, 1)
				slots <- struct{}{}
				stopWatch := l.watch.Start()
				defer stopWatch()
				began := time.Now()
				l.adopt(ours, slots)
				if _, err := theirs.Write([]byte(c.sent)); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if c.stop {
					go l.drain()
				}
				_, _ = io.Copy(io.Discard, theirs)
				slots <- struct{}{} // its place is free
				if took := time.Since(began); took != c.want {
					t.Errorf("the connection was closed after %v, want %v", took, c.want)
				}
				l.wg.Wait()
			})
		})
	}
}

// TestAlertForPlainText: a peer that does not use TLS gets an alert before it is cut off.
func TestAlertForPlainText(t *testing.T) {
	certificates := testenv.NewCertificates(t)
	r := start(t, quietServer(), WithTLS(certificates.Server()))
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(AppendFrame(nil, []byte(`{"pattern":"x","data":"`+strings.Repeat("x", 10_000)+`"}`))); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(soon))
	got, err := io.ReadAll(conn)
	if string(got) != "\x15\x03\x03\x00\x02\x02\x46" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}
