package micro

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/msctl/msctl/runtime/wire"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// soon bounds what must happen soon; it is long because much else may run here.
const soon = time.Minute

// answers is a Responder that keeps what it is given.
type answers struct {
	mu      sync.Mutex
	packets []string
	gone    bool // the peer listens no more
}

func (a *answers) Respond(_ context.Context, p wire.Reply) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.gone {
		return errGone
	}
	a.packets = append(a.packets, string(p.Append(nil)))
	return nil
}

func (a *answers) all() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.packets
}

// send gives s a packet, runs what there is to run and returns the replies.
func send(t testing.TB, s *Server, body string) []string {
	t.Helper()
	return sendOn(t, t.Context(), s, body)
}

func sendOn(t testing.TB, ctx context.Context, s *Server, body string) []string {
	t.Helper()
	p, err := wire.Parse([]byte(body))
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	to := &answers{}
	if in := s.Deliver(ctx, Delivery{Packet: &p, To: to, Peer: "peer:1"}); in != nil {
		in.Run()
	}
	if n := s.inFlight.Load(); n != 0 {
		t.Errorf("after %s %d messages count as in flight", body, n)
	}
	return to.all()
}

func quiet() Option { return WithLogger(slog.New(slog.DiscardHandler)) }
