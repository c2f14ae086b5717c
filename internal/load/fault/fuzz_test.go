package fault

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"
)

// half is one end of a connection in memory whose halves can be closed.
type half struct {
	net.Conn // the way in
	out      net.Conn
}

func (h half) Write(b []byte) (int, error) { return h.out.Write(b) }
func (h half) CloseWrite() error           { return h.out.Close() }
func (h half) Close() error                { return errors.Join(h.Conn.Close(), h.out.Close()) }

// SetReadDeadline does nothing: unlike a socket's, a pipe's fails when the other
// end is closed.
func (h half) SetReadDeadline(time.Time) error { return nil }

func connected() (one, two half) {
	there, back := [2]net.Conn{}, [2]net.Conn{}
	there[0], there[1] = net.Pipe()
	back[0], back[1] = net.Pipe()
	return half{back[0], there[0]}, half{there[1], back[1]}
}

// FuzzProxy checks that whatever peers send arrives unchanged, and that the proxy
// releases their connections.
func FuzzProxy(f *testing.F) {
	f.Add([]byte("2#{}4#{\"a\":"), []byte("5#\xff\xfe😀\xc3"), byte(0))
	f.Add([]byte(`31#{"pattern":"noted","data":"d1"}abc#`), []byte(`19#{"id":"msctl.copy"}`), byte(1))
	f.Add([]byte(`99999999999#{"pattern":"noted","data":"d1"}abc#`), []byte(`#`), byte(2))
	f.Add([]byte(`31#{"pattern":"noted","data":"d1"}2#[]`), []byte(`8#{"id":1}8#{"id":1}`), byte(3))
	f.Fuzz(func(t *testing.T, request, reply []byte, which byte) {
		faults := []string{"", "drop pattern=nothing", "latency=1ns", "stall@0s+1ms", "bandwidth=1GB/s", "drop-reply pattern=nothing"}
		p := &Proxy{twins: map[string]int{}, options: Options{Log: slog.New(slog.DiscardHandler), Incomplete: soon}}
		p.faults.Store(&faultSet{})
		p.Begin(time.Now())
		if text := faults[int(which)%len(faults)]; text != "" {
			if _, err := p.Add(parse(t, text)); err != nil {
				t.Fatal(err)
			}
		}
		client, near := connected()
		far, service := connected()
		var wg sync.WaitGroup
		wg.Go(newConn(p, near, far).run)
		for _, end := range []struct {
			conn       half
			sent, want []byte
		}{{client, request, reply}, {service, reply, request}} {
			wg.Go(func() {
				_, _ = end.conn.Write(end.sent) // what arrives is looked at
				_ = end.conn.CloseWrite()
			})
			wg.Go(func() {
				if got, err := io.ReadAll(end.conn); err != nil || !bytes.Equal(got, end.want) {
					t.Errorf("%q arrived as %q, %v", end.want, got, err)
				}
			})
		}
		wg.Wait()
	})
}
