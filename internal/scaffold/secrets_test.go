package scaffold

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/msctl/msctl/internal/secret"
	"github.com/msctl/msctl/internal/workspace"
)

// TestSecretsForDevelopment checks that two workspaces do not share a secret, that the secrets
// are recognizable, and that the files of a workspace are rendered with those that it has.
func TestSecretsForDevelopment(t *testing.T) {
	w := shop()
	w.Secrets = Secrets{}
	seen := map[string]bool{}
	for range 2 {
		dir := t.TempDir()
		makeWorkspace(t, dir, w)
		has, err := SecretsIn(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{has.Tokens, has.Principals} {
			if len(text) != len(secret.DevelopmentPrefix)+64 || !strings.HasPrefix(text, secret.DevelopmentPrefix) || seen[text] {
				t.Errorf("secret %q", text)
			}
			seen[text] = true
		}
		again := w
		again.Secrets = has
		files, err := again.Files()
		if err != nil {
			t.Fatal(err)
		}
		steps, err := Plan(dir, files)
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range steps {
			if step.State != Same {
				t.Errorf("%s would be written again", step.Path)
			}
		}
		m, err := workspace.Load(filepath.Join(dir, workspace.FileName))
		if err != nil {
			t.Fatal(err)
		}
		if m.Env["PRINCIPAL_SECRET"] != has.Principals || m.Service("gateway").Env["AUTH_SECRET"] != has.Tokens || m.Service("items").Env["AUTH_SECRET"] != "" {
			t.Error("msctl.yaml has other secrets, or a service has those of the gateway")
		}
	}
	if none, err := SecretsIn(t.TempDir()); err != nil || none != (Secrets{}) {
		t.Errorf("an empty folder has %v, %v", none, err)
	}
}

// TestServiceInOlderWorkspace checks that a new service brings what an older msctl has not
// written: the settings for its secret and for the private port, and how programs start. The
// runtime is that of this msctl by then: see [Origin.Age].
func TestServiceInOlderWorkspace(t *testing.T) {
	for _, s := range []Service{{Name: "payments", Port: 3010}, {Name: "mail", Transport: workspace.RabbitMQ}} {
		dir := t.TempDir()
		makeShop(t, dir)
		const config = "internal/config/secret.go"
		added := []string{
			"internal/config/private.go", "internal/config/private_test.go", "internal/program/program.go", "internal/program/health.go", "internal/program/dotenv.go",
			"internal/program/program_test.go", "internal/program/dotenv_test.go",
		}
		for _, name := range append([]string{"internal/config/secret_test.go", config}, added...) {
			if err := os.RemoveAll(filepath.Join(dir, filepath.FromSlash(name))); err != nil {
				t.Fatal(err)
			}
		}
		r, err := open(t, dir).NewService(s)
		if err != nil || r.ByHand != nil {
			t.Fatal(err, r.ByHand)
		}
		if err := write(t, dir, false, r.Files...); err != nil {
			t.Fatal(err)
		}
		files := tree(t, dir)
		for _, name := range append([]string{config}, added...) {
			if files[name] == "" {
				t.Errorf("%s: %s is missing", s.Name, name)
			}
		}
		// The next service leaves the user's file alone.
		put(t, dir, config, files[config]+"// mine\n")
		if r, err = open(t, dir).NewService(Service{Name: "audit", Port: 3011}); err != nil {
			t.Fatal(err)
		}
		for _, f := range r.Files {
			if f.Path == config || strings.HasPrefix(f.Path, bundleDir+"/runtime/") {
				t.Errorf("%s would be written again", f.Path)
			}
		}
	}
}
