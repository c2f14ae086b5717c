package web

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/golden"
	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/internal/test/workspaces"
	"github.com/msctl/msctl/runtime/gateway/auth"
	"github.com/msctl/msctl/runtime/principal"
)

const (
	tokenSecret     = "the secret of the tokens, which is only for this test"
	principalSecret = "the secret of the principals, which is only for this test"
	limit           = 2 * time.Minute // of every wait; a machine may be busy
)

// shop is a workspace with its programs: the service items, the gateway, and the web client.
type shop struct {
	t                   *testing.T
	dir, client         string
	items, gateway, web *program
	itemsPort, port     string
	api, url            string // of the gateway and of the web client
}

// program is a running process.
type program struct {
	cmd *exec.Cmd
	log *testenv.Log
}

func newShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{t: t, dir: t.TempDir(), itemsPort: testenv.Port(t), port: testenv.Port(t)}
	files := webClient(t, s.dir)
	s.client = installClient(t, files)
	workspaces.Build(t, s.dir, "items", "gateway")
	s.api = "http://127.0.0.1:" + s.port
	s.startItems()
	s.startGateway()
	s.checkTypes()
	buildClient(t, s.client, files)
	port := testenv.Port(t)
	s.url = "http://127.0.0.1:" + port
	s.web = s.start("node", s.client, []string{filepath.Join(".next", "standalone", "server.js")}, "PORT="+port, "HOSTNAME=127.0.0.1", "GATEWAY_URL="+s.api)
	s.await(s.url + "/health")
	return s
}

// checkTypes wants that the types in the template are those of the gateway.
func (s *shop) checkTypes() {
	s.t.Helper()
	out := filepath.Join(s.t.TempDir(), "schema.ts")
	npm(s.t, s.client, "exec", "--", "openapi-typescript", s.api+"/api-json", "--output", out)
	text, err := os.ReadFile(out)
	if err != nil {
		s.t.Fatal(err)
	}
	golden.Check(s.t, filepath.Join(testenv.Root(), "templates", "web", "apps", "web", "lib", "schema.ts.tmpl"), string(text))
}

func (s *shop) startItems() {
	s.t.Helper()
	s.items = s.start(filepath.Join(s.dir, "bin", "items"), s.dir, nil, "MS_PORT="+s.itemsPort, "PRINCIPAL_SECRET="+principalSecret)
}

// startGateway starts the gateway, with additional settings.
func (s *shop) startGateway(env ...string) {
	s.t.Helper()
	s.gateway = s.start(filepath.Join(s.dir, "bin", "gateway"), s.dir, nil, append([]string{"PORT=" + s.port, "ITEMS_URL=tcp://127.0.0.1:" + s.itemsPort,
		"PRINCIPAL_SECRET=" + principalSecret, "AUTH_ISSUER=test", "AUTH_AUDIENCE=corner-shop", "AUTH_SECRET=" + tokenSecret}, env...)...)
	s.await(s.api + "/health")
}

// restartGateway replaces the gateway by one with other settings.
func (s *shop) restartGateway(env ...string) {
	s.t.Helper()
	s.gateway.stop(s.t)
	s.startGateway(env...)
}

func (s *shop) start(path, dir string, args []string, env ...string) *program {
	s.t.Helper()
	p := &program{exec.CommandContext(context.Background(), path, args...), &testenv.Log{}} //nolint:gosec // a program of the test
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, p.log, p.log
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		p.stop(s.t)
		if s.t.Failed() {
			s.t.Logf("output of %s:\n%s", filepath.Base(path), p.log)
		}
	})
	return p
}

// stop ends a program, unless it has been stopped.
func (p *program) stop(t *testing.T) {
	t.Helper()
	if p.cmd.ProcessState != nil {
		return
	}
	kill := time.AfterFunc(limit, func() { _ = p.cmd.Process.Kill() })
	defer kill.Stop()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	_ = p.cmd.Wait()
}

// await waits until there is any response.
func (s *shop) await(url string) {
	s.t.Helper()
	testenv.Eventually(s.t, limit, url+" responds", func() bool {
		response, err := client.Get(url)
		if err == nil {
			_ = response.Body.Close()
		}
		return err == nil
	})
}

// client follows no redirects, and keeps no connections to programs that are replaced.
var client = &http.Client{
	Timeout:       limit,
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// send sends a request with headers, and returns the response and its body.
func send(t *testing.T, method, url, body string, header map[string]string) (status int, headers http.Header, text string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		r.Header.Set(name, value)
	}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, response.Header, string(content)
}

type item struct {
	ID    string  `json:"id"`
	Name  string  `json:"name"`
	Price float64 `json:"price"`
}

// do calls the gateway as another user, without the web client.
func (s *shop) do(method, path string, body any) (out item) {
	s.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	status, _, answer := send(s.t, method, s.api+path, string(text), map[string]string{
		"Authorization": "Bearer " + token(s.t, "grace", "admin"), "Content-Type": "application/json",
	})
	if status > 299 {
		s.t.Fatalf("%s %s: %d %s", method, path, status, answer)
	}
	if err := json.NewDecoder(bytes.NewBufferString(answer)).Decode(&out); err != nil {
		s.t.Fatal(err)
	}
	return out
}

func token(t *testing.T, subject string, roles ...string) string {
	t.Helper()
	tokens := auth.TokenConfig{Issuer: "test", Audience: "corner-shop", Secrets: [][]byte{[]byte(tokenSecret)}}
	text, err := tokens.Sign(&principal.Principal{Subject: subject, Roles: roles})
	if err != nil {
		t.Fatal(err)
	}
	return text
}
