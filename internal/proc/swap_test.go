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

// TestSwapUnderLoad edits a service that is called 200 times a second: not one
// call may fail, and no process may be left. MSCTL_TEST_SOAK=1 makes it 50
// edits.
func TestSwapUnderLoad(t *testing.T) {
	edits := 10
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
	s.await(0, "every old process has drained", func(Event) bool { return len(s.find(KindStopped, "items")) >= edits })
	stop()
	<-running
	t.Logf("%d edits, %d calls, slowest %v, %d by the new processes", edits, l.calls.Load(), time.Duration(l.slowest.Load()), l.versions())
	for _, failure := range l.failures() {
		t.Error(failure)
	}
	if got := who(t, dial(t, ports[0])); got.Version != edits+1 {
		t.Errorf("version %d answers at the end, want %d", got.Version, edits+1)
	}
	if n := len(s.find(KindSwapped, "orders")) + len(s.find(KindBuilt, "orders")) - 1; n != 0 {
		t.Errorf("orders was rebuilt %d times; it does not depend on what was edited", n)
	}
	if n := len(s.find(KindKilled, "")); n > 0 {
		t.Errorf("%d processes had to be killed", n)
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	for pid := range pids {
		if left := members(t, pid); len(left) > 0 {
			t.Errorf("left of group %d: %v", pid, left)
		}
	}
}

// load calls "who" at a fixed rate, whatever becomes of the calls before.
type load struct {
	client  *micro.Client
	pattern micro.Pattern
	calls   atomic.Int64
	slowest atomic.Int64

	mu     sync.Mutex // guards what follows
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

// TestCompileError: the old process goes on serving, the error is shown, and the
// repaired program takes over. In between, a new folder appears.
func TestCompileError(t *testing.T) {
	file, ports := shop(t, twoServices)
	s := start(t, file, Options{})
	s.awaitKind(0, KindAllReady, "")
	c := dial(t, ports[0])
	before := who(t, c)
	s.edit("items/main.go", `"shop/contracts"`, "\"shop/contracts\"\n\t\"shop/extra\"")
	failed, next := s.awaitKind(0, KindBuildFailed, "items")
	if !strings.Contains(failed.Text, "shop/extra") || !strings.Contains(failed.Text, filepath.Join("items", "main.go")) {
		t.Errorf("the error does not say what and where: %q", failed.Text)
	}
	if got := who(t, c); got != before {
		t.Errorf("after a compile error %+v serves, want %+v", got, before)
	}
	s.edit("items/main.go", "contracts.Version", "contracts.Version + extra.More")
	_, next = s.awaitKind(next, KindBuildFailed, "items")
	if err := os.Mkdir(filepath.Join(s.dir, "extra"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(s.dir, "extra", "extra.go"), "package extra\n\nconst More = 41\n")
	_, next = s.awaitKind(next, KindSwapped, "items")
	awaitVersion(t, ports[0], 42)
	// The new folder belongs to the service now. A cleared cache is no obstacle.
	if err := os.RemoveAll(s.supervisor.options.CacheDir); err != nil {
		t.Fatal(err)
	}
	s.edit("extra/extra.go", "41", "42")
	_, next = s.awaitKind(next, KindSwapped, "items")
	// A test is not part of the program, and a file saved as it was changes nothing.
	write(t, filepath.Join(s.dir, "items", "main_test.go"), "package main\n")
	s.edit("extra/extra.go", "42", "42")
	s.awaitKind(next, KindUnchanged, "items")
	// Until it is known what orders is built from, it may be built for nothing.
	if n := len(s.find(KindSwapped, "orders")); n > 0 {
		t.Errorf("orders was swapped %d times for changes that are not its own", n)
	}
}

// TestBadNewVersion: a new process that crashes, or never answers, does not
// take over.
func TestBadNewVersion(t *testing.T) {
	file, ports := shop(t, twoServices)
	s := start(t, file, Options{ReadyTimeout: 5 * time.Second})
	s.awaitKind(0, KindAllReady, "")
	c := dial(t, ports[0])
	before := who(t, c)
	s.edit("items/main.go", "func main() {", "func main() {\n\tpanic(42);")
	e, next := s.awaitKind(0, KindNotReady, "items")
	if want := "ended before it was ready: exit status 2"; e.Text != want {
		t.Errorf("not ready: %q, want %q", e.Text, want)
	}
	s.edit("items/main.go", "panic(42)", "select {}")
	s.edit("items/main.go", "select {}", "for ; ; os.Getpid() { <-time.After(time.Hour) }")
	s.edit("items/main.go", "import (", "import (\n\t\"os\"\n\t\"time\"")
	e, next = s.awaitKind(next, KindNotReady, "items")
	if want := "did not become ready in 5s"; !strings.HasPrefix(e.Text, want) {
		t.Errorf("not ready: %q, want %q", e.Text, want)
	}
	if got := who(t, c); got != before {
		t.Errorf("%+v serves, want %+v", got, before)
	}
	s.edit("items/main.go", "for ; ; os.Getpid() { <-time.After(time.Hour) }", "_, _ = os.Getpid, time.Now")
	s.awaitKind(next, KindSwapped, "items")
}

// TestDrain: a call in flight during a swap is answered by the process that got
// it.
func TestDrain(t *testing.T) {
	file, ports := shop(t, twoServices)
	s := start(t, file, Options{})
	s.awaitKind(0, KindAllReady, "")
	before := who(t, dial(t, ports[0]))
	result := make(chan error, 1)
	var got answer
	go func() {
		var err error
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		c := dial(t, ports[0])
		got, err = micro.Call[answer](ctx, c, micro.Name("slow"), 5000)
		result <- err
	}()
	s.edit("contracts/contracts.go", "Version = 1", "Version = 2")
	_, next := s.awaitKind(0, KindSwapped, "items")
	awaitVersion(t, ports[0], 2)
	if err := <-result; err != nil || got != before {
		t.Errorf("the call in flight got %+v, %v, want %+v", got, err, before)
	}
	s.awaitKind(next-1, KindStopped, "items")
}
