package microredis

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// startHeldCalls makes n calls that stay pending, and returns a channel with their errors.
func startHeldCalls(t *testing.T, c *micro.Client, conn *Client, n int) <-chan error {
	t.Helper()
	ended := make(chan error, n)
	for range n {
		go func() {
			_, err := micro.Call[int](context.WithoutCancel(t.Context()), c, hold, -1)
			ended <- err
		}()
	}
	eventually(t, "the calls are pending", func() bool { return conn.calls.Len() == n })
	return ended
}

// expectAllLost waits until all calls have failed.
func expectAllLost(t *testing.T, ended <-chan error, n int) {
	t.Helper()
	limit := time.After(soon)
	for range n {
		select {
		case err := <-ended:
			if !errors.Is(err, micro.ErrConnectionLost) {
				t.Errorf("a call in flight: %v", err)
			}
		case <-limit:
			t.Fatal("calls hang after the connection was lost")
		}
	}
}

// awaitRecovery waits until calls are answered again.
func awaitRecovery(t *testing.T, c *micro.Client) {
	t.Helper()
	limit := time.Now().Add(soon)
	for {
		got, err := micro.Call[string](t.Context(), c, echo, "x")
		switch {
		case err == nil && got == "x":
			return
		case !errors.Is(err, micro.ErrUnreachable) && !errors.Is(err, micro.ErrConnectionLost):
			t.Fatalf("during the recovery: %v", err)
		case time.Now().After(limit):
			t.Fatalf("no recovery: %v", err)
		}
	}
}

// TestBrokerKilled checks that calls in flight fail at once, and that client and server
// recover soon after the broker restarts.
func TestBrokerKilled(t *testing.T) {
	broker := testenv.PrivateRedis(t)
	var serverLog, clientLog testenv.Log
	s := quietServer(micro.WithLogger(logger(&serverLog)), micro.WithDrainTimeout(time.Millisecond))
	start(t, s, Listen(broker.URL))
	conn := Dial(broker.URL, withLogger(logger(&clientLog)), WithWait())
	c := micro.NewClient(conn, micro.WithTimeout(soon))
	defer c.Close()
	const rounds, calls = 3, 5
	for range rounds {
		awaitRecovery(t, c)
		ended := startHeldCalls(t, c, conn, calls)
		broker.Kill()
		expectAllLost(t, ended, calls)
		waiting := make(chan error, 1)
		go func() { // a call made in the meantime waits for the connection
			_, err := micro.Call[string](t.Context(), c, echo, "x")
			waiting <- err
		}()
		broker.Start()
		back := time.Now()
		if err := <-waiting; err != nil && !errors.Is(err, micro.ErrNotServed) { // the server may reconnect later than the client
			t.Errorf("a call made while the broker was away: %v", err)
		}
		awaitRecovery(t, c)
		t.Logf("recovered after %v", time.Since(back))
	}
	for name, text := range map[string]string{"server": serverLog.String(), "client": clientLog.String()} {
		if lost, restored := strings.Count(text, "connection lost"), strings.Count(text, "connection restored"); lost != rounds || restored != rounds {
			t.Errorf("the %s logged %d lost and %d restored connections:\n%s", name, lost, restored, text)
		}
	}
}

// TestBrokerSilent checks that a broker that keeps its connections open but stops sending
// counts as lost.
func TestBrokerSilent(t *testing.T) {
	broker := testenv.PrivateRedis(t)
	start(t, quietServer(micro.WithDrainTimeout(time.Millisecond)), Listen(broker.URL))
	conn := Dial(broker.URL, WithHeartbeat(time.Second), WithDialTimeout(100*time.Millisecond), withLogger(slog.New(slog.DiscardHandler)))
	c := micro.NewClient(conn, micro.WithTimeout(soon))
	defer c.Close()
	awaitRecovery(t, c)
	ended := startHeldCalls(t, c, conn, 3)
	broker.Pause()
	expectAllLost(t, ended, 3)
	if _, err := micro.Call[string](t.Context(), c, echo, "x"); !errors.Is(err, micro.ErrUnreachable) {
		t.Errorf("a call in the meantime: %v", err)
	}
	event := make(chan error, 1)
	broker.Resume()
	awaitRecovery(t, c)
	broker.Pause()
	go func() { event <- c.Emit(t.Context(), note, 1) }()
	select {
	case err := <-event:
		if !errors.Is(err, micro.ErrConnectionLost) && !errors.Is(err, micro.ErrUnreachable) {
			t.Errorf("an event: %v", err)
		}
	case <-time.After(soon):
		t.Error("an event hangs")
	}
	broker.Resume()
	awaitRecovery(t, c)
}

// TestQuietBroker checks that a broker that has nothing to send but answers PINGs does
// not count as lost.
func TestQuietBroker(t *testing.T) {
	broker := testenv.Redis(t)
	start(t, quietServer(), Listen(broker.URL))
	conn := Dial(broker.URL, WithHeartbeat(time.Second))
	c := micro.NewClient(conn, micro.WithTimeout(soon))
	defer c.Close()
	if got, err := micro.Call[int](t.Context(), c, hold, 2000); err != nil || got != 2000 {
		t.Errorf("a slow response: %v, %v", got, err)
	}
}

// TestConnectionsKilled checks that client and server recover when either of their
// connections is lost.
func TestConnectionsKilled(t *testing.T) {
	broker := testenv.PrivateRedis(t)
	start(t, quietServer(), Listen(broker.URL))
	c := client(t, broker.URL)
	see := tapInto(t, broker.URL)
	for _, kind := range []string{"pubsub", "normal", "pubsub", "normal"} {
		awaitRecovery(t, c)
		if err := see.Do(t.Context(), "client", "kill", "type", kind, "skipme", "yes").Err(); err != nil {
			t.Fatal(err)
		}
	}
	awaitRecovery(t, c)
}

// TestReplyWaits checks that a reply that is ready while the broker is down is published
// when it is back.
func TestReplyWaits(t *testing.T) {
	broker := testenv.PrivateRedis(t)
	var log testenv.Log
	s := quietServer(micro.WithLogger(logger(&log)))
	release, entered := make(chan struct{}), make(chan struct{})
	micro.Handle(s, micro.Name("late"), func(context.Context, micro.None) (int, error) {
		close(entered)
		<-release
		return 7, nil
	})
	start(t, s, Listen(broker.URL))
	see := tapInto(t, broker.URL)
	see.publish(t, published{"late", `{"pattern":"late","data":1,"id":"a"}`})
	<-entered
	if err := see.Do(t.Context(), "client", "kill", "type", "normal", "skipme", "yes").Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the loss is noticed", func() bool { return strings.Contains(log.String(), "connection lost") })
	close(release)
	if diff := see.replies(t, 1)[0]; diff.body != `{"response":7,"isDisposed":true,"id":"a"}` {
		t.Errorf("%+v", diff)
	}
}

// TestBrokerUnreachable checks that a message fails at once if the broker cannot be
// reached, unless it is to wait.
func TestBrokerUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "redis://:hunter2@" + l.Addr().String()
	_ = l.Close()
	tests := []struct {
		name string
		opts []DialOption
		wait time.Duration
	}{
		{"at once", []DialOption{WithDialTimeout(soon)}, soon},
		{"no attempt after the first", []DialOption{WithReconnect(0, 0)}, soon},
		{"two more attempts", []DialOption{WithReconnect(2, time.Millisecond), WithWait()}, soon},
		{"until the deadline", []DialOption{WithWait()}, 50 * time.Millisecond},
	}
	for _, tt := range tests {
		c := client(t, url, tt.opts...)
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), tt.wait)
		_, err := micro.Call[int](ctx, c, echo, "x")
		cancel()
		if !errors.Is(err, micro.ErrUnreachable) || errors.Is(err, micro.ErrNotServed) || !strings.Contains(err.Error(), "refused") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", tt.name, err)
		}
		if took := time.Since(began); took > soon/2 || took < 50*time.Millisecond && tt.wait < soon {
			t.Errorf("%s: after %v", tt.name, took)
		}
		if tt.wait == soon {
			if err := c.Emit(t.Context(), note, 1); !errors.Is(err, micro.ErrUnreachable) {
				t.Errorf("%s: an event: %v", tt.name, err)
			}
		}
	}
	server := Listen(url, WithReconnect(2, time.Millisecond))
	if err := quietServer().Serve(t.Context(), server); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a server with limited attempts: %v", err)
	}
}

// TestOutage checks that a message during an outage fails at once, and that messages
// succeed after it.
func TestOutage(t *testing.T) {
	broker := testenv.PrivateRedis(t)
	c := client(t, broker.URL, WithDialTimeout(soon))
	if err := c.Emit(t.Context(), note, 1); err != nil {
		t.Fatal(err)
	}
	broker.Kill()
	for failed := 0; failed < 5; {
		switch err := c.Emit(t.Context(), note, 1); {
		case errors.Is(err, micro.ErrUnreachable):
			failed++
		case !errors.Is(err, micro.ErrConnectionLost): // of the event that notices the loss
			t.Fatalf("during the outage: %v", err)
		}
	}
	broker.Start()
	eventually(t, "an event after the outage", func() bool { return c.Emit(t.Context(), note, 1) == nil })
}

// TestHasten checks that a message ends the pause before the next attempt, unless the last
// attempt has just failed.
func TestHasten(t *testing.T) {
	l := &link{settings: settings{delay: time.Hour}, changed: make(chan struct{})}
	rested := make(chan error)
	go func() { rested <- l.rest(t.Context(), 100) }()
	eventually(t, "the pause", func() bool { return l.state().failed })
	l.mu.Lock()
	l.failed = time.Now().Add(time.Hour) // it has failed just now, however slow this test is
	l.mu.Unlock()
	l.hasten()
	if !l.state().failed {
		t.Error("an attempt was made right after the last one")
	}
	l.mu.Lock()
	l.failed = time.Now().Add(-time.Minute)
	l.mu.Unlock()
	l.hasten()
	if err := <-rested; err != nil || l.state().failed {
		t.Errorf("after the pause: %v, %+v", err, l.state())
	}
}

// TestCannotSave checks that a Redis that cannot save, and therefore answers a PING with an
// error, is used like any other, and that this error is not taken for that to a SUBSCRIBE.
func TestCannotSave(t *testing.T) {
	broker := testenv.PrivateRedis(t, "save 3600 1", "enable-protected-configs yes")
	see := tapInto(t, broker.URL)
	dir := filepath.Join(t.TempDir(), "gone")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, command := range [][]any{{"config", "set", "dir", dir}, {"set", "a", "b"}} {
		if err := see.Do(t.Context(), command...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	eventually(t, "saving fails", func() bool {
		_ = see.Do(t.Context(), "bgsave").Err() // fails while one is running
		err := see.Ping(t.Context()).Err()
		return err != nil && strings.HasPrefix(err.Error(), "MISCONF")
	})
	start(t, quietServer(), Listen(broker.URL))
	conn := Dial(broker.URL, withLogger(slog.New(slog.DiscardHandler)))
	c := micro.NewClient(conn, micro.WithTimeout(soon))
	defer c.Close()
	for i := range 3 {
		if got, err := micro.Call[string](t.Context(), c, echo, "x"); got != "x" || err != nil {
			t.Fatalf("call %d: %q, %v", i, got, err)
		}
	}
	s := conn.link.session()
	if err := s.pingSub(t.Context()); err != nil { // its error must not be the answer to the next command
		t.Fatal(err)
	}
	if got, err := micro.Call[int](t.Context(), c, hold, 1); got != 1 || err != nil {
		t.Errorf("a call behind a PING: %d, %v", got, err)
	}
}

// TestServerFirst checks that a server can start before its broker.
func TestServerFirst(t *testing.T) {
	broker := testenv.PrivateRedis(t)
	broker.Kill()
	var log testenv.Log
	s := quietServer(micro.WithLogger(logger(&log)))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	l := Listen(broker.URL)
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	eventually(t, "the server logs that it cannot connect yet", func() bool { return strings.Contains(log.String(), "cannot connect yet") })
	broker.Start()
	if err := l.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	awaitRecovery(t, client(t, broker.URL))
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestNoRedis checks a client whose peer is not Redis, or sends nothing.
func TestNoRedis(t *testing.T) {
	for _, greeting := range []string{"HTTP/1.1 400 Bad Request\r\n\r\n", ""} {
		addr := testenv.ServeEach(t, func(conn net.Conn) {
			_, _ = io.WriteString(conn, greeting)
			_, _ = io.Copy(io.Discard, conn)
		})
		c := micro.NewClient(Dial("redis://"+addr, WithDialTimeout(200*time.Millisecond), withLogger(slog.New(slog.DiscardHandler))))
		if _, err := micro.Call[int](t.Context(), c, echo, "x"); !errors.Is(err, micro.ErrUnreachable) {
			t.Errorf("%q: %v", greeting, err)
		}
		_ = c.Close()
	}
}

// TestSlowReader checks that a server that Redis disconnects because it was at its limit
// for too long logs that and recovers.
func TestSlowReader(t *testing.T) {
	broker := testenv.PrivateRedis(t, "client-output-buffer-limit pubsub 1mb 1mb 1")
	var log testenv.Log
	s := quietServer(micro.WithMaxInFlight(1), micro.WithLogger(logger(&log)))
	release := make(chan struct{})
	micro.HandleEvent(s, note, func(context.Context, string) error {
		<-release
		return nil
	})
	start(t, s, Listen(broker.URL))
	see := tapInto(t, broker.URL)
	_ = see.sub.Close()
	body := `{"data":"` + strings.Repeat("x", 64<<10) + `"}`
	eventually(t, "the channel has no receivers", func() bool {
		n, err := see.Publish(t.Context(), note.Route(), body).Result()
		return err == nil && n == 0
	})
	<-time.After(stoodStill + 100*time.Millisecond)
	close(release)
	awaitRecovery(t, client(t, broker.URL))
	for _, line := range []string{"the server was at its limit", "connection lost", "connection restored"} {
		if !strings.Contains(log.String(), line) {
			t.Errorf("missing in the log: %s", line)
		}
	}
}
