package microtcp_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
)

// TestNestServerKilled is the record disconnect.jsonl, "tcp: server killed, restarted", with our client: what waits fails at
// once, what follows is refused, and when the server is back the same client reaches it.
func TestNestServerKilled(t *testing.T) {
	server := testenv.Nest(t, testenv.Nest12)
	client := micro.NewClient(microtcp.Dial(server.Addr))
	defer client.Close()
	const waiting = 1000
	begun := make(chan struct{}, waiting)
	failed := make(chan error, waiting)
	for range waiting {
		go func() {
			req := &micro.Request{Pattern: micro.Cmd("never"), Deadline: time.Now().Add(soon)}
			req.Trace = &micro.Trace{Wrote: func(time.Time, []byte) { begun <- struct{}{} }}
			failed <- client.Do(context.Background(), req, micro.ReplyFunc(func(micro.Value) error { return nil }))
		}()
	}
	for range waiting {
		<-begun
	}
	if _, err := micro.Call[string](t.Context(), client, micro.Name("echo"), "before"); err != nil {
		t.Fatal(err) // it was behind all the others, so they are there
	}
	server.Kill()
	killed := time.Now()
	for range waiting {
		if err := <-failed; !errors.Is(err, micro.ErrConnectionLost) {
			t.Fatalf("a waiting call failed with %v", err)
		}
	}
	if took := time.Since(killed); took >= microtcp.DefaultPeerTimeout { // which only a host that has vanished takes
		t.Errorf("%d waiting calls took %s to fail", waiting, took)
	}
	if _, err := micro.Call[string](t.Context(), client, micro.Name("echo"), "x"); !errors.Is(err, micro.ErrUnreachable) {
		t.Errorf("a call without a server failed with %v", err)
	}
	if err := client.Emit(t.Context(), micro.Name("user_created"), 1); !errors.Is(err, micro.ErrUnreachable) {
		t.Errorf("an event without a server failed with %v", err)
	}
	testenv.Nest(t, testenv.Nest12, "--port", strconv.Itoa(server.Port))
	if got, err := micro.Call[string](t.Context(), client, micro.Name("echo"), "after"); got != "after" || err != nil {
		t.Errorf("after the restart: %q, %v", got, err)
	}
}

// serverRole makes this test binary a server that can be killed: the tests run it again with the variable set.
const serverRole = "MSCTL_TEST_SERVE"

// TestServerRole tests nothing by itself: in a process of its own it serves on the address it is given until it is killed,
// or until its stdin ends because the test that started it is gone.
func TestServerRole(t *testing.T) {
	addr := os.Getenv(serverRole)
	if addr == "" {
		return
	}
	ctx, cancel := context.WithCancel(t.Context())
	var parent sync.WaitGroup
	defer parent.Wait()
	parent.Go(func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	})
	s := micro.NewServer(micro.WithLogger(slog.New(slog.DiscardHandler)))
	micro.Handle(s, micro.Name("echo"), func(_ context.Context, in string) (string, error) { return in, nil })
	micro.Handle(s, micro.Cmd("never"), func(ctx context.Context, _ struct{}) (string, error) { <-ctx.Done(); return "", ctx.Err() })
	if err := s.Serve(ctx, microtcp.Listen(addr)); err != nil {
		t.Fatal(err)
	}
}

// TestOurServerKilled kills our own server under real NestJS clients: they see what they see of NestJS.
func TestOurServerKilled(t *testing.T) {
	port, err := testenv.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	first := startRole(t, addr)
	client := testenv.NestClient(t, testenv.Nest12, "--port", strconv.Itoa(port))
	call := func(pattern, data string) string {
		events, err := client.Call(testenv.Call{Pattern: json.RawMessage(pattern), Data: json.RawMessage(data)})
		return fmt.Sprint(events, err)
	}
	if got := call(`"echo"`, `"before"`); got != `[{"next":"before"} {"complete":true}] <nil>` {
		t.Fatal(got)
	}
	var waiting sync.WaitGroup
	waiting.Go(func() {
		if got := call(`{"cmd":"never"}`, `{}`); got != "["+connectionClosed+"] <nil>" {
			t.Errorf("the waiting call saw %s", got)
		}
	})
	if got := call(`"echo"`, `"behind it"`); got != `[{"next":"behind it"} {"complete":true}] <nil>` {
		t.Error(got)
	}
	first()
	waiting.Wait()
	startRole(t, addr)
	if got := call(`"echo"`, `"after"`); got != `[{"next":"after"} {"complete":true}] <nil>` {
		t.Errorf("after the restart: %s", got)
	}
}

// startRole runs TestServerRole in a process of its own, waits until it answers, and returns how to kill it. It is killed
// when the test ends, too.
func startRole(t *testing.T, addr string) (kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestServerRole$")
	cmd.Env = append(os.Environ(), serverRole+"="+addr)
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed is how it ends
	})
	t.Cleanup(kill)
	client := micro.NewClient(microtcp.Dial(addr))
	defer client.Close()
	if !eventually(func() bool {
		_, err := micro.Call[string](t.Context(), client, micro.Name("echo"), "")
		return err == nil
	}) {
		t.Fatal("the server does not answer")
	}
	return kill
}
