package gateway_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/msctl/msctl/runtime/gateway"
)

// outcome is the response to a request of bytes.
type outcome struct {
	status  int
	closing bool // it announces that the connection is closed
}

// raw serves items on a real socket and returns what sends bytes to it.
func raw(t *testing.T, opts ...gateway.Option) (send func(text string) (responses []outcome, closed bool)) {
	t.Helper()
	gw := items(t, append(opts, gateway.WithDrain(0, time.Minute))...)
	type input struct{ Body struct{ Name string } }
	gateway.Operation(gw, huma.Operation{Method: "POST", Path: "/operation"}, func(context.Context, *input) (*struct{}, error) { return nil, nil })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- gw.ServeListener(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return func(text string) (responses []outcome, closed bool) {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(conn)
		for {
			res, err := http.ReadResponse(r, nil)
			if err != nil {
				return responses, errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
			}
			if _, err := io.Copy(io.Discard, res.Body); err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			responses = append(responses, outcome{res.StatusCode, res.Close})
			if !res.Close && strings.Contains(text, "X-Open") {
				return responses, false
			}
		}
	}
}

// TestBodiesOfTwoLengths checks that nothing after a body whose end another server may see
// elsewhere is taken for a request.
func TestBodiesOfTwoLengths(t *testing.T) {
	t.Parallel()
	send := raw(t)
	const chunked = "1b\r\n" + `{"name":"Cup","price":1   }` + "\r\n0\r\n\r\n"
	const second = "GET /items HTTP/1.1\r\nHost: x\r\n\r\n"
	for name, header := range map[string]string{
		"both":     "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
		"reversed": "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n",
		"folded":   "Content-Length: 6\r\nTransfer-Encoding:\r\n chunked\r\n",
		"alone":    "Transfer-Encoding: chunked\r\n",
	} {
		responses, closed := send("POST /items HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + header + "\r\n" + chunked + second)
		if len(responses) != 1 || responses[0].status != 201 || !responses[0].closing || !closed {
			t.Errorf("%s: %v, closed %v", name, responses, closed)
		}
	}
	plain := `{"name":"Cup","price":1   }`
	responses, _ := send("POST /items HTTP/1.1\r\nHost: x\r\nX-Open: 1\r\nContent-Type: application/json\r\nContent-Length: 27\r\n\r\n" + plain)
	if len(responses) != 1 || responses[0].status != 201 || responses[0].closing {
		t.Errorf("a length alone: %v", responses)
	}
}

// TestBodiesThatNeverEnd checks that a body that does not arrive holds nothing, and that one that
// is announced to be too large is not waited for.
func TestBodiesThatNeverEnd(t *testing.T) {
	t.Parallel()
	quick := raw(t, gateway.WithServerTimeouts(time.Minute, 100*time.Millisecond, time.Minute))
	patient := raw(t, gateway.WithServerTimeouts(time.Hour, time.Hour, time.Hour))
	post := func(path, header string) string {
		return "POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + header + "\r\n"
	}
	for _, tt := range []struct {
		name   string
		send   func(string) ([]outcome, bool)
		text   string
		status int
	}{
		{"10 GB", patient, post("/items", "Content-Length: 10000000000\r\n"), 413},
		{"10 GB, if it may be sent", patient, post("/items", "Content-Length: 10000000000\r\nExpect: 100-continue\r\n"), 413},
		{"10 GB with a key", patient, post("/items", "Content-Length: 10000000000\r\nExpect: 100-continue\r\nIdempotency-Key: k\r\n"), 413},
		{"10 GB for an operation", patient, post("/operation", "Content-Length: 10000000000\r\nExpect: 100-continue\r\n"), 413},
		{"10 GB for a route without a body", patient, "GET /items HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000000\r\n\r\n", 200},
		{"half a body", quick, post("/items", "Content-Length: 100\r\n") + `{"name":`, 408},
		{"half a chunk", quick, post("/items", "Transfer-Encoding: chunked\r\n") + "100\r\n{", 408},
		{"no end after compressed data", quick, post("/items", "Content-Encoding: deflate\r\nContent-Length: 1000\r\n") + packed(t, `{"name":"Cup","price":1}`, deflated), 408},
		{"half a body that the route does not read", quick, "GET /items HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{", 200},
		{"half a chunk that the route does not read", quick, "GET /items HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n100\r\n{", 200},
	} {
		responses, closed := tt.send(tt.text)
		if len(responses) != 1 || responses[0].status != tt.status || !closed {
			t.Errorf("%s: %v, closed %v", tt.name, responses, closed)
		}
	}
}
