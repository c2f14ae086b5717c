package conformance_test

import (
	"context"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/msctl/msctl/internal/test/conformance"
	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
	"github.com/msctl/msctl/runtime/microtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTCP(t *testing.T) {
	conformance.Run(t, tcp())
}

func tcp() conformance.Transport {
	return conformance.Transport{
		Open:  func(testing.TB) conformance.Link { return &tcpLink{} },
		Facts: conformance.Facts{UnservedAtOnce: true},
	}
}

// tcpLink is a port. It is chosen when the first listener or client is created.
type tcpLink struct {
	mu   sync.Mutex
	addr string
}

func (l *tcpLink) address() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.addr == "" {
		port, err := testenv.FreePort()
		if err != nil {
			panic(err)
		}
		l.addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	}
	return l.addr
}

func (l *tcpLink) Listen() conformance.Listener {
	return tcpListener{microtcp.Listen(l.address(), microtcp.WithListenRetry(200, 50*time.Millisecond))} // another process may use the port for a moment
}

func (l *tcpLink) Client(opts ...micro.ClientOption) *micro.Client {
	return micro.NewClient(microtcp.Dial(l.address()), opts...)
}

type tcpListener struct{ *microtcp.Listener }

func (l tcpListener) Ready(ctx context.Context) error {
	_, err := l.Addr(ctx)
	return err
}

func TestMemory(t *testing.T) {
	conformance.Run(t, conformance.Transport{
		Open: func(testing.TB) conformance.Link { return memoryLink{microtest.New()} },
	})
}

// memoryLink is an in-memory network for one server.
type memoryLink struct{ *microtest.Network }

func (l memoryLink) Listen() conformance.Listener { return memoryListener(l) }

type memoryListener struct{ *microtest.Network }

// Ready returns immediately, because messages wait for the server.
func (memoryListener) Ready(context.Context) error { return nil }
