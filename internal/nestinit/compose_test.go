package nestinit

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestComposeIsReadOnce checks that a file of Docker Compose is read once for all
// applications below it, and that each gets its own variables.
func TestComposeIsReadOnce(t *testing.T) {
	dir := t.TempDir()
	write := func(text string) {
		if err := os.WriteFile(filepath.Join(dir, "compose.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("services:\n  items: {build: ./items, environment: {PORT: 3001}}\n  mail: {build: ./mail, environment: [PORT=3002]}\n")
	l := &layout{root: dir}
	for _, want := range []struct{ name, port string }{{"items", "3001"}, {"mail", "3002"}} {
		env := environment{}
		l.readCompose(env, "compose.yaml", &application{name: want.name, dir: want.name})
		if got, _ := env.lookup("PORT"); got != want.port {
			t.Errorf("%s has PORT=%q, want %s", want.name, got, want.port)
		}
		write("services: {}\n")
	}
	none := environment{}
	l.readCompose(none, "docker-compose.yml", &application{name: "items", dir: "items"})
	if diff := cmp.Diff(environment{}, none, cmp.AllowUnexported(variable{})); diff != "" {
		t.Errorf("without a file (-want +got):\n%s", diff)
	}
}
