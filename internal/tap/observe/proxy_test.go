package observe

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/tap"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
	reported "github.com/msctl/msctl/runtime/tap"
)

// between returns the two ends of a connection through a proxy.
func between(t *testing.T) (client, service *net.TCPConn, v *view) {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	v = newView(t)
	p, err := Listen(t.Context(), "127.0.0.1:0", target.Target{Scheme: target.SchemeTCP, Addresses: []string{l.Addr().String()}}, nil, Options{Note: v.note})
	if err != nil {
		t.Fatal(err)
	}
	v.watch(p)
	near, err := new(net.Dialer).DialContext(t.Context(), "tcp", p.Address)
	if err != nil {
		t.Fatal(err)
	}
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{near, far} {
		t.Cleanup(func() { _ = c.Close() })
		if err := c.SetDeadline(time.Now().Add(soon)); err != nil {
			t.Fatal(err)
		}
	}
	return near.(*net.TCPConn), far.(*net.TCPConn), v
}

// passes sends a text in one direction, byte by byte or at once, and checks that it arrives unchanged.
func passes(t *testing.T, from io.Writer, to io.Reader, text string) {
	t.Helper()
	go func() { _, _ = io.WriteString(from, text) }()
	got := make([]byte, len(text))
	if _, err := io.ReadFull(to, got); err != nil || string(got) != text {
		t.Fatalf("%.60q arrives as %.60q: %v", text, got, err)
	}
}

func frame(body string) string { return string(microtcp.AppendFrame(nil, []byte(body))) }

// TestForeignBytes checks that bytes that are not packets are passed on, and reported once.
func TestForeignBytes(t *testing.T) {
	for name, c := range map[string]struct{ request, reply string }{
		"HTTP":            {"GET / HTTP/1.1\r\nHost: a#b\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"},
		"no header":       {strings.Repeat("x", 3000), strings.Repeat("y", 100_000)},
		"not JSON":        {"5#hello", "2#{]"},
		"split character": {"1#😀", "1#😀"},
		"too large":       {fmt.Sprintf("%d#", maxPacket+1) + strings.Repeat("x", maxPacket+1), "2#{}"},
		"huge length":     {"99999999999999999999#{", "7#"},
	} {
		t.Run(name, func(t *testing.T) {
			client, service, v := between(t)
			whole := frame(`{"pattern":"a","data":1,"id":"1"}`)
			passes(t, client, service, whole)
			for _, b := range []byte(frame(`{"pattern":"b","data":"é😀","id":"2"}`)) {
				passes(t, client, service, string([]byte{b}))
			}
			passes(t, service, client, frame(`{"response":1,"isDisposed":true,"id":"2"}`))
			if m := v.message("the request", of(micro.Name("b"))); m.Outcome != reported.OK || string(m.Data) != `"é😀"` {
				t.Errorf("%+v", m)
			}
			passes(t, client, service, c.request)
			passes(t, service, client, c.reply)
			passes(t, client, service, c.request+whole)
			passes(t, service, client, whole)
			if name == "huge length" {
				return // the rest of the packet may still come
			}
			v.noted("not NestJS's TCP transport")
			if m := v.message("the request before them", of(micro.Name("a"))); m.Outcome != reported.NoReply {
				t.Errorf("%+v %+v", m, m.Error)
			}
			v.mu.Lock()
			defer v.mu.Unlock()
			if len(v.notes) != 1 {
				t.Errorf("the notes %q", v.notes)
			}
		})
	}
}

// TestConnectionEnds checks the outcomes of requests when a connection ends, and that a client that only
// ends its stream gets its reply.
func TestConnectionEnds(t *testing.T) {
	request := frame(`{"pattern":"a","data":1,"id":"1"}`)
	reply := frame(`{"response":1,"isDisposed":true,"id":"1"}`)
	for name, c := range map[string]struct {
		end  func(client, service *net.TCPConn)
		want reported.Outcome
	}{
		"the service closes": {func(_, service *net.TCPConn) { _ = service.Close() }, reported.Unreachable},
		"the client closes": {func(client, service *net.TCPConn) {
			_ = client.Close()
			_, _ = io.Copy(io.Discard, service)
			_ = service.Close()
		}, reported.Abandoned},
		"the client ends its stream": {func(client, service *net.TCPConn) {
			_ = client.CloseWrite()
			_, _ = io.Copy(io.Discard, service)
			_, _ = io.WriteString(service, reply)
			_ = service.Close()
			if got, err := io.ReadAll(client); err != nil || string(got) != reply {
				t.Errorf("the reply is %q, %v", got, err)
			}
		}, reported.OK},
	} {
		t.Run(name, func(t *testing.T) {
			client, service, v := between(t)
			passes(t, client, service, request)
			c.end(client, service)
			if name == "the service closes" {
				if _, err := bufio.NewReader(client).ReadByte(); err == nil {
					t.Error("the client's connection stays open")
				}
				_ = client.Close()
			}
			if m := v.message("the request", of(micro.Name("a"))); m.Outcome != c.want {
				t.Errorf("%s: %+v", m.Outcome, m.Error)
			}
		})
	}
}

// TestStrayReply checks a reply to a request that did not pass through the proxy.
func TestStrayReply(t *testing.T) {
	client, service, v := between(t)
	passes(t, service, client, frame(`{"id":"msctl.goaway"}`)+frame(`{"response":{"token":"s3cr3t-seen"},"isDisposed":true,"id":"9"}`))
	m := v.message("the reply", func(m *tap.Message) bool { return m.Outcome == reported.NoRequest })
	if string(m.ID) != `"9"` || string(m.Reply) != `{"token":"***"}` || m.Error == nil {
		t.Errorf("%+v", m)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.all) != 1 {
		t.Errorf("%d records", len(v.all))
	}
}

// TestServiceDown checks that it is reported if the service cannot be reached.
func TestServiceDown(t *testing.T) {
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	down := l.Addr().String()
	_ = l.Close()
	v := newView(t)
	p, err := Listen(t.Context(), "127.0.0.1:0", target.Target{Scheme: target.SchemeTCP, Addresses: []string{down}}, nil, Options{Note: v.note})
	if err != nil {
		t.Fatal(err)
	}
	v.watch(p)
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", p.Address)
	if err == nil {
		_, _ = io.ReadAll(conn)
		_ = conn.Close()
	}
	v.noted("cannot reach tcp://" + down)
}
