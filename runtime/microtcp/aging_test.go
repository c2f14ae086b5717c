package microtcp

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// who is the pattern of a handler that replies with the address of its peer.
var who = micro.Cmd("who")

func handleWho(s *micro.Server) {
	micro.HandleFunc(s, who, func(_ context.Context, req *micro.Request, reply micro.Reply) error {
		return reply.Send(micro.Value{Raw: []byte(`"` + req.Peer + `"`), Last: true})
	})
}

// TestIdleTimeout checks that an idle connection is closed, that the next call connects again, and that a call whose reply
// takes longer than the timeout is not an idle connection.
func TestIdleTimeout(t *testing.T) {
	const idle = 200 * time.Millisecond
	s := quietServer()
	handleWho(s)
	release := make(chan struct{})
	micro.Handle(s, hold, func(ctx context.Context, _ int) (int, error) {
		select {
		case <-release:
		case <-ctx.Done():
		}
		return 0, ctx.Err()
	})
	l := Listen("127.0.0.1:0")
	r := startOn(t, s, l)
	c := client(t, r.addr, WithIdleTimeout(idle))
	held := make(chan error, 1)
	go func() {
		_, err := micro.Call[int](t.Context(), c, hold, 0)
		held <- err
	}()
	select {
	case err := <-held:
		t.Fatalf("a pending call ended: %v", err)
	case <-time.After(3 * idle):
	}
	if n := l.connections(); n != 1 {
		t.Fatalf("%d connections while a call is pending", n)
	}
	close(release)
	if err := <-held; err != nil {
		t.Fatal(err)
	}
	var peers [2]string
	for i := range peers {
		var err error
		if peers[i], err = micro.Call[string](t.Context(), c, who, nil); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the idle connection is closed", func() bool { return l.connections() == 0 })
	}
	if peers[0] == peers[1] {
		t.Errorf("both calls used the connection of %s", peers[0])
	}
}

// TestMaxConnectionAge checks that a connection in constant use is replaced, and that no call notices.
func TestMaxConnectionAge(t *testing.T) {
	s := quietServer()
	handleWho(s)
	r := start(t, s)
	c := client(t, r.addr, WithMaxConnectionAge(50*time.Millisecond))
	var stopped atomic.Bool
	noted := make(chan error, 1)
	go func() {
		for !stopped.Load() {
			if err := c.Emit(t.Context(), note, "x"); err != nil {
				noted <- err
				return
			}
		}
		noted <- nil
	}()
	peers := map[string]bool{}
	within(t, "four connections", func() {
		for len(peers) < 4 {
			peer, err := micro.Call[string](t.Context(), c, who, nil)
			if err != nil {
				t.Errorf("after %d connections: %v", len(peers), err)
				break
			}
			peers[peer] = true
		}
	})
	stopped.Store(true)
	if err := <-noted; err != nil {
		t.Errorf("an event: %v", err)
	}
}
