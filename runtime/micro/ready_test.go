//go:build unix

package micro

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"
)

// readyListener is ready when its channel is closed. It serves nothing.
type readyListener chan struct{}

func (l readyListener) Serve(ctx context.Context, _ *Server) error {
	<-ctx.Done()
	return nil
}

func (l readyListener) Ready(ctx context.Context) error {
	select {
	case <-l:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// handOver opens a socket, and puts it into the environment for the word ready.
func handOver(t *testing.T) (address string) {
	t.Helper()
	open, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	conn, err := open.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var fd int
	var failure error
	if err := conn.Control(func(own uintptr) { fd, failure = syscall.Dup(int(own)) }); err != nil || failure != nil {
		t.Fatal(err, failure)
	}
	t.Setenv(InheritEnv, fmt.Sprintf("ready=%d", fd))
	return open.Addr().String()
}

// ask connects and returns the health reported within wait.
func ask(t *testing.T, address string, wait time.Duration) (h Health, err error) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		t.Fatal(err)
	}
	return h, json.NewDecoder(conn).Decode(&h)
}

// TestAnnounceReady: a supervisor hears nothing until every listener is ready,
// then how the server is, each time it asks.
func TestAnnounceReady(t *testing.T) {
	address := handOver(t)
	s := NewServer(quiet(), WithName("mail", "1"), WithHealthCheck("db", func(context.Context) error { return errors.New("gone") }))
	first, second := make(readyListener), make(readyListener)
	ctx, stop := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- s.Serve(ctx, first, second) }()
	close(first)
	var timeout net.Error
	if h, err := ask(t, address, 50*time.Millisecond); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("before all are ready: %+v, %v", h, err)
	}
	close(second)
	for range 2 {
		h, err := ask(t, address, soon)
		if err != nil || h.Name != "mail" || h.Instance != s.instance || h.Status != "error" || h.Checks["db"] != "gone" {
			t.Errorf("ready: %+v, %v", h, err)
		}
	}
	stop()
	if err := <-result; err != nil {
		t.Error(err)
	}
	if conn, err := net.Dial("tcp", address); err == nil {
		_ = conn.Close()
		t.Error("the socket is still open")
	}
}

// TestNeverReady checks that a server ends although a caller still waits for it to be ready.
func TestNeverReady(t *testing.T) {
	address := handOver(t)
	s := NewServer(quiet())
	ctx, stop := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- s.Serve(ctx, make(readyListener)) }()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	stop()
	if err := <-result; err != nil {
		t.Error(err)
	}
	if n, err := conn.Read(make([]byte, 1)); err == nil {
		t.Errorf("it sent %d bytes", n)
	}
}

func TestReadySocketThatIsNone(t *testing.T) {
	t.Setenv(InheritEnv, "ready=2")
	if err := NewServer(quiet()).Serve(t.Context()); err == nil {
		t.Error("standard error is taken for a socket")
	}
}
