//go:build linux || darwin

package stores

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/msctl/msctl/internal/scaffold"
	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/internal/test/workspaces"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		for _, dir := range built.dirs {
			_ = os.RemoveAll(dir)
		}
		os.Exit(code)
	}))
}

// limit is how long anything may take on a busy machine.
const limit = 2 * time.Minute

// shop is a workspace whose programs are built, and its data.
type shop struct {
	t     testing.TB
	store scaffold.Store
	dir   string
	data  string // DATA_DIR, or DATABASE_URL
	ports map[string]int
}

// built are the workspaces by store. All tests share their programs.
var built struct {
	mu   sync.Mutex
	dirs map[scaffold.Store]string
}

// newShop returns a workspace with an empty database.
func newShop(t testing.TB, store scaffold.Store) *shop {
	t.Helper()
	if testing.Short() {
		t.Skip("builds a whole workspace")
	}
	s := &shop{t: t, store: store, dir: workspace(t, store), ports: map[string]int{}}
	for _, name := range []string{"items", "orders"} {
		port, err := testenv.FreePort()
		if err != nil {
			t.Fatal(err)
		}
		s.ports[name] = port
	}
	s.data = filepath.Join(t.TempDir(), "data")
	if store == scaffold.Postgres {
		s.data = startPostgres(t)
	}
	return s
}

// workspace returns the folder of a workspace with the programs in bin.
func workspace(t testing.TB, store scaffold.Store) string {
	t.Helper()
	built.mu.Lock()
	defer built.mu.Unlock()
	if dir := built.dirs[store]; dir != "" {
		return dir
	}
	dir, err := os.MkdirTemp("", "stores-*") //nolint:usetesting // all tests use it
	if err != nil {
		t.Fatal(err)
	}
	workspaces.Write(t, dir, scaffold.Workspace{Name: "shop", Store: store, Services: scaffold.DefaultServices(scaffold.DefaultGatewayPort)})
	check, err := os.ReadFile("testdata/check.go.txt")
	if err != nil {
		t.Fatal(err)
	}
	driver := strings.NewReplacer("DRIVER", "modernc.org/sqlite", "NAME", "sqlite")
	if store == scaffold.Postgres {
		driver = strings.NewReplacer("DRIVER", "github.com/jackc/pgx/v5/stdlib", "NAME", "pgx")
	}
	if err := os.MkdirAll(filepath.Join(dir, "apps", "check"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "apps", "check", "main.go"), []byte(driver.Replace(string(check))), 0o600); err != nil {
		t.Fatal(err)
	}
	workspaces.Build(t, dir, "items", "orders", "check")
	if err := os.Chmod(dir, 0o755); err != nil { // other users run the programs, too
		t.Fatal(err)
	}
	if built.dirs == nil {
		built.dirs = map[scaffold.Store]string{}
	}
	built.dirs[store] = dir
	return dir
}

// program is a running service.
type program struct {
	cmd  *exec.Cmd
	log  *testenv.Log
	gone chan struct{} // closed when it has ended
}

// start starts a service. more are settings that take precedence.
func (s *shop) start(name string, more ...string) *program {
	s.t.Helper()
	return s.startAs(nil, name, more...)
}

// startAs starts a service with attributes of its process.
func (s *shop) startAs(attributes *syscall.SysProcAttr, name string, more ...string) *program {
	s.t.Helper()
	p := &program{cmd: exec.Command(filepath.Join(s.dir, "bin", name)), log: &testenv.Log{}, gone: make(chan struct{})}
	p.cmd.Stderr, p.cmd.Dir, p.cmd.SysProcAttr = p.log, s.dir, attributes
	p.cmd.Env = append(os.Environ(), "DATA_DIR="+s.data, "DATABASE_URL="+s.data,
		fmt.Sprint("MS_PORT=", s.ports[name]), fmt.Sprint("ITEMS_URL=tcp://127.0.0.1:", s.ports["items"]))
	p.cmd.Env = append(p.cmd.Env, more...)
	if err := p.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() { defer close(p.gone); _ = p.cmd.Wait() }()
	s.t.Cleanup(p.kill)
	return p
}

// addReplicas gives replicas of services their ports, and returns the address of all replicas
// of items.
func (s *shop) addReplicas(suffix string) (itemsURL string) {
	s.t.Helper()
	for _, name := range []string{"items", "orders"} {
		port, err := testenv.FreePort()
		if err != nil {
			s.t.Fatal(err)
		}
		s.ports[name+suffix] = port
	}
	return fmt.Sprintf("ITEMS_URL=tcp://127.0.0.1:%d,127.0.0.1:%d", s.ports["items"], s.ports["items"+suffix])
}

// kill ends the program at once, as kill -9 does.
func (p *program) kill() {
	_ = p.cmd.Process.Kill()
	<-p.gone
}

// suspend stops the program from running until it is killed. Its connections stay open.
func (p *program) suspend(t testing.TB) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	testenv.AwaitStopped(t, p.cmd.Process.Pid)
}

// stop asks the program to end.
func (p *program) stop(t testing.TB) {
	t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	testenv.Within(t, limit, "stop", func() { <-p.gone })
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d\n%s", code, p.log)
	}
}

// client returns a client of a service that does not retry.
func (s *shop) client(name string) *micro.Client {
	c := micro.NewClient(microtcp.Dial(fmt.Sprint("127.0.0.1:", s.ports[name])), micro.WithLogger(slog.New(slog.DiscardHandler)))
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}

// awaitReady waits until a service is healthy.
func (s *shop) awaitReady(name string, p *program) {
	s.t.Helper()
	c := s.client(name)
	testenv.Eventually(s.t, limit, name+" is healthy", func() bool {
		ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Second)
		defer cancel()
		h, err := micro.Call[micro.Health](ctx, c, micro.HealthPattern, nil)
		if err != nil {
			select {
			case <-p.gone:
				s.t.Fatalf("%s has ended:\n%s", name, p.log)
			default:
			}
		}
		return err == nil && h.Status == "ok"
	})
}

// address returns what check needs to open the database of a service.
func (s *shop) address(service string) string {
	if s.store == scaffold.Postgres {
		return s.data + "&search_path=" + service
	}
	return filepath.Join(s.data, service+".db")
}

// query returns the first column of the rows of a query.
func (s *shop) query(service, text string) []string {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), filepath.Join(s.dir, "bin", "check"), "query", s.address(service), text)
	var failed bytes.Buffer
	cmd.Stderr = &failed
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatalf("%s: %v\n%s", text, err, &failed)
	}
	return strings.Fields(string(out))
}

// one returns the only value of a query.
func (s *shop) one(service, text string) string {
	s.t.Helper()
	rows := s.query(service, text)
	if len(rows) != 1 {
		s.t.Fatalf("%s: %q, want one row", text, rows)
	}
	return rows[0]
}

// stored is what the replies of both services have in common.
type stored struct {
	ID string `json:"id"`
}

func createItem(ctx context.Context, c *micro.Client, name string) (stored, error) {
	return micro.Call[stored](ctx, c, micro.Cmd("createItem"), map[string]any{"name": name, "price": 9.99})
}
