package proc

import (
	"strings"
	"testing"
	"time"

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
			"MS_HOST": "127.0.0.1", "MS_PORT": "3002", "PORT": "3002", "GREETING": "mine", "LOG_LEVEL": "debug",
			"GATEWAY_URL": "http://127.0.0.1:3001", "MAIL_OUT_URL": "tcp://elsewhere:1", "API_URL": "http://localhost:3009", "NO_COLOR": "1", "FORCE_COLOR": "", "MSCTL_LISTENERS": "",
		},
		"gateway":  {"MAIL_OUT_URL": "tcp://[::1]:3010", "ITEMS_URL": "tcp://127.0.0.1:3002"},
		"mail-out": {"MS_HOST": "0.0.0.0", "PORT": "3010", "GREETING": "for all", "ITEMS_URL": "tcp://127.0.0.1:3002", "MAIL_OUT_URL": ""},
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
