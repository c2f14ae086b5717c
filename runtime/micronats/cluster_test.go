package micronats

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/internal/stagger"
	"github.com/msctl/msctl/runtime/micro"
)

// silent returns the address of a server that accepts connections, sends only the given text, and
// keeps them open.
func silent(t *testing.T, text string) string {
	t.Helper()
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var open []net.Conn
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := socket.Accept()
			if err != nil {
				return
			}
			fmt.Fprint(conn, text)
			mu.Lock()
			open = append(open, conn)
			mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		_ = socket.Close()
		<-done
		for _, conn := range open {
			_ = conn.Close()
		}
	})
	return socket.Addr().String()
}

// stuck are servers that connections never become ready at.
var stuck = map[string]string{
	"before its introduction":      "",
	"within its introduction":      `INFO {"max_pay`,
	"during the TLS handshake":     `INFO {"max_payload":1048576,"headers":true,"tls_required":true}` + "\r\n",
	"a server of another protocol": "220 mail.example.com ESMTP\r\n",
}

// TestSilentServer checks that neither side waits for a server that does not answer while another
// one does, for the first connection and for those after a loss.
func TestSilentServer(t *testing.T) {
	b := testenv.PrivateNATS(t)
	for name, text := range stuck {
		t.Run(name, func(t *testing.T) {
			for _, servers := range []string{b.Addr + "," + silent(t, text), silent(t, text) + "," + b.Addr} {
				patient := WithDialTimeout(time.Hour) // so every wait for the silent one fails the test
				start(t, quietServer(), servers, patient)
				c := client(t, servers, patient)
				var calls sync.WaitGroup
				for range 100 {
					calls.Go(func() {
						if got, err := micro.Call[string](t.Context(), c, echo, "x"); got != "x" || err != nil {
							t.Errorf("%q, %v", got, err)
						}
					})
				}
				calls.Wait()
				b.Kill()
				b.Start()
				eventually(t, "calls after the loss", func() bool {
					_, err := micro.Call[string](t.Context(), c, echo, "x")
					return err == nil
				})
			}
		})
	}
}

// TestSilentDiscovered checks the same for a server that the broker has announced.
func TestSilentDiscovered(t *testing.T) {
	b := testenv.NATS(t)
	start(t, quietServer(), b.URL)
	for range 5 { // the order is random
		first := newScripted(t, fmt.Sprintf(`{"max_payload":1048576,"headers":true,"connect_urls":[%q,%q]}`, silent(t, ""), b.Addr))
		c := client(t, first.url, WithDialTimeout(time.Hour))
		if err := c.Emit(t.Context(), note, 1); err != nil {
			t.Fatal(err)
		}
		first.close()
		eventually(t, "a call over the other server", func() bool {
			got, err := micro.Call[string](t.Context(), c, echo, "x")
			return got == "x" && err == nil
		})
	}
}

// TestServersThatRefuse checks that a server that rejects logins does not keep a client from the
// others, and that the error is the broker's if all refuse.
func TestServersThatRefuse(t *testing.T) {
	open, closed := testenv.PrivateNATS(t), testenv.PrivateNATS(t, "authorization { token: secret }")
	full := silent(t, "INFO {}\r\n-ERR 'maximum connections exceeded'\r\n")
	start(t, quietServer(), open.URL)
	for range 5 { // the order is random
		c := client(t, strings.Join([]string{closed.URL, full, open.URL}, ","))
		if got, err := micro.Call[string](t.Context(), c, echo, "x"); got != "x" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	}
	if _, err := micro.Call[string](t.Context(), client(t, closed.URL+","+closed.URL), echo, "x"); !errors.Is(err, micro.ErrRefused) {
		t.Error(err)
	}
	if _, err := micro.Call[string](t.Context(), client(t, full), echo, "x"); !errors.Is(err, micro.ErrUnreachable) || !strings.Contains(err.Error(), "maximum connections exceeded") {
		t.Error(err)
	}
}

// TestLoginOfEachServer checks that each server gets the login of its own URL.
func TestLoginOfEachServer(t *testing.T) {
	user := testenv.PrivateNATS(t, "authorization { user: a, password: b }")
	token := testenv.PrivateNATS(t, "authorization { token: c }")
	for _, b := range []*testenv.Broker{user, token} {
		b.Stop()
		servers := withUser(user.URL, "a:b") + "," + withUser(token.URL, "c")
		c := client(t, servers)
		if _, err := micro.Call[string](t.Context(), c, echo, "x"); !errors.Is(err, micro.ErrNotServed) {
			t.Error(err)
		}
		b.Start()
	}
}

// TestOrder checks that servers that were silent or refused are tried last, and those that are
// announced once.
func TestOrder(t *testing.T) {
	c := newCluster([]string{"nats://a:1", "nats://u:p@b:2", "tls://c:3"})
	c.joined(c.configured[1])
	c.learn([]string{"nats://a:1", "nats://10.0.0.4:4", "tls://e:5"})
	c.accepted(c.configured[0], false)
	c.memory.Note("b:2", time.Now().Add(-2*stagger.Delay), errors.New("silent"))
	for range 20 {
		addresses, servers := c.order()
		if got := addresses[3:]; len(addresses) != 5 || !slices.Equal(got, []string{"a:1", "b:2"}) {
			t.Fatalf("%v", addresses)
		}
		ip := servers["10.0.0.4:4"]
		if password, _ := ip.login().Password(); ip.name != "b" || password != "p" || servers["e:5"].name != "e" {
			t.Fatalf("%s with the password %q, %s", ip.name, password, servers["e:5"].name)
		}
	}
	c.learn(nil)
	c.accepted(c.configured[0], true)
	if addresses, _ := c.order(); len(addresses) != 5 || addresses[4] != "b:2" {
		t.Errorf("%v", addresses)
	}
	c.learn([]string{"nats://f:6"})
	if addresses, _ := c.order(); len(addresses) != 4 {
		t.Errorf("%v", addresses)
	}
}
