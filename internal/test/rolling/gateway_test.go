//go:build unix

package rolling

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/scaffold"
	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/internal/test/workspaces"
	"github.com/msctl/msctl/runtime/gateway/auth"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
	"github.com/msctl/msctl/runtime/principal"
)

const (
	shopRate        = 200 // requests per second, of all clients
	tokenSecret     = "the secret of the tokens, which is only for this test"
	principalSecret = "the secret of the principals, which is only for this test"
	limit           = 2 * time.Minute // of every wait; a machine may be busy
)

// TestRollingGateway replaces the gateway and the service of a workspace one after another, while
// clients with tokens create and read items: a new one starts, then the old one gets SIGTERM. No
// request fails.
//
// A service gets no new connections after SIGTERM: the manifests of a workspace pause before it. With
// MSCTL_TEST_LONG, the test takes a minute, and the gateway still gets new connections for half of its
// grace period after SIGTERM. Otherwise, it gets none either, so that the test does not depend on time.
func TestRollingGateway(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs a workspace")
	}
	s := &shop{t: t, dir: t.TempDir(), data: t.TempDir(), long: os.Getenv("MSCTL_TEST_LONG") != "", fronts: map[string]*front{"items": startFront(t), "gateway": startFront(t)}}
	workspaces.Write(t, s.dir, scaffold.Workspace{Name: "shop", Version: "test", Store: scaffold.SQLite, Services: scaffold.DefaultServices(scaffold.DefaultGatewayPort)})
	workspaces.Build(t, s.dir, "items", "gateway")
	names := []string{"items", "gateway"}
	running := map[string]*program{}
	for _, name := range names {
		running[name] = s.start(name)
	}
	s.connect()
	load := startLoad(t, shopRate, s.call)
	replaced, began := 0, time.Now()
	for replaced < 1 || s.long && time.Since(began) < time.Minute {
		for _, name := range names {
			load.await(50)
			next := s.start(name)
			s.end(running[name])
			running[name] = next
		}
		replaced++
	}
	load.await(50)
	requests, failed := load.stop()
	t.Logf("%d requests in %v, %d failed; %d gateways and %d services replaced", requests, time.Since(began).Round(time.Second), len(failed), replaced, replaced)
	for _, err := range failed[:min(len(failed), 5)] {
		t.Error(err)
	}
	for _, c := range s.clients {
		c.CloseIdleConnections()
	}
	for _, p := range running {
		s.end(p)
	}
}

// shop is a workspace whose programs are replaced.
type shop struct {
	t         *testing.T
	dir, data string
	long      bool
	fronts    map[string]*front // by the name of the program
	token     string
	clients   []*http.Client
}

// program is a running program of the workspace.
type program struct {
	name, addr string
	cmd        *exec.Cmd
	log        *testenv.Log
	gone       chan struct{} // closed when it has ended
}

// start starts a program, and returns when the front knows it.
func (s *shop) start(name string) *program {
	t := s.t
	t.Helper()
	port := testenv.Port(t)
	p := &program{name: name, addr: net.JoinHostPort("127.0.0.1", port), cmd: exec.Command(filepath.Join(s.dir, "bin", name)), log: &testenv.Log{}, gone: make(chan struct{})} //nolint:gosec // built by this test
	p.cmd.Dir, p.cmd.Stderr = s.dir, p.log
	p.cmd.Env = append(os.Environ(), "PORT="+port, "MS_PORT="+port, "DATA_DIR="+s.data, "ITEMS_URL=tcp://"+s.fronts["items"].addr, "ORDERS_URL=tcp://127.0.0.1:1",
		"LOG_LEVEL=warn", "PRINCIPAL_SECRET="+principalSecret, "AUTH_SECRET="+tokenSecret, "AUTH_ISSUER=test", "AUTH_AUDIENCE=shop")
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { defer close(p.gone); _ = p.cmd.Wait() }()
	t.Cleanup(func() { // if the test has not ended it
		_ = p.cmd.Process.Kill()
		<-p.gone
		if t.Failed() && p.log.String() != "" {
			t.Logf("%s:\n%s", name, p.log)
		}
	})
	testenv.Eventually(t, limit, name+" is ready", func() bool {
		select {
		case <-p.gone:
			t.Fatalf("%s has ended:\n%s", name, p.log)
		default:
		}
		return p.ready(t.Context())
	})
	s.fronts[name].add(p.addr)
	return p
}

// ready reports whether the program serves.
func (p *program) ready(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if p.name == "items" {
		c := micro.NewClient(microtcp.Dial(p.addr), quiet)
		defer c.Close()
		health, err := micro.Call[micro.Health](ctx, c, micro.HealthPattern, nil)
		return err == nil && health.Status == "ok"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.addr+"/health/ready", nil)
	if err != nil {
		return false
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// end ends a program as Kubernetes does, and wants a clean exit.
func (s *shop) end(p *program) {
	s.t.Helper()
	late := s.long && p.name == "gateway"
	if !late {
		s.fronts[p.name].remove(p.addr)
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Error(err)
	}
	if late {
		<-time.After(500 * time.Millisecond)
		s.fronts[p.name].remove(p.addr)
	}
	testenv.Within(s.t, limit, p.name+" ends", func() { <-p.gone })
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		s.t.Errorf("%s ended with exit code %d\n%s", p.name, code, p.log)
	}
}

// connect creates the clients, each with connections of its own.
func (s *shop) connect() {
	tokens := auth.TokenConfig{Issuer: "test", Audience: "shop", Secrets: [][]byte{[]byte(tokenSecret)}}
	var err error
	if s.token, err = tokens.Sign(&principal.Principal{Subject: "ada", Scopes: []string{"items:write"}, Roles: []string{"admin"}}); err != nil {
		s.t.Fatal(err)
	}
	for range clients {
		c := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}, Timeout: time.Minute} // also on a busy machine
		s.t.Cleanup(c.CloseIdleConnections)
		s.clients = append(s.clients, c)
	}
}

// call creates an item and reads it.
func (s *shop) call(n int) error {
	name := fmt.Sprint("item ", n)
	body, _ := json.Marshal(map[string]any{"name": name, "price": 1}) // plain values
	var made, read struct{ ID, Name string }
	if err := s.do(n, http.MethodPost, "/items", body, http.StatusCreated, &made); err != nil {
		return err
	}
	if err := s.do(n, http.MethodGet, "/items/"+made.ID, nil, http.StatusOK, &read); err != nil {
		return err
	}
	if read.Name != name {
		return fmt.Errorf("read %q, want %q", read.Name, name)
	}
	return nil
}

func (s *shop) do(n int, method, path string, body []byte, status int, into any) error {
	req, err := http.NewRequestWithContext(context.Background(), method, "http://"+s.fronts["gateway"].addr+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.clients[n%clients].Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != status {
		return fmt.Errorf("%s %s: %d %s", method, path, resp.StatusCode, text)
	}
	return json.Unmarshal(text, into)
}
