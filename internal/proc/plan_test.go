package proc

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/workspace"
)

func TestBackoff(t *testing.T) {
	b := backoff{first: 250 * time.Millisecond}
	for crash := range 40 {
		full := maxBackoff
		if crash < 7 {
			full = min(b.first<<crash, maxBackoff)
		}
		if d := b.next(); d < full/2 || d >= full {
			t.Errorf("delay after crash %d is %v, want %v to %v", crash+1, d, full/2, full)
		}
	}
	b.reset()
	if d := b.next(); d > b.first {
		t.Errorf("delay after a reset is %v, want at most %v", d, b.first)
	}
}

// TestLookup checks that a variable is looked up with the precedence of a run.
func TestLookup(t *testing.T) {
	t.Setenv("IN_SHELL", "shell")
	w, err := workspace.Parse("msctl.yaml", []byte(`name: shop
env: {IN_SHELL: shared, IN_DOTENV: shared, OWN: shared, SHARED: shared}
services:
  gateway: {kind: gateway, path: ./gateway, port: 3001, env: {IN_SHELL: own, IN_DOTENV: own, OWN: own}}
`))
	if err != nil {
		t.Fatal(err)
	}
	w.Local.Vars = map[string]string{"IN_SHELL": "dotenv", "IN_DOTENV": "dotenv"}
	for name, want := range map[string]string{"IN_SHELL": "shell", "IN_DOTENV": "dotenv", "OWN": "own", "SHARED": "shared", "PORT": "3001"} {
		if got, ok := Lookup(w, w.Service("gateway"), name); got != want || !ok {
			t.Errorf("%s is %q, %v, want %q", name, got, ok, want)
		}
	}
	if got, ok := Lookup(w, w.Service("gateway"), "IN_NOTHING"); ok {
		t.Errorf("a variable that is not set is %q", got)
	}
}

// TestEnvironment checks which addresses a service gets, and which values take
// precedence.
func TestEnvironment(t *testing.T) {
	t.Setenv("PORT", "1")
	t.Setenv("GREETING", "from outside")
	t.Setenv("MSCTL_LISTENERS", "1=3")
	w, err := workspace.Parse("msctl.yaml", []byte(`name: shop
env: {LOG_LEVEL: debug, GREETING: for all}
services:
  items: {path: ./items, port: 3002, env: {GREETING: mine, MAIL_OUT_URL: "tcp://elsewhere:1"}}
  mail-out: {command: node mail.js, port: 3010, host: 0.0.0.0}
  gateway: {kind: gateway, path: ./gateway, port: 3001}
  api: {kind: gateway, command: node api.js, port: 3009}
`))
	if err != nil {
		t.Fatal(err)
	}
	for service, want := range map[string]map[string]string{
		"items": {
			"MS_HOST": "127.0.0.1", "MS_PORT": "3002", "PORT": "3002", "GREETING": "from outside", "LOG_LEVEL": "debug",
			"GATEWAY_URL": "http://127.0.0.1:3001", "MAIL_OUT_URL": "tcp://elsewhere:1", "API_URL": "http://localhost:3009", "NO_COLOR": "1", "FORCE_COLOR": "", "MSCTL_LISTENERS": "",
		},
		"gateway":  {"MAIL_OUT_URL": "tcp://[::1]:3010", "ITEMS_URL": "tcp://127.0.0.1:3002"},
		"mail-out": {"MS_HOST": "0.0.0.0", "PORT": "3010", "GREETING": "from outside", "ITEMS_URL": "tcp://127.0.0.1:3002", "MAIL_OUT_URL": ""},
	} {
		got := map[string]string{}
		found := map[string]string{"mail-out": "tcp://[::1]:3010"}
		for _, entry := range append(peers(w, w.Service(service), found), environment(w, w.Service(service), false)...) {
			name, value, _ := strings.Cut(entry, "=")
			got[name] = value
		}
		for name, value := range want {
			if got[name] != value {
				t.Errorf("%s: %s=%q, want %q", service, name, got[name], value)
			}
		}
	}
}

// TestPrecedence checks where the value of a variable comes from if it is set in several
// places.
func TestPrecedence(t *testing.T) {
	dir := t.TempDir()
	for name, value := range map[string]string{"IN_SHELL": "shell", "EMPTY": "", "PORT": "1", "ITEMS_URL": "tcp://shell:1", "SEARCH": "shell"} {
		t.Setenv(name, value)
	}
	write(t, filepath.Join(dir, ".env"), "IN_SHELL=dotenv\nIN_LOCAL=dotenv\nIN_DOTENV=dotenv\nMS_PORT=2\nEMPTY=dotenv\n")
	write(t, filepath.Join(dir, ".env.local"), "IN_SHELL=local\nIN_LOCAL=local\nRABBITMQ_URL=amqp://local\n")
	write(t, filepath.Join(dir, "msctl.yaml"), `name: shop
services:
  items: {path: ./items, port: 3002}
  orders:
    path: ./orders
    port: 3003
    env: {IN_SHELL: service, IN_LOCAL: service, IN_DOTENV: service, IN_SERVICE: service, SEARCH: "mine:${SEARCH}", COPY: "${IN_LOCAL}/${ALL}"}
  api: {kind: gateway, command: x, port: 3001, env: {PORT: 3009}}
env: {IN_SHELL: all, IN_LOCAL: all, IN_DOTENV: all, IN_SERVICE: all, ALL: all, EMPTY: all}
`)
	w, err := workspace.Load(filepath.Join(dir, "msctl.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for service, want := range map[string]map[string]string{
		"orders": {
			"IN_SHELL": "shell", "IN_LOCAL": "local", "IN_DOTENV": "dotenv", "IN_SERVICE": "service", "ALL": "all", "EMPTY": "", "SEARCH": "mine:shell",
			"COPY": "local/all", "PORT": "3003", "MS_PORT": "3003", "ITEMS_URL": "tcp://shell:1",
		},
		"api": {"PORT": "3009", "MS_PORT": "3001", "IN_SERVICE": "all", "SEARCH": "shell"},
	} {
		got := map[string]string{}
		for _, entry := range append(peers(w, w.Service(service), nil), environment(w, w.Service(service), false)...) {
			name, value, _ := strings.Cut(entry, "=")
			got[name] = value
		}
		for name, value := range want {
			if got[name] != value {
				t.Errorf("%s: %s=%q, want %q", service, name, got[name], value)
			}
		}
	}
	if address, from := w.Broker(workspace.RabbitMQ, nil, w.Getenv); address != "amqp://local" || from != "RABBITMQ_URL" {
		t.Errorf("broker %s from %s", address, from)
	}
	notes := overridden(w, plan(Options{Workspace: w}))
	want := []string{"variables of .env or .env.local override those in msctl.yaml: IN_DOTENV, IN_LOCAL", "variables of the environment override those in msctl.yaml: EMPTY, IN_SHELL"}
	if diff := cmp.Diff(want, notes); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
}
