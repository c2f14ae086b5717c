package proc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/msctl/msctl/internal/workspace"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
)

// asker finds out whether somebody answers at one address.
type asker interface {
	// ask asks once and returns nil for any answer. It waits for one as long
	// as ctx allows.
	ask(ctx context.Context) error
	close()
}

// asker asks the way the service answers. At the probe, a gateway is asked
// whether it lives; anywhere else for its health, as everybody can.
func (s *service) asker(addr string, probe bool) asker {
	switch {
	case s.runsBroker:
		return &handshakeAsker{s.broker.transport, s.broker.url}
	case s.spec.Ready == workspace.ReadyHTTP && probe:
		return &httpAsker{url: "http://" + addr + "/health/live"}
	case s.spec.Ready == workspace.ReadyHTTP:
		return &httpAsker{url: "http://" + addr + "/health"}
	case s.spec.Ready == workspace.ReadyProcess:
		return patienceAsker{}
	case s.broker != nil:
		return newBrokerAsker(s.spec, s.broker)
	}
	return newMessageAsker(microtcp.Dial(addr), micro.HealthPattern, s.spec)
}

// messageAsker sends a message. Every server answers: ours with its health,
// NestJS that nobody handles the pattern.
type messageAsker struct {
	client  *micro.Client
	pattern micro.Pattern
	broken  error // the pattern of msctl.yaml is none
}

// newMessageAsker asks for a pattern, or for that of `ready` if there is one.
func newMessageAsker(conn micro.Conn, pattern micro.Pattern, s *workspace.Service) *messageAsker {
	a := &messageAsker{client: micro.NewClient(conn), pattern: pattern}
	if s.ReadyPattern != "" {
		a.pattern, a.broken = micro.ParsePattern(s.ReadyPattern)
	}
	return a
}

func (a *messageAsker) ask(ctx context.Context) error {
	if a.broken != nil {
		return fmt.Errorf("ask for the pattern of `ready`: %w", a.broken)
	}
	_, err := micro.Call[json.RawMessage](ctx, a.client, a.pattern, struct{}{})
	var remote *micro.Error
	if errors.As(err, &remote) && remote.Remote() || errors.Is(err, micro.ErrNoValue) {
		return nil
	}
	return err
}

func (a *messageAsker) close() { _ = a.client.Close() }

// httpAsker makes a request on a connection of its own.
type httpAsker struct{ url string }

func (a *httpAsker) ask(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.url, nil)
	if err != nil {
		return fmt.Errorf("ask %s: %w", a.url, err)
	}
	transport := &http.Transport{DisableKeepAlives: true, Proxy: nil}
	defer transport.CloseIdleConnections()
	res, err := transport.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("ask %s: %w", a.url, err)
	}
	_ = res.Body.Close()
	if res.StatusCode >= http.StatusInternalServerError {
		return fmt.Errorf("ask %s: status %d", a.url, res.StatusCode)
	}
	return nil
}

func (a *httpAsker) close() {}

const (
	askFirst   = 25 * time.Millisecond // the first pause between two questions
	askMost    = 250 * time.Millisecond
	askTimeout = 5 * time.Second // for one answer
)

// awaitAnswer asks until there is an answer. It returns the last failure when
// ctx ends first.
func awaitAnswer(ctx context.Context, a asker) error {
	pause := askFirst
	timer := time.NewTimer(0)
	defer timer.Stop()
	last := errors.New("nobody was asked")
	for {
		select {
		case <-ctx.Done():
			return last
		case <-timer.C:
		}
		once, cancel := context.WithTimeout(ctx, askTimeout)
		err := a.ask(once)
		cancel()
		if err == nil {
			return nil
		}
		if ctx.Err() == nil || !errors.Is(err, context.Canceled) {
			last = err
		}
		timer.Reset(pause)
		pause = min(2*pause, askMost)
	}
}
