package microtcp

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/wire"

	"github.com/google/go-cmp/cmp"
)

// TestTimeOfWaitingMessages: the time of a message counts from when it was read, also while
// the server is at its limit. What has expired is answered, and not handled.
func TestTimeOfWaitingMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := micro.NewServer(micro.WithLogger(slog.New(slog.DiscardHandler)), micro.WithMaxInFlight(1))
		var handled atomic.Int64
		left := make(chan time.Duration, 1)
		micro.Handle(s, echo, func(ctx context.Context, wait time.Duration) (micro.None, error) {
			handled.Add(1)
			deadline, _ := ctx.Deadline()
			select {
			case left <- time.Until(deadline):
			default:
			}
			<-time.After(wait)
			return micro.None{}, nil
		})
		ours, theirs := net.Pipe()
		served := make(chan error, 1)
		go func() { served <- s.Serve(t.Context(), onPipe{Listen("in memory"), ours}) }()
		send := func(id int, wait, timeout time.Duration) {
			_, err := theirs.Write(AppendFrame(nil, wire.AppendRequest(nil, echo.RouteJSON(), fmt.Append(nil, int64(wait)),
				fmt.Appendf(nil, `{"timeout-ms":"%d"}`, timeout.Milliseconds()), fmt.Appendf(nil, `"%d"`, id))))
			if err != nil {
				t.Error(err)
			}
		}
		outcomes := map[string]bool{}
		replies := make(chan struct{})
		go func() {
			defer close(replies)
			in := decoder{limit: DefaultMaxBufferSize}
			for len(outcomes) < 11 {
				n, err := theirs.Read(in.space())
				if err != nil {
					t.Error(err)
					return
				}
				in.filled(n)
				for body, ok, _ := in.next(); ok; body, ok, _ = in.next() {
					p, _ := wire.Parse(body)
					outcomes[string(p.ID)] = p.Err == nil
				}
			}
		}()
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
		<-left
		<-replies
		if diff := cmp.Diff(want, outcomes); diff != "" {
			t.Errorf("which requests succeeded (-want +got):\n%s", diff)
		}
		if n := handled.Load(); n != 2 {
			t.Errorf("%d requests were handled, want 2", n)
		}
		if got, want := <-left, 5*time.Second-910*time.Millisecond; got != want {
			t.Errorf("the handler had %v left, want %v", got, want)
		}
		_ = theirs.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

// onPipe serves one connection until its peer has closed it.
type onPipe struct {
	*Listener
	conn net.Conn
}

func (l onPipe) Serve(_ context.Context, s *micro.Server) error {
	l.server = s
	defer l.watch.Start()()
	slots := make(chan struct{}, 1)
	slots <- struct{}{}
	l.adopt(l.conn, slots)
	l.wg.Wait()
	return nil
}

func TestArrivals(t *testing.T) {
	var a arrivals
	start := time.Now()
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	a.add(at(0), 100, 0)
	a.add(at(5), 50, 100)  // 100 to 150
	a.add(at(5), 10, 150)  // the same moment
	a.add(at(10), 40, 160) // 160 to 200
	for _, test := range []struct{ waiting, want int }{{150, 0}, {100, 0}, {99, 5}, {40, 5}, {39, 10}, {0, 10}} {
		if got := a.last(test.waiting); !got.Equal(at(test.want)) {
			t.Errorf("%d bytes before the end: %v, want %v", test.waiting, got.Sub(start), test.want)
		}
	}
	a.add(at(20), 1, 0)
	if got := a.last(0); !got.Equal(at(20)) || len(a.reads) != 1 {
		t.Errorf("after all was used: %v, %d reads", got.Sub(start), len(a.reads))
	}
}
