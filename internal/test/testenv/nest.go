package testenv

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Version names one of the NestJS versions under testdata/nest.
type Version string

// The versions that msctl is tested against. docs/wire.md section 10 has the differences.
const (
	Nest12 Version = "v12" // 12.1.1, the reference
	Nest11 Version = "v11" // 11.2.6
	Nest10 Version = "v10" // 10.4.22
)

// Versions returns all versions, the reference first.
func Versions() []Version { return []Version{Nest12, Nest11, Nest10} }

// LiveVersions returns the versions that tests start programs of: NestJS 12 alone, or all versions if MSCTL_TEST_ALL is
// set. The recorded packets of the older versions, and the TCP tests that always run with all of them, use Versions.
func LiveVersions() []Version {
	if os.Getenv("MSCTL_TEST_ALL") == "" {
		return []Version{Nest12}
	}
	return Versions()
}

// startLimit bounds how long a NestJS program may take until it listens. It is long because the race detector, several
// test binaries and two cores share the machine.
const startLimit = 60 * time.Second

// Root returns the root folder of the repository.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	dir := filepath.Dir(file)
	if !filepath.IsAbs(dir) { // built with -trimpath: tests run in their package's folder
		dir, _ = os.Getwd()
	}
	for dir != filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "goreleaser.yaml")); err == nil {
			return dir
		}
		dir = filepath.Dir(dir)
	}
	return dir
}

// NestMissing says why the NestJS programs of a version cannot run here, or "" when they can.
func NestMissing(version Version) string {
	if _, err := exec.LookPath("node"); err != nil {
		return "node is not installed: make test-tools installs it"
	}
	modules := filepath.Join(Root(), "testdata", "nest", string(version), "node_modules", "@nestjs", "microservices")
	if _, err := os.Stat(modules); err != nil {
		return "NestJS " + string(version) + " is not installed: make nest installs it"
	}
	return ""
}

// NeedNest skips the test when the version cannot run here, or fails it when MSCTL_TEST_NEST is "required".
func NeedNest(tb testing.TB, version Version) {
	tb.Helper()
	reason := NestMissing(version)
	switch {
	case reason == "":
	case os.Getenv("MSCTL_TEST_NEST") == "required":
		tb.Fatal(reason)
	default:
		tb.Skip(reason)
	}
}

// FreePort returns a TCP port of the loopback address that nobody listened on a moment ago.
func FreePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// AwaitPort returns when addr, host:port, accepts connections.
func AwaitPort(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	every := time.NewTicker(20 * time.Millisecond)
	defer every.Stop()
	for {
		if conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr); err == nil {
			return conn.Close()
		}
		select {
		case <-every.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// NestServer is a running testdata/nest/nest-server.mjs. Its methods may be used from several goroutines.
type NestServer struct {
	Addr string // host:port it listens on; empty on a broker
	Port int    // of Addr; 0 on a broker
	Pid  int

	program   *program
	listening chan struct{} // closed when it says that it listens
	read      chan struct{} // closed when all it printed has been read

	mu      sync.Mutex // guards what follows
	handled []Handled
	changed chan struct{} // closed and replaced when handled grows
}

// Handled is one message with which a handler of a NestJS server was called.
type Handled struct {
	Pattern json.RawMessage `json:"pattern"` // as the handler was registered
	Data    json.RawMessage `json:"data"`    // nil when it was undefined
	Handler string          `json:"handler"` // which one, for patterns with several
}

// Log returns what the server wrote on stderr so far: NestJS' log, one JSON document a line.
func (s *NestServer) Log() string { return s.program.stderr.String() }

// Handled returns what the handlers of the server were called with so far, in that order. The server tells it only when
// it was started with --verbose.
func (s *NestServer) Handled() []Handled {
	handled, _ := s.handledNow()
	return handled
}

// AwaitHandled returns what the handlers of a pattern, in compact JSON, were called with, once that are n or more
// messages. When the context or the server ends before, it returns an error beside what there is.
func (s *NestServer) AwaitHandled(ctx context.Context, pattern string, n int) ([]Handled, error) {
	for {
		all, changed := s.handledNow()
		var of []Handled
		for _, h := range all {
			if compactJSON(h.Pattern) == pattern {
				of = append(of, h)
			}
		}
		if len(of) >= n {
			return of, nil
		}
		select {
		case <-changed:
		case <-s.read:
			return of, fmt.Errorf("the server ended after %d of %d messages to %s", len(of), n, pattern)
		case <-ctx.Done():
			return of, fmt.Errorf("the server handled %d of %d messages to %s (it tells with --verbose only): %w", len(of), n, pattern, ctx.Err())
		}
	}
}

func (s *NestServer) handledNow() ([]Handled, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.handled), s.changed
}

// Stop ends the server as an operator would (SIGTERM) and waits until it is gone. It may be called more than once.
func (s *NestServer) Stop() {
	s.program.stop()
	<-s.read
}

// Kill ends the server at once, without a farewell, and waits until it is gone.
func (s *NestServer) Kill() {
	s.program.kill()
	<-s.read
}

// follow reads what the server prints until it ends.
func (s *NestServer) follow() {
	defer close(s.read)
	for line := range s.program.lines {
		var printed struct {
			Event string `json:"event"`
			Handled
		}
		switch _ = json.Unmarshal([]byte(line), &printed); printed.Event { // other lines are NestJS' own
		case "listening":
			close(s.listening)
		case "handled":
			s.mu.Lock()
			s.handled = append(s.handled, printed.Handled)
			close(s.changed)
			s.changed = make(chan struct{})
			s.mu.Unlock()
		}
	}
}

// StartNest starts the NestJS server of a version with arguments of testdata/nest/nest-server.mjs, and returns when it
// listens: on a free port of 127.0.0.1, or with --transport and --url on a broker. The caller stops it. Tests want Nest;
// this is for TestMain and for one server shared by several tests.
func StartNest(version Version, args ...string) (*NestServer, error) {
	return startServer(version, "nest-server.mjs", args...)
}

// BusyNest starts testdata/nest/busy-server.mjs, a service of known capacity, on NestJS 12 for one test: it skips when
// that is not installed and stops the server when the test ends.
func BusyNest(tb testing.TB, args ...string) *NestServer {
	tb.Helper()
	NeedNest(tb, Nest12)
	server, err := startServer(Nest12, "busy-server.mjs", args...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(server.Stop)
	return server
}

func startServer(version Version, script string, args ...string) (*NestServer, error) {
	s := &NestServer{listening: make(chan struct{}), read: make(chan struct{}), changed: make(chan struct{})}
	own := []string{"--until-stdin-ends"}
	if !onBroker(args) {
		port, err := FreePort()
		if err != nil {
			return nil, err
		}
		s.Port, s.Addr = port, net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		own = append(own, "--port", strconv.Itoa(port))
	}
	var err error
	if s.program, err = startProgram(version, script, append(own, args...)...); err != nil {
		return nil, err
	}
	s.Pid = s.program.cmd.Process.Pid
	go s.follow()
	if err := s.awaitListening(); err != nil {
		s.Kill()
		return nil, fmt.Errorf("start %s on %s: %w", script, version, err)
	}
	return s, nil
}

// onBroker reports whether the arguments choose another transport than TCP.
func onBroker(args []string) bool {
	for i, arg := range args {
		name, transport, inline := strings.Cut(arg, "=")
		if !inline && i+1 < len(args) {
			transport = args[i+1]
		}
		if name == "--transport" {
			return transport != "tcp"
		}
	}
	return false
}

func (s *NestServer) awaitListening() error {
	limit := time.NewTimer(startLimit)
	defer limit.Stop()
	select {
	case <-s.listening:
		return nil
	case <-s.read:
		return fmt.Errorf("it ended: %s", strings.TrimSpace(s.Log()))
	case <-limit.C:
		return fmt.Errorf("nothing after %s: %s", startLimit, strings.TrimSpace(s.Log()))
	}
}

// Nest is StartNest for one test: it skips when the version is not installed and stops the server when the test ends.
func Nest(tb testing.TB, version Version, args ...string) *NestServer {
	tb.Helper()
	NeedNest(tb, version)
	server, err := StartNest(version, args...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(server.Stop)
	return server
}
