package attack_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/msctl/msctl/internal/test/testenv"
)

// slowConnections is the number of connections of a slow attack.
const slowConnections = 1000

func attackWithSlowHeaders(t *testing.T, g *target) {
	t.Helper()
	attackSlowly(t, g, "GET /items/999999999 HTTP/1.1\r\nHost: shop.example\r\nX-Slow: ")
}

func attackWithSlowBodies(t *testing.T, g *target) {
	t.Helper()
	attackSlowly(t, g, "POST /items HTTP/1.1\r\nHost: shop.example\r\nContent-Type: application/json\r\nContent-Length: 1000\r\nAuthorization: Bearer "+g.token+"\r\n\r\n{")
}

// attackSlowly opens connections that send the beginning of a request and nothing more. The gateway closes all of them.
func attackSlowly(t *testing.T, g *target, begin string) {
	t.Helper()
	var closed atomic.Int64
	for range slowConnections {
		conn := g.dial(t)
		if _, err := io.WriteString(conn, begin); err != nil {
			t.Fatal(err)
		}
		go func() {
			_, _ = io.Copy(io.Discard, conn) // ends with the connection
			closed.Add(1)
		}()
	}
	g.unaffected(t)
	testenv.Eventually(t, limit, "the gateway closes slow connections", func() bool { return closed.Load() == slowConnections })
}

// deaf connects with a small buffer, so that what the gateway sends soon waits.
func (g *target) deaf(t *testing.T) net.Conn {
	t.Helper()
	dialer := net.Dialer{Control: func(_, _ string, conn syscall.RawConn) error { return smallBuffer(conn) }}
	conn, err := dialer.DialContext(t.Context(), "tcp", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// leaveUnread sends requests on connections, reads nothing, and waits until the gateway has closed them.
func (g *target) leaveUnread(t *testing.T, connections int, requests string) {
	t.Helper()
	conns := make([]net.Conn, connections)
	for i := range conns {
		conns[i] = g.deaf(t)
		if _, err := io.WriteString(conns[i], requests); err != nil {
			t.Fatal(err)
		}
	}
	g.unaffected(t)
	for _, conn := range conns {
		testenv.Eventually(t, limit, "the gateway closes a connection whose client does not read", func() bool {
			// The gateway's reset, or its end after a response that was cut, makes a write fail.
			_, err := io.WriteString(conn, "GET /items/999999999 HTTP/1.1\r\nHost: shop.example\r\n\r\n")
			return err != nil
		})
	}
}

// attackBySlowReading requests more than the buffers of a connection hold, which may grow to 4 MiB.
func attackBySlowReading(t *testing.T, g *target) {
	t.Helper()
	g.leaveUnread(t, 100, strings.Repeat("GET /large HTTP/1.1\r\nHost: shop.example\r\n\r\n", 5<<20/largeReply))
}

// attackByWatching subscribes to more events than the buffers of a connection hold, on so many connections that their buffers
// together would hold more than the gateway allows.
func attackByWatching(t *testing.T, g *target) {
	t.Helper()
	g.leaveUnread(t, 300, "GET /events HTTP/1.1\r\nHost: shop.example\r\nAccept: text/event-stream\r\n\r\n")
}

// read reads a response.
func read(conn net.Conn, verb string) answer {
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: verb})
	if err != nil {
		return answer{err: err}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if res.Close {
		res.Header.Set("Connection", "close")
	}
	return answer{status: res.StatusCode, header: res.Header, body: string(body), err: err}
}

func gzipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.Copy(w, strings.NewReader(text)) // into memory
	_ = w.Close()
	return b.String()
}
