package micro

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type observedKey struct{}

// TestObserver checks what an observer sees of messages of every kind and outcome: each once,
// with the pattern that a handler is registered for, if there is one.
func TestObserver(t *testing.T) {
	var seen []string
	observe := func(ctx context.Context, req *Request, handler Pattern) (context.Context, func(error)) {
		line := fmt.Sprintf("%s event=%t peer=%s", handler, req.Event, req.Metadata.Get("from"))
		return context.WithValue(ctx, observedKey{}, "yes"), func(err error) { seen = append(seen, fmt.Sprintf("%s: %v", line, err)) }
	}
	boom := errors.New("boom")
	s := NewServer(quiet(), WithObserver(observe), WithGuards(func(ctx context.Context, req *Request) (bool, error) {
		if ctx.Value(observedKey{}) != "yes" || RequestFromContext(ctx) != req {
			t.Error("the guard's context lacks a value")
		}
		return string(req.Data) != `"forbidden"`, nil
	}))
	Handle(s, Cmd("get"), func(_ context.Context, in string) (any, error) {
		switch in {
		case "boom":
			return nil, boom
		case "panic":
			panic("boom")
		case "inf":
			return math.Inf(1), nil // cannot be encoded
		}
		return in, nil
	})
	HandleEvent(s, Name("seen"), func(context.Context, None) error { return nil })
	HandleEvent(s, Name("seen"), func(context.Context, None) error { return boom })
	for body, want := range map[string]string{
		`{"pattern":{"cmd":"get"},"data":"x","id":"1","metadata":{"from":"a"}}`: `{"cmd":"get"} event=false peer=a: <nil>`,
		`{"pattern":{"cmd":"get"},"data":"forbidden","id":"1"}`:                 `{"cmd":"get"} event=false peer=: Forbidden resource`,
		`{"pattern":{"cmd":"get"},"data":"boom","id":"1"}`:                      `{"cmd":"get"} event=false peer=: boom`,
		`{"pattern":{"cmd":"get"},"data":"panic","id":"1"}`:                     `{"cmd":"get"} event=false peer=: panic: boom`,
		`{"pattern":{"cmd":"get"},"data":"inf","id":"1"}`:                       `{"cmd":"get"} event=false peer=: json: unsupported value: +Inf`,
		`{"pattern":{"cmd":"get"},"id":"1","metadata":{"timeout-ms":"0"}}`:      `{"cmd":"get"} event=false peer=: ` + ErrExpired.Error(),
		`{"pattern":"seen","data":1}`:                                           `seen event=true peer=: boom`,
		`{"pattern":"unknown","data":1,"id":"1","metadata":{"from":"b"}}`:       `(no pattern) event=false peer=b: ` + ErrNoHandler.Error(),
		`{"pattern":"unknown","data":1}`:                                        `(no pattern) event=true peer=: ` + ErrNoHandler.Error(),
		`{"pattern":"msctl.health","data":{},"id":"1"}`:                         "",
	} {
		seen = nil
		_, _ = deliverTo(t, s, body, Delivery{})
		if got := strings.Join(seen, "\n"); !strings.HasPrefix(got, want) || (want == "") != (got == "") || len(seen) > 1 {
			t.Errorf("%s: observed %q, want %q", body, got, want)
		}
	}
}

// TestObserverOfOtherPatterns checks that a pattern that only a peer has named does not reach
// an observer as that of a handler.
func TestObserverOfOtherPatterns(t *testing.T) {
	var seen []string
	s := NewServer(quiet(), WithObserver(func(ctx context.Context, req *Request, handler Pattern) (context.Context, func(error)) {
		seen = append(seen, fmt.Sprintf("%s, handler %t", req.Pattern, !handler.IsZero()))
		return ctx, func(error) {}
	}))
	HandleUnknown(s, func(_ context.Context, _ *Request, reply Reply) error { return nil })
	HandleRaw(s, func(context.Context, any) error { return nil })
	for _, body := range []string{`{"pattern":"any","data":1,"id":"1"}`, `{"foo":1}`} {
		if _, err := deliverTo(t, s, body, Delivery{}); err != nil {
			t.Errorf("%s: %v", body, err)
		}
	}
	if diff := cmp.Diff([]string{"any, handler false", "(no pattern), handler false"}, seen); diff != "" {
		t.Error(diff)
	}
}

// TestObserversNest checks the order of several observers, and that the server's log has the
// context of the innermost.
func TestObserversNest(t *testing.T) {
	var order []string
	observer := func(name string) ServerOption {
		return WithObserver(func(ctx context.Context, _ *Request, _ Pattern) (context.Context, func(error)) {
			order = append(order, name)
			ctx = context.WithValue(ctx, observedKey{}, fmt.Sprint(ctx.Value(observedKey{}), name))
			return ctx, func(error) { order = append(order, "end "+name) }
		})
	}
	s := NewServer(WithLogger(slog.New(valueHandler{t})), WithObserver(nil), observer("a"), observer("b"), WithObserver(nil))
	Handle(s, Name("x"), func(context.Context, None) (None, error) { return None{}, errors.New("boom") })
	send(t, s, `{"pattern":"x","data":{},"id":"1"}`)
	if diff := cmp.Diff([]string{"a", "b", "end b", "end a"}, order); diff != "" {
		t.Error(diff)
	}
}

// valueHandler checks that each line is logged with the observers' context.
type valueHandler struct{ t *testing.T }

func (h valueHandler) Enabled(context.Context, slog.Level) bool { return true }
func (h valueHandler) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h valueHandler) WithGroup(string) slog.Handler            { return h }
func (h valueHandler) Handle(ctx context.Context, r slog.Record) error {
	if got := ctx.Value(observedKey{}); got != "<nil>ab" {
		h.t.Errorf("%q is logged with the value %v", r.Message, got)
	}
	return nil
}

// gate is a listener that is ready when its channel is closed.
type gate struct {
	listener
	open chan struct{}
}

func (g gate) Ready(ctx context.Context) error {
	select {
	case <-g.open:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TestReady follows a server from its creation to its end.
func TestReady(t *testing.T) {
	well := true
	s := NewServer(quiet(), WithHealthCheck("db", func(context.Context) error {
		if !well {
			return errors.New("down")
		}
		return nil
	}))
	want := func(part string) {
		t.Helper()
		ctx := t.Context()
		if strings.Contains(part, "listener") {
			ended, cancel := context.WithCancel(ctx)
			cancel()
			ctx = ended
		}
		if err := s.Ready(ctx); (err == nil) != (part == "") || err != nil && !strings.Contains(err.Error(), part) {
			t.Errorf("ready: %v, want %q", err, part)
		}
	}
	want("not been started")
	ctx, cancel := context.WithCancel(t.Context())
	serving, drained := make(chan struct{}), make(chan struct{})
	l := gate{func(ctx context.Context, _ *Server) error {
		close(serving)
		<-ctx.Done()
		<-drained
		return nil
	}, make(chan struct{})}
	done := make(chan error)
	go func() { done <- s.Serve(ctx, l) }()
	<-serving
	want("a listener is not ready")
	close(l.open)
	want("")
	well = false
	want("check db: down")
	well = true
	cancel()
	want("stopping") // while it drains
	close(drained)
	if err := <-done; err != nil {
		t.Error(err)
	}
	want("stopping")
}

// TestNoObserver checks that a message without an observer costs no more than its handler.
func TestNoObserver(t *testing.T) {
	none, nothing := NewServer(quiet()), NewServer(quiet(), WithObserver(nil))
	var counts [2]float64
	for i, s := range []*Server{none, nothing} {
		Handle(s, Name("x"), func(context.Context, None) (None, error) { return None{}, nil })
		counts[i] = testing.AllocsPerRun(100, func() { send(t, s, `{"pattern":"x","data":{},"id":"1"}`) })
	}
	if counts[0] != counts[1] || none.observe != nil || nothing.observe != nil {
		t.Errorf("allocations: %v", counts)
	}
}
