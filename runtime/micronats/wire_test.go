package micronats

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
)

// socketPair returns a wire, a dialer that uses it, and its other end.
func socketPair(t *testing.T) (*socket, *dialer, net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	w, d := newSocket(conn), &dialer{}
	d.current.Store(&greeted{Conn: w, socket: w})
	t.Cleanup(func() { _ = w.Close() })
	peer, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = peer.Close() })
	return w, d, peer
}

// TestWireOrder: whatever is kept and whatever goes at once, the peer reads it in
// order, and a writer does not wait for it.
func TestWireOrder(t *testing.T) {
	w, d, peer := socketPair(t)
	w.stall = soon // writing half of it may take long on a busy machine
	const total = 24 << 20
	var sent bytes.Buffer
	random := rand.New(rand.NewPCG(1, 2))
	chunk := make([]byte, 256<<10)
	for i := range chunk {
		chunk[i] = byte(random.Uint32())
	}
	read := make(chan []byte)
	var start chan struct{} // the peer reads from then on
	for sent.Len() < total {
		if sent.Len() > total/2 && start == nil {
			start = make(chan struct{})
			go func() {
				all := make([]byte, total+len(chunk))
				n, _ := io.ReadFull(peer, all)
				read <- all[:n]
			}()
		}
		part := chunk[random.IntN(len(chunk)):]
		sent.Write(part)
		testenv.Within(t, soon, "to write", func() {
			if n, err := w.Write(part); n != len(part) || err != nil {
				t.Errorf("%d, %v", n, err)
			}
		})
	}
	if err := d.awaitRoom(t.Context()); err != nil {
		t.Error(err)
	}
	eventually(t, "all to be written", func() bool { return w.waiting.Load() == 0 })
	eventually(t, "the last to be written", func() bool { w.mu.Lock(); defer w.mu.Unlock(); return !w.writing })
	_ = w.Close()
	if got := <-read; !bytes.Equal(got, sent.Bytes()) {
		t.Errorf("%d bytes of %d, or others", len(got), sent.Len())
	}
}

// TestWireFull checks that a sender of large messages waits until its deadline or until
// the wire is closed, whichever is earlier.
func TestWireFull(t *testing.T) {
	w, d, _ := socketPair(t)
	part := make([]byte, 1<<20)
	for w.waiting.Load() <= 24<<20 { // the system takes some megabytes more, by and by
		if _, err := w.Write(part); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := d.awaitRoom(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a full wire has room: %v", err)
	}
	free := make(chan error, 1)
	go func() { free <- d.awaitRoom(t.Context()) }()
	_ = w.Close()
	if err := <-free; err != nil {
		t.Error(err)
	}
	if _, err := w.Write(part); err == nil {
		t.Error("a closed wire takes more")
	}
	eventually(t, "the writing to end", func() bool { w.mu.Lock(); defer w.mu.Unlock(); return !w.writing })
}

// TestWireBreaks: when writing fails, what has arrived is read before the end is reported.
func TestWireBreaks(t *testing.T) {
	w, d, peer := socketPair(t)
	if _, err := peer.Write([]byte("the last reply")); err != nil {
		t.Fatal(err)
	}
	_ = peer.Close()
	eventually(t, "a write to fail", func() bool {
		if n, err := w.Write([]byte("a request")); n != 9 || err != nil {
			t.Fatalf("the driver learns of it: %d, %v", n, err)
		}
		return d.failed()
	})
	if got, err := io.ReadAll(w); string(got) != "the last reply" {
		t.Errorf("read %q, %v", got, err)
	}
}

// TestWireCloses: a peer that takes nothing more and keeps the connection open does not
// hold up the end.
func TestWireCloses(t *testing.T) {
	w, _, _ := socketPair(t)
	w.fail(errors.New("broken"))
	testenv.Within(t, soon, "to end", func() {
		if _, err := w.Read(make([]byte, 1)); err == nil {
			t.Error("it is still open")
		}
	})
}
