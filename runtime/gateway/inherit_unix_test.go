//go:build unix

package gateway_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/msctl/msctl/runtime/gateway"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtest"
)

// handOver returns a file descriptor of l, as a supervisor gives it to a child.
func handOver(t *testing.T, l net.Listener) int {
	t.Helper()
	// Not through File, whose Fd would make the socket block in all processes that
	// share it: a blocking accept cannot be ended.
	conn, err := l.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var fd int
	var failure error
	if err := conn.Control(func(own uintptr) { fd, failure = syscall.Dup(int(own)) }); err != nil || failure != nil {
		t.Fatal(err, failure)
	}
	return fd
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// TestSwapUnderLoad: one gateway after the other takes over the same socket, as
// msctl run does on a change; no request fails, and each answers on the probe.
func TestSwapUnderLoad(t *testing.T) {
	t.Run("http", func(t *testing.T) { swapUnderLoad(t, "http") })
	t.Run("https", func(t *testing.T) {
		own, files := newCertificate(t, 1, time.Now().Add(time.Hour)), newPairFiles(t)
		files.write(t, own.cert, own.pem)
		swapUnderLoad(t, "https", gateway.WithTLS(files.cert, files.key))
	})
}

func swapUnderLoad(t *testing.T, scheme string, opts ...gateway.Option) {
	t.Helper()
	socket := listen(t)
	_, port, _ := net.SplitHostPort(socket.Addr().String())
	server := micro.NewServer(micro.WithLogger(quiet()))
	micro.Handle(server, echo, func(context.Context, micro.None) (string, error) { return "done", nil })
	client := microtest.Serve(t, server)

	begin := func(name string) (stop func()) {
		probe := listen(t)
		t.Setenv(micro.InheritEnv, fmt.Sprintf("%s=%d probe=%d", port, handOver(t, socket), handOver(t, probe)))
		gw := gateway.New(name, append([]gateway.Option{gateway.WithLogger(quiet()), gateway.WithPublic(), gateway.WithDrain(time.Minute, 5*time.Second)}, opts...)...)
		gateway.Route(gw, "POST /echo", client, micro.NewMethod[micro.None, string](echo))
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- gw.Serve(ctx, "127.0.0.1:"+port) }()
		res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get("http://" + probe.Addr().String() + "/api")
		if err != nil {
			t.Fatal(err)
		}
		page, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || !strings.Contains(string(page), name) {
			t.Fatalf("the probe of %s answers %q, %v", name, page, err)
		}
		return func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}

	var sent atomic.Int64
	var callers sync.WaitGroup
	ended := make(chan struct{})
	// Connections that are not used any more are closed by this side, so that the
	// gateway never has to close one that is about to be used.
	transport := &http.Transport{
		MaxIdleConnsPerHost: 8, IdleConnTimeout: 100 * time.Millisecond,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true,
	}
	defer transport.CloseIdleConnections()
	stop := begin("first")
	for range 8 {
		callers.Go(func() {
			c := &http.Client{Transport: transport}
			for {
				select {
				case <-ended:
					return
				default:
				}
				// A body that cannot be sent twice, so that the client hides no failure. HTTP/2 names the
				// requests that were not handled, which may be sent again.
				body := io.Reader(strings.NewReader(""))
				if scheme == "http" {
					body = io.NopCloser(body)
				}
				req, _ := http.NewRequestWithContext(context.Background(), "POST", scheme+"://"+socket.Addr().String()+"/echo", body)
				res, err := c.Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, res.Body)
				res.Body.Close()
				if res.StatusCode != 201 {
					t.Errorf("status %d", res.StatusCode)
				}
				sent.Add(1)
			}
		})
	}
	for _, name := range []string{"second", "third", "fourth"} {
		next := begin(name)
		before := sent.Load()
		stop()
		stop = next
		for tick := time.NewTicker(time.Millisecond); sent.Load() < before+50; {
			<-tick.C
		}
	}
	close(ended)
	callers.Wait()
	stop()
	t.Logf("%d requests through 3 swaps", sent.Load())
}
