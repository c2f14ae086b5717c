package microredis

import (
	"context"
	"log/slog"
	"net"
	"os/exec"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/msctl/msctl/runtime/micro"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func redisAt(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	_ = l.Close()
	cmd := exec.Command("redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", t.TempDir())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return "redis://127.0.0.1:" + port
}

func TestEcho(t *testing.T) {
	url := redisAt(t)
	s := micro.NewServer(micro.WithLogger(slog.New(slog.DiscardHandler)))
	micro.Handle(s, micro.Cmd("echo"), func(_ context.Context, in string) (string, error) { return in, nil })
	l := Listen(url)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Serve(ctx, l) }()
	if err := l.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := micro.NewClient(Dial(url))
	start := time.Now()
	for range 1000 {
		got, err := micro.Call[string](t.Context(), c, micro.Cmd("echo"), "hé😀")
		if err != nil || got != "hé😀" {
			t.Fatal(got, err)
		}
	}
	t.Log(time.Since(start) / 1000)
	if _, err := micro.Call[string](t.Context(), c, micro.Cmd("nobody"), "x"); err == nil {
		t.Error("no error")
	} else {
		t.Log(err)
	}
	if err := c.Emit(t.Context(), micro.Name("nothing"), 1); err != nil {
		t.Error(err)
	}
	_ = c.Close()
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
