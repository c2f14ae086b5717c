package attack_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/scaffold"
	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/internal/test/workspaces"
)

// TestGeneratedGateway attacks the gateway of a workspace as `msctl new` writes it, with the keys of an issuer.
func TestGeneratedGateway(t *testing.T) {
	if testing.Short() || runtime.GOOS == "windows" {
		t.Skip("builds and runs a workspace")
	}
	dir := t.TempDir()
	workspaces.Write(t, dir, scaffold.Workspace{
		Name: "shop", Services: scaffold.DefaultServices(scaffold.DefaultGatewayPort), Version: "test", Secrets: scaffold.Secrets{Tokens: secret, Principals: secret},
	})
	workspaces.Build(t, dir, "items", "gateway")
	evil := startIssuer(t)
	keys := filepath.Join(dir, "keys.json")
	list, err := json.Marshal([]map[string]string{{"name": "machine", "sha256": hashOf(apiKey)}})
	if err == nil {
		err = os.WriteFile(keys, list, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	items, port := testenv.Port(t), testenv.Port(t)
	runProgram(t, dir, "items", "MS_PORT="+items, "PRINCIPAL_SECRET="+secret)
	sign := func(changes map[string]any) string { return evil.token("one", changes) }
	g := &target{addr: net.JoinHostPort("127.0.0.1", port), log: &testenv.Log{}, evil: evil, sign: sign, token: sign(nil)}
	g.log, g.pid = runProgram(t, dir, "gateway", "PORT="+port, "ITEMS_URL=tcp://127.0.0.1:"+items, "ORDERS_URL=tcp://127.0.0.1:1", "PRINCIPAL_SECRET="+secret,
		"AUTH_ISSUER="+otherIssuer, "AUTH_AUDIENCE="+audience, "AUTH_KEYS="+evil.url, "API_KEYS_FILE="+keys, "CORS_ORIGINS=https://shop.example")
	testenv.Eventually(t, limit, "the gateway and items are ready", func() bool { return g.sendGood(http.DefaultClient) == nil })
	http.DefaultClient.CloseIdleConnections()
	g.keepGood(t)
	all := attacks(g)
	if os.Getenv("MSCTL_TEST_ALL") != "" {
		all = append(all, attack{name: "slow bodies", run: attackWithSlowBodies}) // for 30 s
	}
	g.refuse(t, all)
}

// runProgram runs a program of the workspace until the test ends, and returns its log and its process.
func runProgram(t *testing.T, dir, name string, env ...string) (log *testenv.Log, pid int) {
	t.Helper()
	log = &testenv.Log{}
	cmd := exec.Command(filepath.Join(dir, "bin", name))
	cmd.Dir, cmd.Stderr, cmd.Stdout = dir, log, io.Discard
	cmd.Env = append(os.Environ(), append(env, "LOG_FORMAT=json")...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		kill := time.AfterFunc(limit, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Errorf("%s: %v\n%s", name, err, lastLines(log.String()))
		}
	})
	return log, cmd.Process.Pid
}

// lastLines returns the end of a log.
func lastLines(text string) string {
	lines := strings.Split(text, "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}
