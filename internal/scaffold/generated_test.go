package scaffold

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/openapi"
	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/gateway/auth"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/principal"
)

// goTool runs the go command, or another one, in dir.
func goTool(t *testing.T, dir string, env []string, command ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), append(testenv.WorkspaceBuild(), env...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, out)
	}
	return string(out)
}

// TestGenerated makes the default workspace, adds a service and a handler to it,
// and checks the result as a user would: it is formatted and vetted, its
// services build without a network and with an empty module cache and import
// nothing but the standard library and the runtime, its own tests pass with the
// race detector, and it runs: every message through HTTP, and one through orders
// to items.
func TestGenerated(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs a whole workspace")
	}
	dir := t.TempDir()
	makeShop(t, dir)
	addTo(t, dir)

	if out := goTool(t, dir, nil, "gofmt", "-l", "apps", "contracts", "internal", "third_party"); out != "" {
		t.Errorf("not gofmt'd:\n%s", out)
	}
	offline := testenv.OfflineBuild(filepath.Join(t.TempDir(), "empty"))
	for _, service := range []string{"items", "orders", "payments"} {
		goTool(t, dir, offline, "go", "build", "-o", filepath.Join(dir, "bin", service+exe()), "./apps/"+service)
		deps := goTool(t, dir, offline, "go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "./apps/"+service)
		for path := range strings.FieldsSeq(deps) {
			if !strings.HasPrefix(path, "shop/") && !isCore(path) {
				t.Errorf("%s imports %s", service, path)
			}
		}
	}
	goTool(t, dir, nil, "go", "build", "-o", filepath.Join(dir, "bin", "gateway"+exe()), "./apps/gateway")
	goTool(t, dir, nil, "go", "vet", "./...")
	t.Log(goTool(t, dir, nil, "go", "test", "-race", "./..."))
	openedRoutesAreNoticed(t, dir)
	runShop(t, dir)
}

// openedRoutesAreNoticed checks that the workspace's own test fails if a route is opened, or if
// one that deletes is for all users.
func openedRoutesAreNoticed(t *testing.T, dir string) {
	t.Helper()
	const name = "apps/gateway/items_routes.go"
	before := tree(t, dir)[name]
	for old, changed := range map[string]string{
		`gateway.WithSummary("List items, oldest`: `gateway.WithPublic(), gateway.WithSummary("List items, oldest`,
		`, gateway.WithRoles("admin")`:            ``,
	} {
		text := strings.Replace(before, old, changed, 1)
		if text == before {
			t.Fatalf("%s does not contain %s", name, old)
		}
		put(t, dir, name, text)
		cmd := exec.CommandContext(t.Context(), "go", "test", "-run", "TestRoutesAreClosed", "./apps/gateway")
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), testenv.WorkspaceBuild()...)
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "--- FAIL: TestRoutesAreClosed") {
			t.Errorf("with %s, the test of the workspace passes: %v\n%s", changed, err, out)
		}
	}
	put(t, dir, name, before)
}

// isCore reports whether a package is one that needs only the standard library.
func isCore(path string) bool {
	name := strings.TrimPrefix(path, runtimeModule+"/runtime/")
	return name != path && (strings.HasPrefix(name, "micro") || strings.HasPrefix(name, "internal/") || name == "wire" || name == "policy" || name == "principal" || name == "probe" || name == "validate" || name == "page" || name == "tap")
}

func exe() string {
	if runtime.GOOS == "windows" {
		return ".exe"
	}
	return ""
}

// makeShop writes the default workspace.
func makeShop(t *testing.T, dir string) {
	t.Helper()
	makeWorkspace(t, dir, shop())
}

func makeWorkspace(t *testing.T, dir string, w Workspace) {
	t.Helper()
	files, err := w.Files()
	if err != nil {
		t.Fatal(err)
	}
	if err := write(t, dir, false, files...); err != nil {
		t.Fatal(err)
	}
}

// addTo adds a service, and a handler with a route.
func addTo(t *testing.T, dir string) {
	t.Helper()
	d := open(t, dir)
	r, err := d.NewService(Service{Name: "payments", Port: d.NextPort()})
	if err != nil || r.ByHand != nil {
		t.Fatal(err, r.ByHand)
	}
	if err := write(t, dir, false, r.Files...); err != nil {
		t.Fatal(err)
	}
	for _, h := range []Handler{
		{Name: "archiveItem", Route: "POST /items/{id}/archive"},
		{Name: "forget", Route: "DELETE /items/{id}/history"},
		{Name: "findAll"}, {Service: "orders", Name: "findAll"}, // the same message in two services
		{Name: "restocked", Kind: Event, Pattern: micro.Name("item.v1.restocked"), Route: "POST /items/{itemId}/stock"},
		{Name: "items", Kind: Stream, Pattern: micro.Fields(map[string]any{"cmd": "watch", "v": 2, "of": map[string]any{"a": true}}), Route: "GET /items/changes"},
	} {
		h.Service = cmp.Or(h.Service, "items")
		r, _, err := open(t, dir).NewHandler(h)
		if err != nil || r.ByHand != nil {
			t.Fatal(err, r.ByHand)
		}
		if err := write(t, dir, false, r.Files...); err != nil {
			t.Fatal(err)
		}
	}
}

func open(t *testing.T, dir string) *Dir {
	t.Helper()
	d, err := Open(filepath.Join(dir, "msctl.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// start runs a program until the test ends, then asks it to stop and wants it to
// leave with 0.
func start(t *testing.T, dir, name string, env ...string) *testenv.Log {
	t.Helper()
	said := &testenv.Log{}
	cmd := exec.Command(filepath.Join(dir, "bin", name+exe()))
	cmd.Dir, cmd.Stderr, cmd.Stdout = dir, said, said
	cmd.Env = append(os.Environ(), append(runSettings(), env...)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		kill := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
		if runtime.GOOS == "windows" {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			return
		}
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if t.Failed() {
			t.Logf("output of %s:\n%s", name, said)
		}
	})
	return said
}

// runSettings are those that `msctl run` takes from msctl.yaml.
func runSettings() []string {
	return []string{
		"LOG_LEVEL=debug", "LOG_FORMAT=json", "AUTH_ISSUER=msctl", "AUTH_AUDIENCE=shop",
		"AUTH_SECRET=" + testSecrets().Tokens, "PRINCIPAL_SECRET=" + testSecrets().Principals,
	}
}

// client speaks HTTP to the gateway, with a token unless it is empty.
type client struct {
	t     *testing.T
	base  string
	token string
}

// administrator returns a client of the gateway on a port.
func administrator(t *testing.T, port string) client {
	t.Helper()
	return client{t, "http://127.0.0.1:" + port, tokenFor(t, &principal.Principal{Subject: "grace", Roles: []string{"admin"}})}
}

// tokenFor returns a token that a gateway with these settings accepts.
func tokenFor(t *testing.T, p *principal.Principal) string {
	t.Helper()
	text, err := auth.TokenConfig{Issuer: "msctl", Audience: "shop", Secrets: [][]byte{[]byte(testSecrets().Tokens)}}.Sign(p)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (c client) do(method, path, body string) (int, map[string]any) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.base+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	req.Header.Set("X-Correlation-Id", "test-"+strings.ToLower(method)+"-1")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	var out map[string]any
	if len(text) > 0 && text[0] == '[' {
		var list []any
		err = json.Unmarshal(text, &list)
		out = map[string]any{"length": len(list)}
	} else if len(text) > 0 {
		err = json.Unmarshal(text, &out)
	}
	if err != nil {
		c.t.Fatalf("%s %s: %v in %s", method, path, err, text)
	}
	return res.StatusCode, out
}

func (c client) want(status int, method, path, body string, members ...any) {
	c.t.Helper()
	got, out := c.do(method, path, body)
	if got != status {
		c.t.Errorf("%s %s: status %d, want %d: %v", method, path, got, status, out)
	}
	for i := 0; i+1 < len(members); i += 2 {
		if fmt.Sprint(out[members[i].(string)]) != fmt.Sprint(members[i+1]) {
			c.t.Errorf("%s %s: %v is %v, want %v", method, path, members[i], out[members[i].(string)], members[i+1])
		}
	}
}

// create creates something and returns its ID.
func (c client) create(path, body string) string {
	c.t.Helper()
	status, out := c.do("POST", path, body)
	id, ok := out["id"].(string)
	if status != 201 || !ok || id == "" {
		c.t.Fatalf("POST %s: %d %v", path, status, out)
	}
	return id
}

// eventually waits until ok returns true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	testenv.Eventually(t, 20*time.Second, what, ok)
}

// runShop starts the programs and speaks to them.
func runShop(t *testing.T, dir string) {
	t.Helper()
	items, orders, payments, port := testenv.Port(t), testenv.Port(t), testenv.Port(t), testenv.Port(t)
	urls := []string{"ITEMS_URL=tcp://127.0.0.1:" + items, "ORDERS_URL=tcp://127.0.0.1:" + orders, "PAYMENTS_URL=tcp://127.0.0.1:" + payments}
	itemsLog := start(t, dir, "items", "MS_PORT="+items)
	ordersLog := start(t, dir, "orders", append(slices.Clone(urls), "MS_PORT="+orders)...)
	start(t, dir, "payments", "MS_PORT="+payments)
	start(t, dir, "gateway", append(slices.Clone(urls), "PORT="+port, "MS_PORT=1")...)
	c := administrator(t, port)
	eventually(t, "GET /health is ok", func() bool { status, _ := c.do("GET", "/health", ""); return status == 200 })

	widget := c.create("/items", `{"name":"Widget","price":9.99,"tags":["garden"]}`)
	c.create("/items", `{"name":"Lamp","price":20}`)
	c.want(200, "GET", "/items", "", "length", 2)
	c.want(200, "GET", "/items?search=lamp&limit=5", "", "length", 1)
	c.want(200, "GET", "/items/"+widget, "", "price", 9.99, "version", nil)
	c.want(200, "PATCH", "/items/"+widget, `{"price":12.5}`, "price", 12.5, "name", "Widget", "version", nil)
	c.want(400, "POST", "/items", `{"name":"","color":"red"}`, "message",
		"[property color should not exist name should not be empty price must not be less than 0 price must be a number conforming to the specified constraints]")
	c.want(404, "GET", "/items/9", "", "message", "Item with ID 9 not found")
	c.want(404, "GET", "/nowhere", "", "message", "Cannot GET /nowhere")

	c.want(201, "POST", "/orders", `{"itemId":"`+widget+`","quantity":2}`, "total", 25, "itemName", "Widget")
	c.want(422, "POST", "/orders", `{"itemId":"9","quantity":2}`, "message", "Item with ID 9 does not exist")
	c.want(200, "GET", "/orders", "", "length", 1)
	c.want(202, "POST", "/items/"+widget+"/views", "")
	eventually(t, "items counts what was sold and seen", func() bool {
		_, item := c.do("GET", "/items/"+widget, "")
		return fmt.Sprint(item["sold"], item["views"]) == "2 1"
	})
	for name, said := range map[string]*testenv.Log{"orders": ordersLog, "items": itemsLog} {
		eventually(t, name+" logs the correlation id of the HTTP request", func() bool {
			return strings.Contains(said.String(), `"correlation_id":"test-post-1"`)
		})
	}
	c.want(201, "POST", "/items/1/archive", "", "id", "1")
	c.want(202, "POST", "/items/1/stock", "")
	c.want(200, "GET", "/items/changes?name=Ada", "", "length", 1)
	c.want(200, "GET", "/payments/hello?name=Ada", "", "message", "Hello Ada")
	runClosed(t, c, widget)
	c.want(200, "DELETE", "/items/"+widget, "", "name", "Widget")
	c.want(404, "GET", "/items/"+widget, "")
	c.wantDocument()
}

// wantDocument checks the OpenAPI document of the gateway.
func (c client) wantDocument() {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodGet, c.base+"/api-json", nil)
	if err != nil {
		c.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil {
		err = openapi.Check(c.t.Context(), text)
	}
	if err != nil {
		c.t.Errorf("the OpenAPI document: %v\n%s", err, text)
	}
}

// runClosed checks which callers the gateway admits to an item.
func runClosed(t *testing.T, admin client, item string) {
	t.Helper()
	anonymous, user, expired := client{t: t, base: admin.base}, admin, admin
	user.token = tokenFor(t, &principal.Principal{Subject: "ada"})
	expired.token = tokenFor(t, &principal.Principal{Subject: "grace", Roles: []string{"admin"}, Expires: time.Now().Add(-time.Hour)})
	broken := client{t, admin.base, admin.token[:len(admin.token)-2]}
	for name, c := range map[string]client{"anonymous": anonymous, "expired": expired, "broken": broken} {
		for _, route := range []string{"GET /items", "GET /items/1", "GET /orders", "GET /payments/hello", "POST /items/1/archive", "POST /items/1/views", "GET /items/changes", "DELETE /items/1"} {
			method, path, _ := strings.Cut(route, " ")
			if status, answer := c.do(method, path, ""); status != 401 || answer["message"] != "Unauthorized" {
				t.Errorf("%s, %s: %d %v", name, route, status, answer)
			}
		}
		c.want(200, "GET", "/health", "")
	}
	user.want(200, "GET", "/items/"+item, "")
	user.want(201, "POST", "/orders", `{"itemId":"`+item+`","quantity":2}`)
	user.want(403, "DELETE", "/items/"+item, "", "message", "Forbidden resource")
}
