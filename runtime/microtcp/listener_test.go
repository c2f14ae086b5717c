package microtcp

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/internal/lead"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/wire"
)

// TestContextsEnd: a request's context ends with its connection, an event's does
// not; both end when a server has given up waiting for them.
func TestContextsEnd(t *testing.T) {
	var contexts sync.Map
	started := make(chan string)
	ended := make(chan string)
	s := quietServer(micro.WithDrainTimeout(200 * time.Millisecond))
	wait := func(ctx context.Context, name string) (None, error) {
		contexts.Store(name, ctx)
		started <- name
		<-ctx.Done()
		ended <- name
		return None{}, ctx.Err()
	}
	micro.Handle(s, hold, wait)
	micro.HandleEvent(s, note, func(ctx context.Context, name string) error {
		_, err := wait(ctx, name)
		return err
	})
	r := start(t, s)
	first, second := dialPeer(t, r.addr), dialPeer(t, r.addr)
	for conn, name := range map[*peerConn]string{first: "first", second: "second"} {
		_, _ = conn.Write(request(hold, `"`+name+`"`, "1"))
		<-started
	}
	_, _ = first.Write(AppendFrame(nil, wire.AppendRequest(nil, note.RouteJSON(), []byte(`"event"`), nil, nil)))
	<-started
	_ = first.SetLinger(0)
	_ = first.Close()
	if name := <-ended; name != "first" {
		t.Errorf("the context of %s ended with the first connection", name)
	}
	for _, name := range []string{"second", "event"} {
		ctx, _ := contexts.Load(name)
		if err := ctx.(context.Context).Err(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	r.stop()
	for range 2 {
		<-ended
	}
	r.end(t)
}

type None = micro.None

// TestManyConnections: more connections than the watch has seats.
func TestManyConnections(t *testing.T) {
	r := start(t, quietServer())
	var clients sync.WaitGroup
	for i := range 2*lead.Seats + 50 {
		clients.Go(func() {
			c := micro.NewClient(Dial(r.addr), micro.WithTimeout(soon))
			defer func() { _ = c.Close() }()
			for n := range 20 {
				want := fmt.Sprint(i, n)
				if got, err := micro.Call[string](context.Background(), c, echo, want); err != nil || got != want {
					t.Errorf("call %s: %q, %v", want, got, err)
				}
			}
		})
	}
	clients.Wait()
}

// TestBadFramesAreLogged: each with its peer, but no peer can fill the log.
func TestBadFramesAreLogged(t *testing.T) {
	var log testenv.Log
	r := start(t, micro.NewServer(micro.WithLogger(log.Logger())))
	began := time.Now()
	for range 60 {
		c := dialPeer(t, r.addr)
		_, _ = c.Write([]byte("abc#"))
		_, _ = c.Read(make([]byte, 1)) // the end
		_ = c.Close()
	}
	lines := strings.Count(log.String(), "bad frame")
	most := 10 * (int(time.Since(began).Seconds()) + 2) // ten in each second that was touched
	if lines == 0 || lines > most {
		t.Errorf("%d lines for 60 bad frames, want %d at most", lines, most)
	}
	if !strings.Contains(log.String(), "peer=127.0.0.1:") || !strings.Contains(log.String(), "is not a length") {
		t.Errorf("logged:\n%s", log.String())
	}
}

// TestCannotListen checks that an invalid address is reported, also to callers that wait
// for it.
func TestCannotListen(t *testing.T) {
	l := Listen("127.0.0.1:99999", WithListenRetry(0, 0))
	if err := quietServer().Serve(t.Context(), l); err == nil || !strings.Contains(err.Error(), "listen on 127.0.0.1:99999") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if addr, err := l.Addr(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, %v", addr, err)
	}
}
