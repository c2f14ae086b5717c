//go:build unix

package rolling

import (
	"io"
	"net"
	"sync"
	"testing"
)

// front spreads connections over replicas, as kube-proxy does: each new one goes to the next
// replica, and stays there until one of its ends closes it.
type front struct {
	addr string

	mu       sync.Mutex // guards the fields below
	replicas []string
	next     int
	refused  int // connections that a replica did not accept; with kube-proxy, the client is refused
}

func startFront(t *testing.T) *front {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &front{addr: l.Addr().String()}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { f.pass(conn.(*net.TCPConn)) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		all.Wait()
	})
	return f
}

// pass passes a connection on to a replica.
func (f *front) pass(conn *net.TCPConn) {
	defer conn.Close()
	to, err := net.Dial("tcp", f.choose())
	if err != nil {
		f.mu.Lock()
		f.refused++
		f.mu.Unlock()
		_ = conn.SetLinger(0)
		return
	}
	defer to.Close()
	var both sync.WaitGroup
	both.Go(func() { forward(to.(*net.TCPConn), conn) })
	both.Go(func() { forward(conn, to.(*net.TCPConn)) })
	both.Wait()
}

// forward copies one direction of a connection, with its end.
func forward(to, from *net.TCPConn) {
	if _, err := io.Copy(to, from); err != nil { // a reset
		_ = to.SetLinger(0)
		_ = to.Close()
		return
	}
	_ = to.CloseWrite()
}

func (f *front) choose() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next++
	return f.replicas[f.next%len(f.replicas)]
}

func (f *front) add(addr string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.replicas = append(f.replicas, addr)
}

func (f *front) remove(addr string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, a := range f.replicas {
		if a == addr {
			f.replicas = append(f.replicas[:i:i], f.replicas[i+1:]...)
			return
		}
	}
}
