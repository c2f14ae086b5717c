package gateway_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/msctl/msctl/runtime/gateway"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtest"
)

// served is a gateway on a real socket whose handler waits to be released.
type served struct {
	url     string
	stop    context.CancelFunc
	gateway *gateway.Gateway
	done    chan error
	entered chan struct{} // a slow request is being handled
	release chan struct{}
	http    *http.Client
}

func serve(t *testing.T, opts ...gateway.Option) *served {
	t.Helper()
	s := &served{done: make(chan error, 1), entered: make(chan struct{}, 10), release: make(chan struct{})}
	server := micro.NewServer(micro.WithLogger(quiet()))
	micro.Handle(server, micro.Cmd("slow"), func(ctx context.Context, _ micro.None) (string, error) {
		s.entered <- struct{}{}
		select {
		case <-s.release:
		case <-ctx.Done():
		}
		return "done", ctx.Err()
	})
	micro.Handle(server, micro.Cmd("quick"), func(context.Context, micro.None) (string, error) { return "done", nil })
	c := microtest.Serve(t, server)
	gw := newGateway(opts...)
	s.gateway = gw
	if err := gw.Ready(t.Context()); err == nil {
		t.Error("a gateway that does not listen is ready")
	}
	gateway.Route(gw, "POST /slow", c, micro.NewMethod[micro.None, string](micro.Cmd("slow")), gateway.WithTimeout(5*time.Second))
	gateway.Route(gw, "POST /quick", c, micro.NewMethod[micro.None, string](micro.Cmd("quick")))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.url = "http://" + l.Addr().String()
	transport := &http.Transport{}
	s.http = &http.Client{Transport: transport}
	var ctx context.Context
	ctx, s.stop = context.WithCancel(context.Background())
	go func() { s.done <- gw.ServeListener(ctx, l) }()
	t.Cleanup(func() {
		s.stop()
		transport.CloseIdleConnections()
	})
	return s
}

// post returns the status, the body and whether the connection will be closed.
func (s *served) post(path string) (status int, body string, closing bool, err error) {
	res, err := s.http.Post(s.url+path, "application/json", nil)
	if err != nil {
		return 0, "", false, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return res.StatusCode, string(text), res.Close, err
}

// TestDrain: a gateway that stops still answers what it has taken and, for the
// grace, what comes, and tells connections to close and balancers to leave.
func TestDrain(t *testing.T) {
	s := serve(t, gateway.WithDrain(300*time.Millisecond, 5*time.Second))
	slow := make(chan string, 1)
	go func() {
		_, body, _, err := s.post("/slow")
		slow <- body + errText(err)
	}()
	<-s.entered
	if status, _, closing, err := s.post("/quick"); status != 201 || closing || err != nil {
		t.Fatalf("before: %d %v %v", status, closing, err)
	}
	if err := s.gateway.Ready(t.Context()); err != nil {
		t.Errorf("before: %v", err)
	}
	s.stop()
	var status int
	var closing bool
	var err error
	for end := time.Now().Add(time.Minute); !closing && time.Now().Before(end); {
		if status, _, closing, err = s.post("/quick"); status != 201 || err != nil {
			t.Fatalf("while draining: %d %v", status, err)
		}
	}
	if !closing {
		t.Error("connections are not asked to close")
	}
	if err := s.gateway.Ready(t.Context()); err == nil {
		t.Error("a draining gateway is ready")
	}
	for _, path := range []string{"/health", "/health/ready"} {
		res, err := s.http.Get(s.url + path)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != 503 || !strings.Contains(string(text), "shutting_down") {
			t.Errorf("%s: %d %s %v", path, res.StatusCode, text, err)
		}
	}
	close(s.release)
	if got := <-slow; got != `"done"` {
		t.Errorf("the slow request got %s", got)
	}
	if err := <-s.done; err != nil {
		t.Error(err)
	}
	if _, _, _, err := s.post("/quick"); err == nil {
		t.Error("it still serves")
	}
}

// TestDrainIsBounded: what does not finish is cut off.
func TestDrainIsBounded(t *testing.T) {
	s := serve(t, gateway.WithDrain(time.Millisecond, 20*time.Millisecond))
	slow := make(chan error, 1)
	go func() {
		_, _, _, err := s.post("/slow")
		slow <- err
	}()
	<-s.entered
	s.stop()
	if err := <-s.done; err != nil {
		t.Error(err)
	}
	if err := <-slow; err == nil {
		t.Error("the slow request was answered")
	}
	close(s.release)
}

// TestSlowWorkOutlivesTheReadTimeout: the bound of reading a request is none of
// its work.
func TestSlowWorkOutlivesTheReadTimeout(t *testing.T) {
	s := serve(t, gateway.WithDrain(0, time.Second), gateway.WithServerTimeouts(50*time.Millisecond, 50*time.Millisecond, time.Second))
	go func() {
		<-s.entered
		<-time.After(200 * time.Millisecond)
		close(s.release)
	}()
	if status, body, _, err := s.post("/slow"); status != 201 || err != nil {
		t.Errorf("%d %s %v", status, body, err)
	}
}

// TestClientLeaves checks that a request whose client has disconnected is not reported,
// and that its message ends.
func TestClientLeaves(t *testing.T) {
	s := serve(t, gateway.WithDrain(0, time.Second), gateway.WithServerTimeouts(time.Second, time.Second, time.Second))
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "POST", s.url+"/slow", nil)
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 1)
	go func() {
		res, err := s.http.Do(req)
		if err == nil {
			res.Body.Close()
		}
		failed <- err
	}()
	<-s.entered
	cancel()
	if err := <-failed; err == nil {
		t.Error("an answer came")
	}
	s.stop()
	if err := <-s.done; err != nil {
		t.Error(err)
	}
	close(s.release)
}

func TestServeFails(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := newGateway().Serve(t.Context(), l.Addr().String()); err == nil || !strings.Contains(err.Error(), "listen on "+l.Addr().String()) {
		t.Errorf("error %v", err)
	}
	t.Setenv(micro.InheritEnv, "3001=x")
	if err := newGateway().Serve(t.Context(), ":3001"); err == nil || !strings.Contains(err.Error(), micro.InheritEnv) {
		t.Errorf("error %v", err)
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
