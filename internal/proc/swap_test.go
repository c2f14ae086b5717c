package proc

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// TestSwapUnderLoad edits a service that receives 200 calls per second, and checks that no
// call fails and no process is left. With MSCTL_TEST_SOAK=1, it makes 50 edits.
func TestSwapUnderLoad(t *testing.T) {
	t.Parallel()
	edits := 5
	if os.Getenv("MSCTL_TEST_SOAK") != "" {
		edits = 50
	}
	file, ports := shop(t, twoServices)
	s := start(t, file, Options{})
	s.awaitKind(0, KindAllReady, "")
	l := newLoad(dial(t, ports[0]), "who")
	ctx, stop := context.WithCancel(t.Context())
	running := make(chan struct{})
	go func() {
		defer close(running)
		l.run(ctx, 5*time.Millisecond)
	}()
	pids := map[int]bool{}
	for edit := range edits {
		from := s.now()
		s.edit("contracts/contracts.go", fmt.Sprintf("Version = %d", edit+1), fmt.Sprintf("Version = %d", edit+2))
		swapped, _ := s.awaitKind(from, KindSwapped, "items")
		pids[swapped.Pid] = true
		awaitVersion(t, ports[0], edit+2)
	}
	s.await(0, "all old processes have drained", func(Event) bool { return len(s.find(KindStopped, "items")) >= edits })
	stop()
	<-running
	t.Logf("%d edits, %d calls, slowest call %v, %d versions answered", edits, l.calls.Load(), time.Duration(l.slowest.Load()), l.versions())
	for _, failure := range l.failures() {
		t.Error(failure)
	}
	if got := who(t, dial(t, ports[0])); got.Version != edits+1 {
		t.Errorf("version %d answers at the end, want %d", got.Version, edits+1)
	}
	if n := len(s.find(KindSwapped, "orders")) + len(s.find(KindBuilt, "orders")) - 1; n != 0 {
		t.Errorf("orders was rebuilt %d times, although it does not depend on the edited file", n)
	}
	if n := len(s.find(KindKilled, "")); n > 0 {
		t.Errorf("%d processes were killed", n)
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	for pid := range pids {
		if left := members(t, pid); len(left) > 0 {
			t.Errorf("processes left in group %d: %v", pid, left)
		}
	}
}

// load makes calls at a fixed rate, without waiting for earlier calls.
type load struct {
	client  *micro.Client
	pattern micro.Pattern
	calls   atomic.Int64
	slowest atomic.Int64

	mu     sync.Mutex // guards the following fields
	failed []string
	seen   map[int]bool
}

func newLoad(c *micro.Client, pattern string) *load {
	return &load{client: c, pattern: micro.Name(pattern), seen: map[int]bool{}}
}

func (l *load) run(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	var calls sync.WaitGroup
	defer calls.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			calls.Go(l.call)
		}
	}
}

func (l *load) call() {
	begin := time.Now()
	got, err := micro.Call[answer](context.Background(), l.client, l.pattern, nil)
	took := int64(time.Since(begin))
	for old := l.slowest.Load(); took > old && !l.slowest.CompareAndSwap(old, took); old = l.slowest.Load() {
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.failed = append(l.failed, fmt.Sprintf("call %d at %s: %v", l.calls.Load(), begin.Format("05.000"), err))
	}
	l.calls.Add(1)
	l.seen[got.Version] = true
}

func (l *load) failures() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

func (l *load) versions() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.seen)
}

// TestCompileError checks that the old process keeps serving after a compile error, that
// the compiler's output is reported, and that the fixed program takes over. It also adds a
// folder, clears the cache, and saves files that do not change the program.
func TestCompileError(t *testing.T) {
	t.Parallel()
	file, ports := shop(t, twoServices)
	s := start(t, file, Options{})
	s.awaitKind(0, KindAllReady, "")
	c := dial(t, ports[0])
	before := who(t, c)
	s.edit("items/main.go", `"shop/contracts"`, "\"shop/contracts\"\n\t\"shop/extra\"")
	failed, next := s.awaitKind(0, KindBuildFailed, "items")
	if !strings.Contains(failed.Text, "shop/extra") || !strings.Contains(failed.Text, filepath.Join("items", "main.go")) {
		t.Errorf("the event does not contain the error and its file: %q", failed.Text)
	}
	if got := who(t, c); got != before {
		t.Errorf("%+v answers after a compile error, want %+v", got, before)
	}
	s.edit("items/main.go", "contracts.Version", "contracts.Version + extra.More")
	_, next = s.awaitKind(next, KindBuildFailed, "items")
	if err := os.Mkdir(filepath.Join(s.dir, "extra"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(s.dir, "extra", "extra.go"), "package extra\n\nconst More = 41\n")
	_, next = s.awaitKind(next, KindSwapped, "items")
	awaitVersion(t, ports[0], 42)
	// The service now depends on the new folder.
	if err := os.RemoveAll(s.supervisor.options.CacheDir); err != nil {
		t.Fatal(err)
	}
	s.edit("extra/extra.go", "41", "42")
	_, next = s.awaitKind(next, KindSwapped, "items")
	// A test file is not part of the program, and saving a file unchanged does not change it.
	write(t, filepath.Join(s.dir, "items", "main_test.go"), "package main\n")
	s.edit("extra/extra.go", "42", "42")
	s.awaitKind(next, KindUnchanged, "items")
	// orders may have been built, because its sources are not known at first.
	if n := len(s.find(KindSwapped, "orders")); n > 0 {
		t.Errorf("orders was swapped %d times for changes that do not concern it", n)
	}
}

// TestBadNewVersion checks that a new process that crashes or never answers does not take
// over.
func TestBadNewVersion(t *testing.T) {
	t.Parallel()
	file, ports := shop(t, twoServices)
	s := start(t, file, Options{ReadyTimeout: 5 * time.Second})
	s.awaitKind(0, KindAllReady, "")
	c := dial(t, ports[0])
	before := who(t, c)
	s.edit("items/main.go", "func main() {", "func main() {\n\tpanic(42);")
	e, next := s.awaitKind(0, KindNotReady, "items")
	if want := "ended before it was ready: exit status 2"; e.Text != want {
		t.Errorf("reason %q, want %q", e.Text, want)
	}
	s.edit("items/main.go", "panic(42)", "select {}")
	s.edit("items/main.go", "select {}", "for ; ; os.Getpid() { <-time.After(time.Hour) }")
	s.edit("items/main.go", "import (", "import (\n\t\"os\"\n\t\"time\"")
	e, next = s.awaitKind(next, KindNotReady, "items")
	if want := "did not become ready in 5s"; !strings.HasPrefix(e.Text, want) {
		t.Errorf("reason %q, want %q", e.Text, want)
	}
	if got := who(t, c); got != before {
		t.Errorf("%+v answers, want %+v", got, before)
	}
	s.edit("items/main.go", "for ; ; os.Getpid() { <-time.After(time.Hour) }", "_, _ = os.Getpid, time.Now")
	s.awaitKind(next, KindSwapped, "items")
}

// TestDrain checks that a call in progress during a swap is answered by the process that
// received it.
func TestDrain(t *testing.T) {
	t.Parallel()
	file, ports := shop(t, twoServices)
	s := start(t, file, Options{})
	s.awaitKind(0, KindAllReady, "")
	before := who(t, dial(t, ports[0]))
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	release := filepath.Join(t.TempDir(), "release")
	result := make(chan error, 1)
	var got answer
	go func() {
		var err error
		got, err = micro.Call[answer](ctx, dial(t, ports[0]), micro.Name("hold"), release)
		result <- err
	}()
	s.await(0, "the call has arrived", func(e Event) bool { return e.Kind == KindLog && e.Text == "items holds a call" })
	s.edit("contracts/contracts.go", "Version = 1", "Version = 2")
	s.awaitKind(0, KindSwapped, "items")
	awaitVersion(t, ports[0], 2)
	s.awaitKind(0, KindStopping, "items")
	write(t, release, "")
	if err := <-result; err != nil || got != before {
		t.Errorf("reply %+v, error %v, want %+v", got, err, before)
	}
	s.awaitKind(0, KindStopped, "items")
}
