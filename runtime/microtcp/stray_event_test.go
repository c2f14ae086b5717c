package microtcp

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// TestStrayAfterEvent: data that a peer sends where an event has no reply is shown to the
// trace of the event by the time the client has been closed.
func TestStrayAfterEvent(t *testing.T) {
	for name, tt := range map[string]struct{ greeting, reply, want string }{
		"greeting":  {"SSH-2.0-OpenSSH\r\n", "", "SSH-2.0-OpenSSH\r\n"},
		"reply":     {"", "HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n"},
		"no header": {"", "a#b", "a#b"},
		"no JSON":   {"", "3#abc", "abc"},
		"no id":     {"", "2#{}", "{}"},
		"silence":   {"", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			served := make(chan struct{})
			go func() {
				defer close(served)
				conn, err := l.Accept()
				if err != nil {
					return
				}
				defer conn.Close()
				_, _ = conn.Write([]byte(tt.greeting))
				if _, err := conn.Read(make([]byte, 1)); err == nil {
					_, _ = conn.Write([]byte(tt.reply))
				}
				_, _ = io.Copy(io.Discard, conn) // until the client closes its half
			}()
			c := Dial(l.Addr().String())
			c.linger = soon // on a busy machine, the peer may be slow
			var mu sync.Mutex
			var seen string
			req := &micro.Request{Pattern: micro.Name("x"), Data: []byte("1"), Event: true, Deadline: time.Now().Add(soon), Trace: &micro.Trace{
				Stray: func(_ time.Time, data []byte, _ string) {
					mu.Lock()
					defer mu.Unlock()
					seen += string(data)
				},
			}}
			if err := c.Publish(t.Context(), req); err != nil {
				t.Fatal(err)
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			<-served
			mu.Lock()
			defer mu.Unlock()
			if seen != tt.want {
				t.Errorf("the trace was shown %q, want %q", seen, tt.want)
			}
		})
	}
}
