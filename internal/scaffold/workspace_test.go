package scaffold

import (
	"go/build/constraint"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/secret"
	"github.com/msctl/msctl/internal/test/golden"
	"github.com/msctl/msctl/internal/workspace"
)

func shop() Workspace {
	return Workspace{Name: "shop", Services: DefaultServices(DefaultGatewayPort), Version: "test", Secrets: testSecrets()}
}

// testSecrets are the same in every run.
func testSecrets() Secrets {
	return Secrets{Tokens: secret.DevelopmentPrefix + strings.Repeat("a", 64), Principals: secret.DevelopmentPrefix + strings.Repeat("b", 64)}
}

func rendered(t *testing.T, w Workspace) map[string]File {
	t.Helper()
	files, err := w.Files()
	if err != nil {
		t.Fatal(err)
	}
	byPath := map[string]File{}
	for _, f := range files {
		if _, twice := byPath[f.Path]; twice {
			t.Errorf("%s is rendered twice", f.Path)
		}
		byPath[f.Path] = f
	}
	return byPath
}

// samples are workspaces that have, together, every file that there is.
func samples(t *testing.T) map[string]Workspace {
	t.Helper()
	return map[string]Workspace{
		"new-files.txt": shop(), "new-files-brokers.txt": onBrokers(workspace.Brokers()...), "new-files-notifications.txt": withNotifications(t),
		"new-files-telemetry.txt": observed(t),
	}
}

// TestFileList holds the lists of files of workspaces to golden files.
func TestFileList(t *testing.T) {
	for name, w := range samples(t) {
		files, err := w.Files()
		if err != nil {
			t.Fatal(err)
		}
		var paths []string
		for _, f := range files {
			if !strings.HasPrefix(f.Path, bundleDir+"/runtime/") {
				paths = append(paths, f.Path)
			}
		}
		got := strings.Join(paths, "\n") + "\n"
		golden.Check(t, filepath.Join("..", "..", "testdata", "golden", name), got)
	}
}

// TestFirstLines checks that the first line of every file states its owner.
func TestFirstLines(t *testing.T) {
	for _, w := range samples(t) {
		for path, f := range rendered(t, w) {
			checkFirstLine(t, path, f)
		}
	}
}

func checkFirstLine(t *testing.T, path string, f File) {
	t.Helper()
	first, _, _ := strings.Cut(string(f.Data), "\n")
	generated := strings.Contains(first, "DO NOT EDIT")
	switch {
	case strings.HasPrefix(path, bundleDir+"/"):
		if filepath.Ext(path) == ".go" && !generated {
			t.Errorf("%s does not say that it is generated: %q", path, first)
		}
	case path == "go.mod", path == "go.sum", path == "README.md":
	case !generated && !strings.Contains(first, "This file is yours to edit"):
		t.Errorf("%s does not say whose it is: %q", path, first)
	}
	if generated && !f.Generated {
		t.Errorf("%s is marked as generated, its File is not", path)
	}
}

// TestManifest checks that the generated msctl.yaml is valid and contains the requested
// services.
func TestManifest(t *testing.T) {
	w := shop()
	w.Services = append(w.Services, Service{Name: "mail-out", Port: 3010},
		Service{Name: "reports", Transport: workspace.RabbitMQ}, Service{Name: "audit", Transport: workspace.NATS}, Service{Name: "cache", Transport: workspace.Redis})
	m, err := workspace.Parse("msctl.yaml", rendered(t, w)["msctl.yaml"].Data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"items", "orders", "mail-out", "reports", "audit", "cache", "gateway"}, m.Names()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"items"}, m.Service("orders").DependsOn); diff != "" {
		t.Error(diff)
	}
	if got := m.Service("mail-out").Port; got != 3010 {
		t.Errorf("port %d", got)
	}
	for name, queue := range map[string]string{"reports": "reports", "audit": "audit", "cache": "", "items": ""} {
		if s := m.Service(name); s.Queue != queue || s.Transport.Broker() != (s.Port == 0) {
			t.Errorf("%s: queue %q, port %d", name, s.Queue, s.Port)
		}
	}
}

// TestConfigurationIsYAML: the files for other programs can be parsed.
func TestConfigurationIsYAML(t *testing.T) {
	files := rendered(t, shop())
	for _, name := range []string{".github/workflows/ci.yaml", ".golangci.yml", "compose.yaml", "msctl.yaml"} {
		var content map[string]any
		if err := yaml.Unmarshal(files[name].Data, &content); err != nil || len(content) < 2 {
			t.Errorf("%s: %v, %v", name, content, err)
		}
	}
	if schema := files[bundleDir+"/msctl.schema.json"]; string(schema.Data) != workspace.Schema() {
		t.Error("the workspace has no schema for editors")
	}
	if !strings.Contains(string(files["msctl.yaml"].Data), "\n# yaml-language-server: $schema="+bundleDir+"/msctl.schema.json\n") {
		t.Error("msctl.yaml does not name the schema")
	}
}

// TestVersions: the generated modules have the versions of our own go.mod, and
// go.sum knows them.
func TestVersions(t *testing.T) {
	own, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	ownSums, err := os.ReadFile("../../go.sum")
	if err != nil {
		t.Fatal(err)
	}
	files := rendered(t, onBrokers(workspace.Brokers()...))
	for _, name := range bundledModules(brokersOf(workspace.Brokers()...)) {
		version := ""
		for line := range strings.Lines(string(own)) {
			if words := strings.Fields(line); len(words) >= 2 && words[0] == name {
				version = words[1]
			}
		}
		for _, path := range []string{"go.mod", bundleDir + "/go.mod"} {
			if !strings.Contains(string(files[path].Data), name+" "+version) {
				t.Errorf("%s does not require %s %s", path, name, version)
			}
		}
		for line := range strings.Lines(string(ownSums)) {
			if strings.HasPrefix(line, name+" "+version+" ") && !strings.Contains(string(files["go.sum"].Data), line) {
				t.Errorf("go.sum does not hold %q", line)
			}
		}
	}
}

// TestBuildConstraintsSurvive: the line that marks a file of the bundle does not
// push its build constraint out of place.
func TestBuildConstraintsSurvive(t *testing.T) {
	found := 0
	for path, f := range rendered(t, shop()) {
		if !strings.HasPrefix(path, bundleDir) || filepath.Ext(path) != ".go" {
			continue
		}
		for line := range strings.Lines(string(f.Data)) {
			if strings.HasPrefix(line, "package ") {
				break
			}
			if constraint.IsGoBuild(strings.TrimSpace(line)) {
				found++
			}
		}
	}
	if found < 2 {
		t.Errorf("%d build constraints in the bundle, want those of the two codecs at least", found)
	}
}

func TestCheck(t *testing.T) {
	for _, test := range []struct {
		name string
		w    Workspace
		want string
	}{
		{"fine", shop(), ""},
		{"name", Workspace{Name: "Shop", Services: DefaultServices(DefaultGatewayPort)}, `invalid name "Shop": must be`},
		{"no services", Workspace{Name: "shop"}, "at least one service"},
		{"port twice", Workspace{Name: "shop", Services: []Service{{Name: "a", Port: 3002}, {Name: "b", Port: 3002}}}, "which is already used by a"},
		{"gateway's port", Workspace{Name: "shop", Services: []Service{{Name: "a", Port: 3001}}}, "which is already used by the gateway"},
		{"taken name", Workspace{Name: "shop", Services: []Service{{Name: "gateway", Port: 3002}}}, "it is the name of the gateway"},
		{"keyword", Workspace{Name: "shop", Services: []Service{{Name: "type", Port: 3002}}}, ""},
		{"same in Go", Workspace{Name: "shop", Services: []Service{{Name: "mail-out", Port: 1}, {Name: "mailout", Port: 2}}}, "have the same name in Go"},
		{"broker", Workspace{Name: "shop", Services: []Service{{Name: "a", Transport: workspace.NATS}, {Name: "b", Transport: workspace.NATS}}}, ""},
		{"broker with a port", Workspace{Name: "shop", Services: []Service{{Name: "a", Transport: workspace.NATS, Port: 3002}}}, "uses NATS and has no port"},
		{"broker's name", Workspace{Name: "shop", Services: []Service{{Name: "redis", Port: 3002}}}, "it is the host of the broker"},
		{"transport", Workspace{Name: "shop", Services: []Service{{Name: "a", Transport: "smoke", Port: 3002}}}, "unknown transport"},
		{"module", Workspace{Name: "shop", Module: "a b", Services: DefaultServices(DefaultGatewayPort)}, "must look like"},
		{"standard library", Workspace{Name: "shop", Module: "net/shop", Services: DefaultServices(DefaultGatewayPort)}, "could be a package of the standard library"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := test.w.Check()
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

func TestNames(t *testing.T) {
	s := Service{Name: "mail-out"}
	got := []string{s.Ident(), s.Title(), s.File(), s.Variable()}
	if want := []string{"mailOut", "MailOut", "mailout", "MAIL_OUT_URL"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for name, want := range map[string]string{"shop": "shop", "net": "example.com/net"} {
		if got := DefaultModule(name); got != want {
			t.Errorf("module of %s: %s, want %s", name, got, want)
		}
	}
}
