package micro

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/test/testenv"
)

func TestContextOfHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewServer(quiet())
		conn, closeConn := context.WithCancel(context.WithValue(t.Context(), "k", "v")) //nolint:staticcheck // a key of a test
		defer closeConn()
		var kept, derived context.Context
		for name, timed := range map[string]bool{"with a deadline": true, "without": false} {
			capture(s, func(ctx context.Context, _ *Request) {
				if ctx.Err() != nil || ctx.Value("k") != "v" {
					t.Errorf("%s: at the start: %v, %v", name, ctx.Err(), ctx.Value("k"))
				}
				before := propagating()
				sub, cancel := context.WithCancel(ctx)
				if n := propagating() - before; n != 0 {
					t.Errorf("%s: a derived context costs %d goroutines", name, n)
				}
				if ctx.Value("k") != "v" || sub.Value("k") != "v" {
					t.Errorf("%s: a value is lost", name)
				}
				cancel()
				<-sub.Done()
				if ctx.Err() != nil {
					t.Errorf("%s: a derived context ends the handler's", name)
				}
				var release context.CancelFunc // only later, to see whether the end of the message ends it
				derived, release = context.WithTimeout(ctx, time.Hour)
				t.Cleanup(release)
				kept = ctx
				if timed {
					<-ctx.Done()
					if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
						t.Errorf("%s: ended with %v", name, ctx.Err())
					}
				}
			})
			metadata := `{}`
			if timed {
				metadata = `{"timeout-ms":"50"}`
			}
			sendOn(t, conn, s, `{"pattern":"look","data":1,"metadata":`+metadata+`,"id":"1"}`)
			if timed {
				<-derived.Done()
			}
		}
		closeConn() // the requests' contexts end with their connection
		for _, ctx := range []context.Context{kept, derived} {
			<-ctx.Done()
			if ctx.Err() == nil {
				t.Error("ended without an error")
			}
		}
	})
}

// propagating counts the goroutines that package context starts for contexts it does not
// know. The number of all goroutines would depend on those of earlier tests.
func propagating() int {
	stacks := make([]byte, 1<<20)
	return bytes.Count(stacks[:runtime.Stack(stacks, true)], []byte("created by context.(*cancelCtx).propagateCancel"))
}

// TestLazyDeadline: the context of a message that has ended ends, also if it is
// requested for the first time then, and Err needs no timer.
func TestLazyDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewServer(quiet())
		var kept context.Context
		capture(s, func(ctx context.Context, _ *Request) {
			kept = ctx
			<-time.After(40 * time.Millisecond) // time of the bubble: the deadline comes nearer
			if ctx.Err() != nil {
				t.Errorf("before the deadline: %v", ctx.Err())
			}
			<-time.After(20 * time.Millisecond)
			if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
				t.Errorf("after the deadline: %v", ctx.Err())
			}
		})
		send(t, s, `{"pattern":"look","data":1,"metadata":{"timeout-ms":"50"},"id":"1"}`)
		<-kept.Done()

		conn, closeConn := context.WithCancel(t.Context())
		capture(s, func(ctx context.Context, _ *Request) {
			closeConn()
			if !errors.Is(ctx.Err(), context.Canceled) {
				t.Errorf("after the connection: %v", ctx.Err())
			}
		})
		sendOn(t, conn, s, `{"pattern":"look","data":1,"metadata":{"timeout-ms":"50"},"id":"1"}`)
	})
}

// TestEventsOutliveTheirConnection: an event's sender may be gone.
func TestEventsOutliveTheirConnection(t *testing.T) {
	s := NewServer(quiet())
	var err error
	capture(s, func(ctx context.Context, _ *Request) { err = ctx.Err() })
	conn, closeConn := context.WithCancel(t.Context())
	closeConn()
	sendOn(t, conn, s, `{"pattern":"looked","data":1}`)
	if err != nil {
		t.Errorf("the event's context: %v", err)
	}
}

func TestExpiredWorkIsNotStarted(t *testing.T) {
	var log testenv.Log
	s := NewServer(WithLogger(log.Logger()))
	ran := false
	capture(s, func(context.Context, *Request) { ran = true })
	want := []string{failure(`{"status":504,"message":"the deadline passed before the work was started"}`)}
	for _, ms := range []string{`0`, `"0"`, `"-1"`, `-999999999999999999`} {
		got := send(t, s, `{"pattern":"look","data":1,"metadata":{"timeout-ms":`+ms+`,"correlation-id":"c"},"id":"1"}`)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s ms left (-want +got):\n%s", ms, diff)
		}
	}
	if got := send(t, s, `{"pattern":"looked","data":1,"metadata":{"timeout-ms":"0"}}`); got != nil {
		t.Errorf("an event is answered with %s", got)
	}
	if ran {
		t.Error("the handler ran")
	}
	if n := s.routes["look"].message.stats.expired.Load(); n != 4 {
		t.Errorf("%d count as expired", n)
	}
	if n := s.routes["looked"].events[0].stats.expired.Load(); n != 1 {
		t.Errorf("%d events count as expired", n)
	}
	if !strings.Contains(log.String(), "the deadline passed before the work was started") {
		t.Errorf("logged:\n%s", log.String())
	}
}

func TestMetadataOfMessages(t *testing.T) {
	s := NewServer(quiet())
	var got Request
	capture(s, func(ctx context.Context, req *Request) {
		got = *req
		if deadline, ok := ctx.Deadline(); ok != !req.Deadline.IsZero() || !deadline.Equal(req.Deadline) {
			t.Errorf("the context's deadline is %v, %v, the message's %v", deadline, ok, req.Deadline)
		}
	})
	for _, c := range []struct {
		body, correlation string
		timed             time.Duration
		attempt           int
	}{
		{`{"pattern":"look","data":1,"id":"the id"}`, "the id", 0, 1},
		{`{"pattern":"look","data":1,"id":"\u0041"}`, "A", 0, 1},
		{`{"pattern":"look","data":1,"id":7}`, "7", 0, 1},
		{`{"pattern":"look","data":1,"metadata":{"correlation-id":"c"},"id":"1"}`, "c", 0, 1},
		{`{"pattern":"look","data":1,"metadata":{"timeout-ms":"60000","attempt":"3"},"id":"1"}`, "1", time.Minute, 3},
		{`{"pattern":"look","data":1,"metadata":{"timeout-ms":60000,"attempt":2,"timeout-ms":30000},"id":"1"}`, "1", 30 * time.Second, 2},
		{`{"pattern":"look","data":1,"metadata":{"timeout-ms":"soon","attempt":"0"},"id":"1"}`, "1", 0, 1},
		{`{"pattern":"look","data":1,"metadata":{"timeout-ms":"999999999999999999","attempt":"-5"},"id":"1"}`, "1", 0, 1},
		{`{"pattern":"look","data":1,"metadata":{"timeout-ms":"1e3"},"id":"1"}`, "1", 0, 1},
		{`{"pattern":"look","data":1,"metadata":[1],"id":"1"}`, "1", 0, 1},
		{`{"pattern":"look","data":1,"metadata":null,"id":"1"}`, "1", 0, 1},
	} {
		got = Request{}
		send(t, s, c.body)
		if id := got.CorrelationID(); id != c.correlation || got.Attempt != c.attempt || got.Peer != "peer:1" || got.Pattern != Name("look") {
			t.Errorf("%s: correlation id %q, attempt %d, peer %q, pattern %s", c.body, id, got.Attempt, got.Peer, got.Pattern)
		}
		left := time.Until(got.Deadline)
		if c.timed == 0 && !got.Deadline.IsZero() || c.timed > 0 && (left > c.timed || left < c.timed-soon) {
			t.Errorf("%s: deadline in %v, want %v", c.body, left, c.timed)
		}
	}
	for _, body := range []string{`{"pattern":"look","data":1,"id":""}`, `{"pattern":"looked","data":1}`} {
		send(t, s, body)
		first := got.CorrelationID()
		send(t, s, body)
		if first == "" || first == got.CorrelationID() {
			t.Errorf("%s: the correlation ids made are %q and %q", body, first, got.CorrelationID())
		}
	}
	if RequestFromContext(t.Context()) != nil {
		t.Error("a message in a context that has none")
	}
}
