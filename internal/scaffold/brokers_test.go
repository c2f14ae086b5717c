package scaffold

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/module"

	"github.com/msctl/msctl"
	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/internal/workspace"
)

// mixed is a workspace whose services use all transports, and which call across
// them.
func mixed() Workspace {
	return Workspace{Name: "shop", Version: "test", Services: []Service{
		{Name: "items", Transport: workspace.Redis},
		{Name: "orders", Transport: workspace.NATS},
		{Name: "mail", Transport: workspace.RabbitMQ},
		{Name: "payments", Port: 3010},
	}}
}

// TestGeneratedOnBrokers: whatever transports the services use, their code is
// formatted and vetted, with its tests.
func TestGeneratedOnBrokers(t *testing.T) {
	if testing.Short() {
		t.Skip("builds whole workspaces")
	}
	rabbit, redis, nats := workspace.RabbitMQ, workspace.Redis, workspace.NATS
	for _, services := range [][]Service{
		{{Name: "items", Transport: rabbit}, {Name: "orders", Transport: rabbit}, {Name: "mail-out", Transport: rabbit}},
		{{Name: "items", Transport: redis}, {Name: "orders", Transport: redis}, {Name: "mail-out", Transport: redis}},
		{{Name: "items", Transport: nats}, {Name: "orders", Transport: nats}, {Name: "mail-out", Transport: nats}},
		{{Name: "items", Transport: rabbit}, {Name: "orders", Port: 3003}},
		{{Name: "items", Port: 3002}, {Name: "orders", Transport: redis}},
		{{Name: "mail-out", Transport: nats}},
	} {
		dir := t.TempDir()
		makeWorkspace(t, dir, Workspace{Name: "shop", Version: "test", Services: services})
		if last := services[len(services)-1]; last.Transport == rabbit {
			addWebhook(t, dir)
		}
		formatted(t, dir)
		goTool(t, dir, nil, "go", "vet", "./...")
		if t.Failed() {
			t.Fatalf("with %v", services)
		}
	}
}

// addWebhook adds the code in the comment of a worker's routes to the gateway of a workspace, and what
// `go mod tidy` would then add to its requirements.
func addWebhook(t *testing.T, dir string) {
	t.Helper()
	routes, err := os.ReadFile(filepath.Join(dir, "apps", "gateway", "mailout_routes.go"))
	if err != nil {
		t.Fatal(err)
	}
	code, imports := "", ""
	for line := range strings.Lines(string(routes)) {
		if commented, ok := strings.CutPrefix(line, "//\t"); ok {
			code += "\t" + commented
		}
		if strings.Contains(line, "/contracts/") {
			imports = line
		}
	}
	if !strings.Contains(code, "gateway.Webhook(") {
		t.Fatalf("no webhook in the comment of %s", routes)
	}
	code = "package main\n\nimport (\n\t\"os\"\n\n" + imports + `
	"github.com/msctl/msctl/runtime/gateway"
	"github.com/msctl/msctl/runtime/gateway/webhook"
	"github.com/msctl/msctl/runtime/micro"
)

func webhooks(gw *gateway.Gateway, client *micro.Client) {
` + code + `}

var _ = webhooks
`
	if err := os.WriteFile(filepath.Join(dir, "apps", "gateway", "webhooks.go"), []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}
	ours, err := fs.ReadFile(msctl.Root(), "go.sum")
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := os.ReadFile(filepath.Join(dir, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(ours)) {
		if strings.HasPrefix(line, "github.com/standard-webhooks/") {
			theirs = append(theirs, line...)
			words := strings.Fields(line)
			goTool(t, dir, nil, "go", "mod", "edit", "-require="+words[0]+"@"+strings.TrimSuffix(words[1], "/go.mod"))
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "go.sum"), theirs, 0o600); err != nil {
		t.Fatal(err)
	}
}

func formatted(t *testing.T, dir string) {
	t.Helper()
	if out := goTool(t, dir, nil, "gofmt", "-l", "apps", "contracts", "internal", "third_party"); out != "" {
		t.Errorf("not gofmt'd:\n%s", out)
	}
}

// TestGeneratedMix: a workspace that uses all transports passes its tests without
// a broker, and speaks through real ones. A service on TCP needs no driver.
func TestGeneratedMix(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs a whole workspace")
	}
	dir := t.TempDir()
	makeWorkspace(t, dir, mixed())
	formatted(t, dir)
	goTool(t, dir, testenv.OfflineBuild(filepath.Join(t.TempDir(), "empty")), "go", "build", "-o", filepath.Join(dir, "bin", "payments"+exe()), "./apps/payments")
	goTool(t, dir, nil, "go", "build", "-o", filepath.Join(dir, "bin")+string(filepath.Separator), "./apps/...")
	goTool(t, dir, nil, "go", "vet", "./...")
	t.Log(goTool(t, dir, nil, "go", "test", "./apps/gateway", "./apps/orders", "./apps/mail", "./internal/config"))
	runMix(t, dir)
}

// runMix starts the programs of mixed and speaks to them.
func runMix(t *testing.T, dir string) {
	t.Helper()
	payments, port := testenv.Port(t), testenv.Port(t)
	brokers := []string{"RABBITMQ_URL=" + testenv.PrivateRabbitMQ(t).URL, "REDIS_URL=" + testenv.PrivateRedis(t).URL, "NATS_URL=" + testenv.PrivateNATS(t).URL}
	ordersLog := start(t, dir, "orders", brokers...)
	mailLog := start(t, dir, "mail", brokers...)
	start(t, dir, "items", brokers...)
	start(t, dir, "payments", "MS_PORT="+payments)
	start(t, dir, "gateway", append(slices.Clone(brokers), "PAYMENTS_URL=tcp://127.0.0.1:"+payments, "PORT="+port)...)
	c := administrator(t, port)
	eventually(t, "GET /health is ok", func() bool { status, _ := c.do("GET", "/health", ""); return status == 200 })

	widget := c.create("/items", `{"name":"Widget","price":9.99}`)
	c.want(201, "POST", "/orders", `{"itemId":"`+widget+`","quantity":2}`, "total", 19.98, "itemName", "Widget")
	c.want(422, "POST", "/orders", `{"itemId":"9","quantity":2}`, "message", "Item with ID 9 does not exist")
	eventually(t, "items counts what was sold", func() bool {
		_, item := c.do("GET", "/items/"+widget, "")
		return fmt.Sprint(item["sold"]) == "2"
	})
	c.want(202, "POST", "/mail/hello", `{"name":"Ada"}`)
	c.want(400, "POST", "/mail/hello", `{"name":""}`)
	eventually(t, "mail handles the event", func() bool { return strings.Contains(mailLog.String(), `"msg":"hello","service":"mail","name":"Ada"`) })
	c.want(200, "GET", "/payments/hello?name=Ada", "", "message", "Hello Ada")
	c.wantDocument()
	eventually(t, "orders logs the correlation id of the HTTP request", func() bool {
		return strings.Contains(ordersLog.String(), `"correlation_id":"test-post-1"`)
	})
}

// TestBrokersAddedToOneOnTCP: a workspace that had no broker gets everything that
// it needs with the first service on one, and is as one that was made with it.
func TestBrokersAddedToOneOnTCP(t *testing.T) {
	dir, whole := t.TempDir(), t.TempDir()
	makeShop(t, dir)
	w := shop()
	for _, transport := range workspace.Brokers() {
		for _, name := range []string{"on-" + string(transport), "more-" + string(transport)} {
			s := Service{Name: name, Transport: transport}
			w.Services = append(w.Services, s)
			d := open(t, dir)
			d.Version = "test"
			r, err := d.NewService(s)
			if err != nil || r.ByHand != nil {
				t.Fatal(err, r.ByHand)
			}
			if err := write(t, dir, false, r.Files...); err != nil {
				t.Fatal(err)
			}
		}
	}
	makeWorkspace(t, whole, w)
	got, want := tree(t, dir), tree(t, whole)
	// The parts of documentation may be in a different order; go.sum keeps the entries for
	// tests of earlier modules.
	for _, name := range []string{"README.md", ".env.example", "compose.yaml", "msctl.yaml", "go.sum", recordFile, archiveFile} {
		for line := range strings.Lines(want[name]) {
			if !strings.Contains(got[name], strings.TrimSpace(line)) && name != "README.md" && name != recordFile && name != archiveFile {
				t.Errorf("%s lacks %q", name, line)
			}
		}
		delete(got, name)
		delete(want, name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-made at once +added):\n%s", diff)
	}
}

// TestBrokersByHand: msctl leaves files that it does not recognize alone, and prints
// the change to make.
func TestBrokersByHand(t *testing.T) {
	for _, test := range []struct{ name, text, now, want string }{
		{"apps/gateway/gateway.go", "type transport struct", "type channel struct", "the gateway in apps/gateway was created by an older msctl"},
		{"go.mod", "require", "// require", "run `go mod tidy`"},
		{"compose.yaml", "services:", "services: &all", "add service mail and RabbitMQ by hand, and RABBITMQ_URL=amqp://app@rabbitmq:5672"},
		{"third_party/msctl/go.mod", "", "", "run `go mod tidy` for the driver of RabbitMQ"},
	} {
		dir := t.TempDir()
		makeShop(t, dir)
		path := filepath.Join(dir, filepath.FromSlash(test.name))
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(text), test.text, test.now)), 0o644); err != nil {
			t.Fatal(err)
		}
		if test.text == "" {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
		r, err := open(t, dir).NewService(Service{Name: "mail", Transport: workspace.RabbitMQ})
		if err != nil || len(r.ByHand) != 1 || !strings.Contains(r.ByHand[0], test.want) {
			t.Errorf("%s: by hand %q, %v", test.name, r.ByHand, err)
		}
		for _, f := range r.Files {
			if f.Path == test.name {
				t.Errorf("%s was touched", test.name)
			}
		}
	}
}

// TestRequirements: an edited go.mod keeps its lines and comments, and gets the missing
// requirements.
func TestRequirements(t *testing.T) {
	modules := []module.Version{{Path: "example.com/b", Version: "v1.10.0"}, {Path: "example.com/d", Version: "v0.2.0"}}
	for _, test := range []struct{ name, before, after string }{
		{"missing", "module m\n\nrequire (\n\texample.com/a v1.0.0\n\texample.com/c v1.0.0 // indirect\n)\n",
			"module m\n\nrequire (\n\texample.com/a v1.0.0\n\texample.com/b v1.10.0 // indirect\n\texample.com/c v1.0.0 // indirect\n\texample.com/d v0.2.0 // indirect\n)\n"},
		{"older", "module m\n\nrequire (\n\texample.com/b v1.9.1 // mine\n\texample.com/d v0.2.0-rc.1 // indirect\n)\n",
			"module m\n\nrequire (\n\texample.com/b v1.10.0 // mine\n\texample.com/d v0.2.0 // indirect\n)\n"},
		{"newer", "module m\n\nrequire example.com/b v1.10.1\n\nrequire (\n\texample.com/d v0.2.1-0.20250101000000-abcdefabcdef\n)\n",
			"module m\n\nrequire example.com/b v1.10.1\n\nrequire (\n\texample.com/d v0.2.1-0.20250101000000-abcdefabcdef\n)\n"},
	} {
		got, err := addRequires([]byte(test.before), modules)
		if err != nil || string(got) != test.after {
			t.Errorf("%s: %v\n%s", test.name, err, cmp.Diff(test.after, string(got)))
		}
	}
	if _, err := addRequires([]byte("module m\n\nrequire )\n"), modules); err == nil {
		t.Error("an invalid go.mod is edited")
	}
}

// TestComposeOfBrokers: every broker's entry is what compose takes, with a health
// check, a profile, a password in a file, and no port.
func TestComposeOfBrokers(t *testing.T) {
	for _, b := range brokersOf(workspace.Brokers()...) {
		text, err := b.Compose()
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{"  " + b.Name() + ":\n", "    image: " + b.Name() + ":", "    healthcheck:\n", "    profiles: [" + b.Name() + "]\n", "    secrets: [" + b.Name() + "]\n", "$$(cat /run/secrets/" + b.Name() + ")"} {
			if !strings.Contains(text, part) {
				t.Errorf("%s lacks %q:\n%s", b.Name(), part, text)
			}
		}
		if strings.Contains(text, "ports:") {
			t.Errorf("%s publishes a port:\n%s", b.Name(), text)
		}
	}
}

// TestComposeHangsTogether: what compose.yaml names is there.
func TestComposeHangsTogether(t *testing.T) {
	for name, w := range samples(t) {
		var file struct {
			Services map[string]struct {
				DependsOn any `yaml:"depends_on"`
				Volumes   []string
			}
			Volumes map[string]any
		}
		if err := yaml.Unmarshal(rendered(t, w)["compose.yaml"].Data, &file); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for service, s := range file.Services {
			for _, needed := range names(s.DependsOn) {
				if _, ok := file.Services[needed]; !ok {
					t.Errorf("%s: %s depends on %s, which does not exist", name, service, needed)
				}
			}
			for _, v := range s.Volumes {
				volume, _, _ := strings.Cut(v, ":")
				if _, ok := file.Volumes[volume]; !ok {
					t.Errorf("%s: the volume %s of %s is not declared", name, volume, service)
				}
			}
		}
		if want := len(w.Services) + 1 + len(brokersOf(transports(w)...)); len(file.Services) != want {
			t.Errorf("%s: %d services, want %d", name, len(file.Services), want)
		}
	}
}

func transports(w Workspace) (list []workspace.Transport) {
	for _, s := range w.Services {
		list = append(list, s.Transport)
	}
	return list
}

// names are those of a list or of a mapping.
func names(node any) (list []string) {
	switch node := node.(type) {
	case []any:
		for _, name := range node {
			list = append(list, fmt.Sprint(name))
		}
	case map[string]any:
		for name := range node {
			list = append(list, name)
		}
	}
	return list
}
