package gateway_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/msctl/msctl/runtime/gateway"
)

// TestHeaderLimits checks the limits of the URL and the header, and that they are settings.
func TestHeaderLimits(t *testing.T) {
	long, many := "/health/live?"+strings.Repeat("a", 9000), make([]string, 202)
	for i := range many {
		many[i] = "X-A"
	}
	for _, tt := range []struct {
		name, path string
		header     []string
		opts       []gateway.Option
		status     int
		body       string
	}{
		{"neither", "/health/live?" + long[:8000], many[:190], nil, http.StatusOK, `{"status":"ok"}`},
		{"URL", long, nil, nil, http.StatusRequestURITooLong, `{"message":"The URL is too long","error":"Request URI Too Long","statusCode":414}`},
		{"lines", "/health/live", many, nil, http.StatusRequestHeaderFieldsTooLarge, `{"message":"The header has too many lines","error":"Request Header Fields Too Large","statusCode":431}`},
		{"a larger URL", long, nil, []gateway.Option{gateway.WithHeaderLimits(10_000, 0, 0)}, http.StatusOK, `{"status":"ok"}`},
		{"more lines", "/health/live", many, []gateway.Option{gateway.WithHeaderLimits(0, 0, 200)}, http.StatusOK, `{"status":"ok"}`},
	} {
		w := from(newGateway(tt.opts...).Handler(), "GET "+tt.path, addr1, "", tt.header...)
		if w.Code != tt.status || w.Body.String() != tt.body || tt.status != http.StatusOK && w.Header().Get("Connection") != "close" {
			t.Errorf("%s: %d %s", tt.name, w.Code, w.Body)
		}
	}
}

// pipes is a listener whose connections have no buffers.
type pipes struct{ conns chan net.Conn }

func (p *pipes) Accept() (net.Conn, error) {
	conn, ok := <-p.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}

func (p *pipes) Close() error {
	defer func() { _ = recover() }() // closed before
	close(p.conns)
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// dial connects, and sends a request for a path.
func (p *pipes) dial(t *testing.T, path string) net.Conn {
	t.Helper()
	client, server := net.Pipe()
	p.conns <- server
	go func() { _, _ = io.WriteString(client, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n") }()
	return client
}

// overPipes serves a gateway on pipes in the bubble of a test.
func overPipes(t *testing.T, gw *gateway.Gateway) *pipes {
	t.Helper()
	p := &pipes{conns: make(chan net.Conn)}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- gw.ServeListener(ctx, p) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return p
}

const chunk = 32 << 10

// largeRoute adds a route whose response is large. ended is closed when it has been written, or
// the client is gone.
func largeRoute(gw *gateway.Gateway, size int) (ended chan struct{}) {
	ended = make(chan struct{})
	gateway.Operation(gw, huma.Operation{Method: "GET", Path: "/large"}, func(context.Context, *struct{}) (*huma.StreamResponse, error) {
		return &huma.StreamResponse{Body: func(ctx huma.Context) {
			defer close(ended)
			_, _ = ctx.BodyWriter().Write(make([]byte, size))
		}}, nil
	})
	return ended
}

// TestSlowReaders checks that a client that accepts parts of a response in time gets all of it,
// however long that takes, and that one that does not read is disconnected.
func TestSlowReaders(t *testing.T) {
	t.Run("slow", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			gw := newGateway(gateway.WithConnectionLimits(0, 30*time.Second))
			largeRoute(gw, 10*chunk)
			conn := overPipes(t, gw).dial(t, "/large")
			defer conn.Close()
			res, err := http.ReadResponse(bufio.NewReaderSize(conn, chunk), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			start, part := time.Now(), make([]byte, chunk)
			total := 0
			for {
				n, err := io.ReadFull(res.Body, part)
				total += n
				if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
					break
				}
				if err != nil {
					t.Fatalf("after %d bytes: %v", total, err)
				}
				<-time.After(20 * time.Second)
			}
			if total != 10*chunk || time.Since(start) < 3*time.Minute {
				t.Errorf("%d bytes in %v", total, time.Since(start))
			}
		})
	})
	t.Run("stalled", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			gw := newGateway(gateway.WithConnectionLimits(0, 30*time.Second))
			ended := largeRoute(gw, 10*chunk)
			conn := overPipes(t, gw).dial(t, "/large")
			defer conn.Close()
			start := time.Now()
			<-ended
			if took := time.Since(start); took != 30*time.Second {
				t.Errorf("the handler has ended after %v", took)
			}
		})
	})
}

// TestStalledStream checks that a client of HTTP/2 that does not read is disconnected.
func TestStalledStream(t *testing.T) {
	gw := newGateway(gateway.WithConnectionLimits(0, 50*time.Millisecond))
	ended := largeRoute(gw, 64<<20)
	server := httptest.NewUnstartedServer(gw.Handler())
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", server.URL+"/large", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.ProtoMajor != 2 {
		t.Fatalf("HTTP/%d", res.ProtoMajor)
	}
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Error("the handler still runs")
	}
}

// TestMaximumConnections checks that a connection beyond the limit is closed at once, and that one
// that ends makes room.
func TestMaximumConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := overPipes(t, newGateway(gateway.WithConnectionLimits(2, 0)))
		answers := func(conn net.Conn) bool {
			t.Helper()
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				return false
			}
			return res.Body.Close() == nil
		}
		first, second := p.dial(t, "/health/live"), p.dial(t, "/health/live")
		defer first.Close()
		if !answers(first) || !answers(second) {
			t.Error("a connection within the limit gets no response")
		}
		third := p.dial(t, "/health/live")
		if answers(third) {
			t.Error("a connection beyond the limit gets a response")
		}
		_ = third.Close()
		_ = second.Close()
		synctest.Wait()
		fourth := p.dial(t, "/health/live")
		defer fourth.Close()
		if !answers(fourth) {
			t.Error("a connection that has ended counts")
		}
	})
}
