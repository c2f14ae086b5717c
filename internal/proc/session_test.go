package proc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/internal/workspace"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
)

// testTimeout limits every wait in a test. Builds are slow on a busy machine.
const testTimeout = 5 * time.Minute

// shop copies the test workspace and writes its msctl.yaml. In yaml, $1 to $9 stand for
// free ports, and $SELF for this test binary.
func shop(t *testing.T, yaml string) (file string, ports []int) {
	t.Helper()
	dir := t.TempDir()
	archive, err := txtar.ParseFile(filepath.Join("testdata", "shop.txtar"))
	if err == nil {
		err = txtar.Write(archive, dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	testenv.GoModule(t, dir, "shop")
	for i := 1; i <= 9; i++ {
		if !strings.Contains(yaml, fmt.Sprintf("$%d", i)) {
			continue
		}
		port, err := testenv.FreePort()
		if err != nil {
			t.Fatal(err)
		}
		ports = append(ports, port)
		yaml = strings.ReplaceAll(yaml, fmt.Sprintf("$%d", i), fmt.Sprint(port))
	}
	yaml = strings.ReplaceAll(yaml, "$SELF", self(t))
	file = filepath.Join(dir, workspace.FileName)
	write(t, file, yaml)
	return file, ports
}

func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// writeProgram writes a file that can be executed.
func writeProgram(t *testing.T, file, text string) {
	t.Helper()
	write(t, file, text)
	if err := os.Chmod(file, 0o700); err != nil {
		t.Fatal(err)
	}
}

// session is a running supervisor, with the events that it has emitted.
type session struct {
	t          *testing.T
	dir        string
	supervisor *Supervisor
	cancel     context.CancelFunc
	result     chan error

	mu     sync.Mutex // guards the following fields
	events []Event
	closed bool          // no more events follow
	more   chan struct{} // closed and replaced with each event, and closed at the end
}

// start runs the workspace until the test ends.
func start(t *testing.T, file string, o Options) *session {
	t.Helper()
	w, err := workspace.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	o.Workspace, o.CacheDir = w, t.TempDir()
	o.ReadyTimeout = cmp.Or(o.ReadyTimeout, testTimeout)
	o.Guard = []string{self(t), "__guard"}
	o.NATS = []string{self(t), "__nats"}
	ctx, cancel := context.WithCancel(t.Context())
	s := &session{t: t, dir: w.Dir, supervisor: New(o), cancel: cancel, result: make(chan error, 1), more: make(chan struct{})}
	go func() {
		for e := range s.supervisor.Events() {
			s.mu.Lock()
			s.events = append(s.events, e)
			close(s.more)
			s.more = make(chan struct{})
			s.mu.Unlock()
		}
		s.mu.Lock()
		s.closed = true
		close(s.more)
		s.mu.Unlock()
	}()
	go func() { s.result <- s.supervisor.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		s.supervisor.Kill()
		if err, ok := <-s.result; ok && err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(s.String())
		}
	})
	return s
}

// stop ends the run as Ctrl-C does, and returns the result of Run.
func (s *session) stop() error {
	s.cancel()
	return s.wait()
}

// wait waits for the end of the run.
func (s *session) wait() error {
	err := <-s.result
	close(s.result)
	return err
}

// await returns the first matching event among those numbered from and higher, and the
// number of the event after it. It fails the test if the run ends without such an event.
func (s *session) await(from int, what string, match func(Event) bool) (Event, int) {
	s.t.Helper()
	timer := time.NewTimer(testTimeout)
	defer timer.Stop()
	for {
		s.mu.Lock()
		events, closed, more := s.events, s.closed, s.more
		s.mu.Unlock()
		for ; from < len(events); from++ {
			if match(events[from]) {
				return events[from], from + 1
			}
		}
		if closed {
			s.t.Fatalf("the run ended without the event: %s", what)
		}
		select {
		case <-more:
		case <-timer.C:
			s.t.Fatalf("no event after %v: %s", testTimeout, what)
		}
	}
}

// awaitKind awaits an event of a kind for a service.
func (s *session) awaitKind(from int, kind Kind, service string) (Event, int) {
	s.t.Helper()
	return s.await(from, string(kind)+" "+service, func(e Event) bool { return e.Kind == kind && e.Service == service })
}

// now returns the number of the next event.
func (s *session) now() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.events)
}

// find returns the events of a kind for one service, or for all if service is empty.
func (s *session) find(kind Kind, service string) (found []Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		if e.Kind == kind && (service == "" || e.Service == service) {
			found = append(found, e)
		}
	}
	return found
}

func (s *session) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, e := range s.events {
		if e.Quiet {
			continue
		}
		fmt.Fprintf(&b, "%s %-8s %-12s pid %d %v %v %s %v\n", e.Time.Format("05.000"), e.Service, e.Kind, e.Pid, e.Took, e.Delay, e.Text, e.Paths)
	}
	return b.String()
}

// edit replaces text in a file of the workspace.
func (s *session) edit(name, old, text string) {
	s.t.Helper()
	file := filepath.Join(s.dir, filepath.FromSlash(name))
	before, err := os.ReadFile(file)
	if err != nil {
		s.t.Fatal(err)
	}
	if !strings.Contains(string(before), old) {
		s.t.Fatalf("%s does not contain %q:\n%s", name, old, before)
	}
	write(s.t, file, strings.Replace(string(before), old, text, 1))
}

// answer is the reply of the test services to "who".
type answer struct {
	Name    string `json:"name"`
	Version int    `json:"version"`
	Pid     int    `json:"pid"`
}

// dial returns a client that is closed when the test ends.
func dial(t *testing.T, port int) *micro.Client {
	t.Helper()
	c := micro.NewClient(microtcp.Dial(fmt.Sprintf("127.0.0.1:%d", port)))
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func who(t *testing.T, c *micro.Client) answer {
	t.Helper()
	got, err := micro.Call[answer](t.Context(), c, micro.Name("who"), nil)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// crash makes a test service exit immediately. The connection may be lost before the event
// counts as sent.
func crash(t *testing.T, port int) {
	t.Helper()
	err := dial(t, port).Emit(t.Context(), micro.Name("crash"), nil)
	if err != nil && !errors.Is(err, micro.ErrConnectionLost) {
		t.Fatal(err)
	}
}

// awaitVersion calls items until the version answers. For a moment after a swap, the old
// process may answer as well, until it receives SIGTERM.
func awaitVersion(t *testing.T, port, want int) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(testTimeout)
	for {
		c := micro.NewClient(microtcp.Dial(fmt.Sprintf("127.0.0.1:%d", port)))
		got := who(t, c)
		_ = c.Close()
		if got.Version == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("version %d still answers, want %d", got.Version, want)
		}
		<-tick.C
	}
}

// refused reports whether a port refuses connections soon. A process that another test is
// starting shares the listeners of this one until it executes its program, so that a closed one
// stays open for a moment.
func refused(port int) bool {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(testTimeout); time.Now().Before(deadline); <-tick.C {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return true
		}
		_ = conn.Close()
	}
	return false
}
