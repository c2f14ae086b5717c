package load_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const ms = time.Millisecond

// serve runs a service with one handler of "work" on a real socket and returns
// connections to it.
func serve(t *testing.T, handler micro.Handler, connections int) []micro.Conn {
	t.Helper()
	s := micro.NewServer(micro.WithLogger(slog.New(slog.DiscardHandler)), micro.WithDrainTimeout(ms))
	micro.HandleFunc(s, micro.Cmd("work"), handler)
	l := microtcp.Listen("127.0.0.1:0")
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()
	address, err := l.Addr(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var conns []micro.Conn
	for range connections {
		conns = append(conns, microtcp.Dial(address.String()))
	}
	t.Cleanup(func() {
		for _, c := range conns {
			_ = c.Close()
		}
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return conns
}

// work is the one message of most plans.
func work(conns []micro.Conn) []load.Message {
	return []load.Message{{Conns: conns, Pattern: micro.Cmd("work")}}
}

// answer answers at once.
func answer(_ context.Context, _ *micro.Request, reply micro.Reply) error {
	return reply.Send(micro.Value{Raw: []byte(`"ok"`), Last: true})
}

// run makes a run of the plan and waits for its result.
func run(t *testing.T, plan load.Plan) *load.Result {
	t.Helper()
	r, err := load.Start(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	return r.Wait()
}

// checkSum holds a result to: offered is the sum of the outcomes.
func checkSum(t *testing.T, res *load.Result) {
	t.Helper()
	if sum := res.Totals.Finished(); sum != res.Totals.Offered {
		t.Errorf("offered %d, but the outcomes %v sum up to %d", res.Totals.Offered, res.Totals.Outcomes, sum)
	}
	if res.InFlight != 0 {
		t.Errorf("%d requests in flight at the end", res.InFlight)
	}
}
