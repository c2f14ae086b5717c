package microtcp_test

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
)

// soon limits the wait for things that happen at once; it is long because tests share the machine.
const soon = time.Minute

// serve serves s on a free port until the test ends and returns its address.
func serve(t testing.TB, s *micro.Server, opts ...microtcp.ListenOption) string {
	t.Helper()
	listener := microtcp.Listen("127.0.0.1:0", opts...)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	addr, err := listener.Addr(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return addr.String()
}

func mustPattern(text string) micro.Pattern {
	p, err := micro.ParsePattern(text)
	if err != nil {
		panic(err)
	}
	return p
}

// eventually waits until ok returns true, and reports whether it did.
func eventually(ok func() bool) bool { return testenv.Poll(soon, ok) }

// rawPeer is a bare TCP connection to a server. One goroutine collects what the server sends.
type rawPeer struct {
	*net.TCPConn

	mu   sync.Mutex
	text strings.Builder
	end  error // io.EOF after a FIN
	done chan struct{}
}

func dialRaw(t testing.TB, addr string) *rawPeer {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, soon)
	if err != nil {
		t.Fatal(err)
	}
	p := &rawPeer{TCPConn: conn.(*net.TCPConn), done: make(chan struct{})}
	go p.collect()
	t.Cleanup(func() {
		p.Close()
		<-p.done
	})
	return p
}

func (p *rawPeer) collect() {
	defer close(p.done)
	buf := make([]byte, 64<<10)
	for {
		n, err := p.Read(buf)
		p.mu.Lock()
		p.text.Write(buf[:n])
		p.end = err
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// received returns the complete frames received so far, and how the stream ended; nil while it is open.
func (p *rawPeer) received() ([]string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	frames, rest := nodeUnframe(p.text.String())
	if rest != "" && p.end != nil {
		frames = append(frames, "cut off: "+rest)
	}
	return frames, p.end
}

// await waits for n frames, or the end of the stream, and returns what came.
func (p *rawPeer) await(n int) []string {
	eventually(func() bool {
		frames, end := p.received()
		return len(frames) >= n || end != nil
	})
	frames, _ := p.received()
	return frames
}

func (p *rawPeer) send(t testing.TB, frame string) {
	t.Helper()
	if _, err := p.Write([]byte(frame)); err != nil {
		t.Fatal(err)
	}
}

// splitter relays connections to target and writes each byte by itself, both ways.
func splitter(t testing.TB, target string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var relays sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	relays.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", target)
			if err != nil {
				client.Close()
				continue
			}
			mu.Lock()
			conns = append(conns, client, server)
			mu.Unlock()
			relays.Go(func() { byteByByte(server, client) })
			relays.Go(func() { byteByByte(client, server) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		mu.Lock()
		for _, conn := range conns {
			conn.Close()
		}
		mu.Unlock()
		relays.Wait()
	})
	return listener.Addr().String()
}

func byteByByte(to, from net.Conn) {
	defer to.Close()
	buf := make([]byte, 4096)
	for {
		n, err := from.Read(buf)
		for i := range n {
			if _, err := to.Write(buf[i : i+1]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
