package conformance_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/conformance"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
)

// breakEnv names the fault that a child process of TestSuiteCanFail tests.
const breakEnv = "CONFORMANCE_BREAK"

// fault breaks a working connection.
type fault struct {
	name    string
	reports string // the scenario that must detect it
	wrap    func(micro.Conn) micro.Conn
}

func faults() []fault {
	return []fault{
		{"undefined for null", "no value", values(func(v micro.Value) []micro.Value {
			if string(v.Raw) == "null" {
				v.Raw = nil
			}
			return []micro.Value{v}
		})},
		{"null for undefined", "a stream with gaps", values(func(v micro.Value) []micro.Value {
			if v.Undefined() {
				v.Raw = []byte("null")
			}
			return []micro.Value{v}
		})},
		{"each value twice", "streams", values(func(v micro.Value) []micro.Value { return []micro.Value{v, v} })},
		{"text is escaped again", "text", values(func(v micro.Value) []micro.Value {
			v.Raw = bytes.ReplaceAll(v.Raw, []byte("<"), []byte(`\u003c`))
			return []micro.Value{v}
		})},
		{"long answers are truncated", "large payloads", values(func(v micro.Value) []micro.Value {
			v.Raw = v.Raw[:min(len(v.Raw), 500000)]
			return []micro.Value{v}
		})},
		{"errors lose their payload", "errors", around(func(c micro.Conn, ctx context.Context, req *micro.Request, reply micro.Reply) error {
			err := c.Exchange(ctx, req, reply)
			if err != nil && ctx.Err() == nil {
				return micro.RemoteError([]byte(micro.InternalServerError))
			}
			return err
		})},
		{"metadata is lost", "metadata", around(func(c micro.Conn, ctx context.Context, req *micro.Request, reply micro.Reply) error {
			req.Metadata = micro.Metadata{}
			return c.Exchange(ctx, req, reply)
		})},
		{"the attempt is lost", "attempts", around(func(c micro.Conn, ctx context.Context, req *micro.Request, reply micro.Reply) error {
			req.Attempt = 0
			return c.Exchange(ctx, req, reply)
		})},
		{"canceling does nothing", "cancel", around(func(c micro.Conn, ctx context.Context, req *micro.Request, reply micro.Reply) error {
			return c.Exchange(context.WithoutCancel(ctx), req, reply)
		})},
		{"answers are swapped", "many calls at once", func(c micro.Conn) micro.Conn { return &swapping{Conn: c} }},
		{"closing does nothing", "close", func(c micro.Conn) micro.Conn { return unclosable{c} }},
		{"events are sent twice", "events", func(c micro.Conn) micro.Conn { return duplicating{c} }},
		{"every tenth event is lost", "events", func(c micro.Conn) micro.Conn { return &losing{Conn: c} }},
		{"nothing is traced", "trace", around(func(c micro.Conn, ctx context.Context, req *micro.Request, reply micro.Reply) error {
			req.Trace = nil
			return c.Exchange(ctx, req, reply)
		})},
	}
}

// brokenConn is a connection with a faulty Exchange.
type brokenConn struct {
	micro.Conn
	exchange func(c micro.Conn, ctx context.Context, req *micro.Request, reply micro.Reply) error
}

func (b brokenConn) Exchange(ctx context.Context, req *micro.Request, reply micro.Reply) error {
	return b.exchange(b.Conn, ctx, req, reply)
}

func around(exchange func(micro.Conn, context.Context, *micro.Request, micro.Reply) error) func(micro.Conn) micro.Conn {
	return func(c micro.Conn) micro.Conn { return brokenConn{c, exchange} }
}

// values returns a fault that changes the values of answers.
func values(change func(micro.Value) []micro.Value) func(micro.Conn) micro.Conn {
	return around(func(c micro.Conn, ctx context.Context, req *micro.Request, reply micro.Reply) error {
		return c.Exchange(ctx, req, micro.ReplyFunc(func(v micro.Value) error {
			for _, changed := range change(v) {
				if err := reply.Send(changed); err != nil {
					return err
				}
			}
			return nil
		}))
	})
}

// swapping delivers the value of one call to the next.
type swapping struct {
	micro.Conn
	mu   sync.Mutex
	kept []byte
}

func (s *swapping) Exchange(ctx context.Context, req *micro.Request, reply micro.Reply) error {
	return s.Conn.Exchange(ctx, req, micro.ReplyFunc(func(v micro.Value) error {
		if len(v.Raw) > 3 {
			s.mu.Lock()
			mine := bytes.Clone(v.Raw)
			if s.kept != nil {
				v.Raw = s.kept
			}
			s.kept = mine
			s.mu.Unlock()
		}
		return reply.Send(v)
	}))
}

type unclosable struct{ micro.Conn }

func (unclosable) Close() error { return nil }

type duplicating struct{ micro.Conn }

func (s duplicating) Publish(ctx context.Context, req *micro.Request) error {
	_ = s.Conn.Publish(ctx, req)
	return s.Conn.Publish(ctx, req)
}

type losing struct {
	micro.Conn
	n atomic.Int64
}

func (l *losing) Publish(ctx context.Context, req *micro.Request) error {
	if l.n.Add(1)%10 == 0 {
		return nil
	}
	return l.Conn.Publish(ctx, req)
}

// brokenLink is a port with faulty clients.
type brokenLink struct {
	*tcpLink
	wrap func(micro.Conn) micro.Conn
}

func (l brokenLink) Client(opts ...micro.ClientOption) *micro.Client {
	return micro.NewClient(l.wrap(microtcp.Dial(l.address())), opts...)
}

// runBroken runs the suite with a fault. It must fail.
func runBroken(t *testing.T, name string) {
	t.Helper()
	for _, f := range faults() {
		if f.name == name {
			conformance.Run(t, conformance.Transport{
				Open:    func(testing.TB) conformance.Link { return brokenLink{&tcpLink{}, f.wrap} },
				Facts:   conformance.Facts{UnservedAtOnce: true},
				Timeout: time.Second,
			})
		}
	}
}

// TestSuiteCanFail checks that the suite detects each fault in the right scenario. Each fault runs in a child process.
func TestSuiteCanFail(t *testing.T) {
	if name := os.Getenv(breakEnv); name != "" { // the child process
		runBroken(t, name)
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults() {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel() // most of the time they wait
			scenario := strings.ReplaceAll(f.reports, " ", "_")
			cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestSuiteCanFail$/^"+scenario+"$", "-test.v", "-test.timeout=3m")
			cmd.Env = append(os.Environ(), breakEnv+"="+f.name)
			out, err := cmd.CombinedOutput()
			if err == nil || !bytes.Contains(out, []byte("--- FAIL: TestSuiteCanFail/"+scenario+" ")) {
				t.Errorf("the scenario %q does not detect the fault: %v\n%s", f.reports, err, out)
			}
		})
	}
}
