package microredis

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/internal/stagger"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/wire"
)

// TestTimeOfWaitingMessages checks that the time of a message counts from when it was read,
// also while the server is at its limit. What has expired is answered, and not handled.
func TestTimeOfWaitingMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		outcomes, replies := map[string]bool{}, make(chan struct{}, 11)
		f := &fake{}
		f.published = func(conn net.Conn, _, body string) {
			p, err := wire.Parse([]byte(body))
			if err != nil {
				t.Error(err)
			}
			outcomes[string(p.ID)] = p.Err == nil
			_, _ = io.WriteString(conn, ":1\r\n")
			replies <- struct{}{}
		}
		s := micro.NewServer(micro.WithLogger(slog.New(slog.DiscardHandler)), micro.WithMaxInFlight(1))
		var handled atomic.Int64
		left := make(chan time.Duration, 11)
		micro.Handle(s, echo, func(ctx context.Context, wait time.Duration) (micro.None, error) {
			handled.Add(1)
			deadline, _ := ctx.Deadline()
			left <- time.Until(deadline)
			return micro.None{}, pause(ctx, wait)
		})
		ctx, stop := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- s.Serve(ctx, Listen("redis://127.0.0.1", connecting(f.connect))) }()
		synctest.Wait()
		send := func(id int, wait, timeout time.Duration) {
			if err := f.send(echo.Route(), string(wire.AppendRequest(nil, echo.RouteJSON(), fmt.Append(nil, int64(wait)),
				fmt.Appendf(nil, `{"timeout-ms":"%d"}`, timeout.Milliseconds()), fmt.Appendf(nil, `"%d"`, id)))); err != nil {
				t.Error(err)
			}
		}
		send(0, time.Second, time.Minute)
		synctest.Wait()
		want := map[string]bool{`"0"`: true}
		for id := 1; id < 10; id++ { // each in a read of its own
			send(id, 0, 500*time.Millisecond)
			want[fmt.Sprintf(`"%d"`, id)] = false
			<-time.After(10 * time.Millisecond)
		}
		send(10, 0, 5*time.Second)
		want[`"10"`] = true
		for range want {
			<-replies
		}
		if diff := cmp.Diff(want, outcomes); diff != "" {
			t.Errorf("which requests succeeded (-want +got):\n%s", diff)
		}
		if n := handled.Load(); n != 2 {
			t.Errorf("%d requests were handled, want 2", n)
		}
		<-left
		if got, want := <-left, 5*time.Second-910*time.Millisecond; got != want {
			t.Errorf("the handler had %v left, want %v", got, want)
		}
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

// TestDrainAwaitsConfirmation checks that a stopping server waits until Redis has confirmed its
// replies before it closes the connection.
func TestDrainAwaitsConfirmation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		f.published = func(conn net.Conn, _, _ string) {
			<-time.After(time.Second)
			_, _ = io.WriteString(conn, ":1\r\n")
		}
		var log testenv.Log
		s := quietServer(micro.WithLogger(logger(&log)))
		ctx, stop := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- s.Serve(ctx, Listen("redis://127.0.0.1", connecting(f.connect))) }()
		synctest.Wait()
		for id := range 2 {
			if err := f.send(echo.Route(), fmt.Sprintf(`{"pattern":{"cmd":"echo"},"data":"x","id":"%d"}`, id)); err != nil {
				t.Error(err)
			}
		}
		synctest.Wait() // the first reply is being confirmed
		began := time.Now()
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != 2*time.Second || strings.Contains(log.String(), "reply lost") {
			t.Errorf("stopped after %v, want 2 s; the log:\n%s", took, log.String())
		}
	})
}

// connecting replaces how connections are opened.
func connecting(connect func(context.Context, string) (net.Conn, error)) Option {
	return bothOption(func(s *settings) {
		s.connect = func(ctx context.Context, target string, _ stagger.Control) (net.Conn, error) {
			return connect(ctx, target)
		}
	})
}

// connect opens a connection in memory.
func (f *fake) connect(context.Context, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	go func() {
		f.serve(theirs)
		_ = theirs.Close()
	}()
	return ours, nil
}

// TestReadAhead checks that what is read ahead is limited, and that Read returns all of it in
// order, with the time of each part.
func TestReadAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer ours.Close()
		began := time.Now()
		var sent bytes.Buffer
		const part, parts = 10_000, 100
		go func() {
			for i := range parts {
				data := bytes.Repeat([]byte{byte(i)}, part)
				sent.Write(data)
				_, _ = theirs.Write(data)
				<-time.After(time.Second)
			}
			_ = theirs.Close()
		}()
		w := newSocket(ours)
		w.readAhead()
		waiting := 0
		for _, c := range w.ahead {
			waiting += len(c.data)
		}
		if waiting < maxBacklog || waiting > maxBacklog+part {
			t.Errorf("%d bytes were read ahead", waiting)
		}
		var got bytes.Buffer
		for room := make([]byte, 3000); ; {
			n, err := w.Read(room)
			if n > 0 && w.arrived.Sub(began) != time.Duration(room[0])*time.Second {
				t.Fatalf("part %d arrived after %v", room[0], w.arrived.Sub(began))
			}
			got.Write(room[:n])
			if err != nil {
				break
			}
		}
		if !bytes.Equal(got.Bytes(), sent.Bytes()) || got.Len() != part*parts {
			t.Errorf("read %d bytes of %d, or others", got.Len(), sent.Len())
		}
	})
}

// TestExpiredUnsent checks that a message that expires while it waits behind a slow write is not
// sent.
func TestExpiredUnsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		s := &session{out: newSocket(ours), lost: make(chan struct{})}
		s.outlet = &outlet{socket: s.out}
		p := newPublisher(0)
		defer p.close()
		p.attach(s)
		var got []string
		add := func(name string, within time.Duration) {
			m := message{channel: name, receipt: recorder{name, &got}}
			if within > 0 {
				m.expires = clock() + int64(within)
			}
			if err := p.add(t.Context(), m, 1, func(dst []byte) []byte { return append(dst, 'x') }); err != nil {
				t.Error(err)
			}
		}
		add("first", time.Second)
		synctest.Wait() // it is being written
		add("late", time.Second)
		if err := p.ping(t.Context()); err != nil {
			t.Error(err)
		}
		add("later", 3*time.Second)
		<-time.After(2 * time.Second)
		want := "*3\r\n$7\r\nPUBLISH\r\n$5\r\nfirst\r\n$1\r\nx\r\n" + "*1\r\n$4\r\nPING\r\n" + "*3\r\n$7\r\nPUBLISH\r\n$5\r\nlater\r\n$1\r\nx\r\n"
		sent := make([]byte, len(want))
		if _, err := io.ReadFull(theirs, sent); err != nil {
			t.Error(err)
		}
		if string(sent) != want {
			t.Errorf("sent %q, want %q", sent, want)
		}
		if diff := cmp.Diff([]string{"late 0 " + errLate.Error()}, got); diff != "" {
			t.Error(diff)
		}
	})
}
