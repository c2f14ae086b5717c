package guide_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/scaffold"
	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/internal/test/workspaces"
	"github.com/msctl/msctl/internal/workspace"
	"github.com/msctl/msctl/runtime/gateway/auth"
	"github.com/msctl/msctl/runtime/principal"
)

// maker is who has made a program.
type maker string

const (
	nestJS maker = "NestJS"
	ours   maker = "msctl"
)

// system is a gateway with the service that it calls.
type system struct {
	gateway, service maker
	addr             string // of the gateway
}

func (s system) String() string { return fmt.Sprintf("gateway %s, service %s", s.gateway, s.service) }

// script returns a script for the system's gateway.
func (s system) script() *script {
	return &script{addr: s.addr, ids: map[string]string{}, tokens: tokens(), client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
}

// callTimeout is long enough for a busy machine, because it applies to all requests.
const callTimeout = 10 * time.Second

// What both gateways are configured with.
var (
	tokenSecret     = strings.Repeat("token-", 6)
	principalSecret = strings.Repeat("principal-", 4)
)

// tokens returns bearer tokens by caller.
func tokens() map[string]string {
	config := auth.TokenConfig{Issuer: "msctl", Audience: "shop", Secrets: [][]byte{[]byte(tokenSecret)}}
	all := map[string]string{}
	for _, role := range []string{"user", "admin"} {
		token, err := config.Sign(&principal.Principal{Subject: "ada", Roles: []string{role}})
		if err != nil {
			panic(err) // a valid configuration
		}
		all[role] = token
	}
	return all
}

// lab has both gateways in front of one address or queue, where one service after the other receives messages.
type lab struct {
	t         *testing.T
	transport string // tcp or rabbitmq
	dir       string // of the generated workspace
	broker    string // URL of RabbitMQ

	items, orders string           // ports of the services
	gateways      map[maker]string // addresses
}

// startLab starts both gateways, and our service orders.
func startLab(t *testing.T, transport string) *lab {
	t.Helper()
	testenv.NeedNest(t, testenv.NestApps)
	l := &lab{t: t, transport: transport, gateways: map[maker]string{}, items: testenv.Port(t), orders: testenv.Port(t)}
	if transport == "rabbitmq" {
		l.broker = testenv.PrivateRabbitMQ(t).URL
	}
	l.build()
	l.gateways[nestJS] = l.startNest("gateway", map[string]string{
		"MS_ONE_HOST": "127.0.0.1", "MS_ONE_PORT": l.items, "MS_ONE_QUEUE": l.queue("items"),
		"MS_THREE_HOST": "127.0.0.1", "MS_THREE_PORT": l.orders, "MS_THREE_QUEUE": l.queue("orders"), "HEALTH": "items,orders",
		"JWT_SECRET": tokenSecret, "CALL_TIMEOUT": strconv.FormatInt(callTimeout.Milliseconds(), 10), "RATE_LIMIT": "1000000",
	}).Addr
	port := testenv.Port(t)
	l.gateways[ours] = "127.0.0.1:" + port
	l.start("gateway", "PORT="+port, "REQUEST_TIMEOUT="+callTimeout.String(), "AUTH_ISSUER=msctl", "AUTH_AUDIENCE=shop", "AUTH_SECRET="+tokenSecret,
		"MS_ONE_HOST=127.0.0.1", "MS_ONE_PORT="+l.items, "MS_TWO_HOST=127.0.0.1", "MS_TWO_PORT="+l.orders)
	l.start("orders", "MS_PORT="+l.orders, "ITEMS_URL=tcp://127.0.0.1:"+l.items)
	return l
}

// queue returns the name of a service's queue, or "" over TCP.
func (l *lab) queue(service string) string {
	if l.broker == "" {
		return ""
	}
	return service
}

// systems returns both gateways with a service, NestJS's first.
func (l *lab) systems(service maker) []system {
	return []system{{nestJS, service, l.gateways[nestJS]}, {ours, service, l.gateways[ours]}}
}

// startService starts a service with items, waits until both gateways reach it, and returns a function that ends it.
func (l *lab) startService(of maker) (end func()) {
	l.t.Helper()
	if of == ours {
		end = l.start("items", "MS_PORT="+l.items)
	} else {
		end = l.startNest("items", map[string]string{
			"FAIL_ON": failingName, "HANG_ON": hangingID, "MS_HOST": "127.0.0.1", "MS_PORT": l.items, "MS_QUEUE": l.queue("items"),
		}).Stop
	}
	for _, s := range l.systems(of) {
		testenv.Eventually(l.t, limit, s.String()+" is ready", func() bool {
			got, err := s.script().send(l.t.Context(), row{target: "GET /items", caller: "user"})
			return err == nil && got.status == http.StatusOK
		})
	}
	return end
}

// startNest starts a program of testdata/nest/guide.
func (l *lab) startNest(program string, env map[string]string) *testenv.NestServer {
	l.t.Helper()
	env["RABBITMQ_URL"] = l.broker
	server, err := testenv.StartGuide(program, env)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() {
		server.Stop()
		if l.t.Failed() {
			l.t.Logf("errors of %s of NestJS:\n%s", program, server.Log())
		}
	})
	return server
}

// start starts a program of the workspace, and returns a function that ends it.
func (l *lab) start(name string, env ...string) (end func()) {
	said := &testenv.Log{}
	cmd := exec.CommandContext(context.Background(), filepath.Join(l.dir, "bin", name+exe())) //nolint:gosec // built by this test
	cmd.Dir, cmd.Stdout, cmd.Stderr = l.t.TempDir(), said, said
	cmd.Env = append(os.Environ(), append([]string{"MS_HOST=127.0.0.1", "PRINCIPAL_SECRET=" + principalSecret, "RABBITMQ_URL=" + l.broker}, env...)...)
	if err := cmd.Start(); err != nil {
		l.t.Error(err)
		return func() {}
	}
	end = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		killed := time.AfterFunc(limit, func() { _ = cmd.Process.Kill() })
		defer killed.Stop()
		_ = cmd.Wait()
		if l.t.Failed() {
			l.t.Logf("output of %s:\n%s", name, said)
		}
	})
	l.t.Cleanup(end)
	return end
}

func exe() string {
	if runtime.GOOS == "windows" {
		return ".exe"
	}
	return ""
}

// build writes a workspace, in which a handler of items can fail and hang as that of NestJS can, and builds its programs.
func (l *lab) build() {
	t := l.t
	t.Helper()
	l.dir = t.TempDir()
	w := scaffold.Workspace{Name: "shop", Version: "test", Services: scaffold.DefaultServices(scaffold.DefaultGatewayPort)}
	if l.transport == "rabbitmq" {
		w.Services = []scaffold.Service{{Name: "items", Transport: workspace.RabbitMQ}, {Name: "orders", Transport: workspace.RabbitMQ}}
	}
	files, err := w.Files()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		path := filepath.Join(l.dir, filepath.FromSlash(f.Path))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, edited(t, f), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	workspaces.Build(t, l.dir, "...")
}

var (
	createItem  = regexp.MustCompile(`func \(s \*service\) createItem\(.*\{\n`)
	findOneItem = regexp.MustCompile(`func \(s \*service\) findOneItem\(.*\{\n`)
)

// edited returns the text of a file, after what a developer changes in it for this test.
func edited(t *testing.T, f scaffold.File) []byte {
	t.Helper()
	text := string(f.Data)
	if f.Path == "apps/items/service.go" {
		before := text
		text = createItem.ReplaceAllString(text, "${0}\tif in.Name == \""+failingName+"\" {\n\t\treturn items.Item{}, errors.New(\"disk full\")\n\t}\n")
		text = findOneItem.ReplaceAllString(text, "${0}\tif in.ID == \""+hangingID+"\" {\n\t\t<-ctx.Done()\n\t\treturn items.Item{}, ctx.Err()\n\t}\n")
		if len(text) < len(before)+100 {
			t.Fatalf("%s has other handlers", f.Path)
		}
	}
	return []byte(text)
}
