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
	"testing"

	"github.com/msctl/msctl/internal/test/testenv"
)

// slowConnections is the number of connections of a slow attack.
const slowConnections = 1000

func attackWithSlowHeaders(t *testing.T, g *target) {
	t.Helper()
	attackSlowly(t, g, "GET /items/1 HTTP/1.1\r\nHost: shop.example\r\nX-Slow: ")
}

func attackWithSlowBodies(t *testing.T, g *target) {
	t.Helper()
	attackSlowly(t, g, "POST /items HTTP/1.1\r\nHost: shop.example\r\nContent-Type: application/json\r\nContent-Length: 1000\r\nAuthorization: Bearer "+goodToken+"\r\n\r\n{")
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
