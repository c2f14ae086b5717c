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

// The versions that msctl is tested against. Section 10 of docs/wire.md lists the differences.
const (
	Nest12 Version = "v12" // 12.1.1, the reference
	Nest11 Version = "v11" // 11.2.6
	Nest10 Version = "v10" // 10.4.22
)

// NestApps is NestJS 12 with what applications add to it, such as HTTP.
const NestApps Version = "apps"

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

// startLimit is how long a NestJS program may take to start listening. It is long because the machine may be busy with
// other tests.
const startLimit = 3 * time.Minute

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

// NestMissing returns why the NestJS programs of a version cannot run on this machine, or "" if they can.
func NestMissing(version Version) string {
	if _, err := exec.LookPath("node"); err != nil {
		return "node is not installed: run `make test`, which installs it or reports how"
	}
	last := "microservices"
	if version == NestApps {
		last = "throttler" // an installation from before it was added is incomplete
	}
	if _, err := os.Stat(filepath.Join(Root(), "testdata", "nest", string(version), "node_modules", "@nestjs", last)); err != nil {
		return "NestJS " + string(version) + " is not installed: run `make nest`"
	}
	return ""
}

// NeedNest skips the test if the version cannot run on this machine. It fails the test if MSCTL_TEST_NEST is "required".
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

// AwaitPort waits until addr, in the form host:port, accepts connections.
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

// NestServer is a running testdata/nest/nest-server.mjs. Its methods are safe for concurrent use.
type NestServer struct {
	Addr string // host:port it listens on; empty on a broker
	Port int    // of Addr; 0 on a broker
	Pid  int

	program   *program
	listening chan struct{} // closed when the server reports that it is listening
	read      chan struct{} // closed when its output has been read to the end

	mu      sync.Mutex // guards the fields below
	handled []Handled
	changed chan struct{} // closed and replaced when handled grows
}

// Handled is one message that was passed to a handler of a NestJS server.
type Handled struct {
	Pattern json.RawMessage `json:"pattern"` // that the handler is registered for
	Data    json.RawMessage `json:"data"`    // nil if undefined
	Handler string          `json:"handler"` // identifies one of several handlers of a pattern
}

// Log returns what the server has written to stderr: NestJS's log, one JSON document per line.
func (s *NestServer) Log() string { return s.program.stderr.String() }

// Handled returns the messages that the server's handlers have been called with, in order. It requires a server that was
// started with --verbose.
func (s *NestServer) Handled() []Handled {
	handled, _ := s.handledNow()
	return handled
}

// AwaitHandled waits until the handlers of a pattern, given as compact JSON, have been called with n messages, and returns
// these and any further ones. If the context or the server ends first, it returns the messages so far and an error.
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
			return of, fmt.Errorf("the server ended after %d of %d messages for %s", len(of), n, pattern)
		case <-ctx.Done():
			return of, fmt.Errorf("the server handled %d of %d messages for %s (it reports them with --verbose only): %w", len(of), n, pattern, ctx.Err())
		}
	}
}

func (s *NestServer) handledNow() ([]Handled, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.handled), s.changed
}

// Stop terminates the server with SIGTERM and waits for it to exit. It may be called more than once.
func (s *NestServer) Stop() {
	s.program.stop()
	<-s.read
}

// Kill kills the server and waits for it to exit.
func (s *NestServer) Kill() {
	s.program.kill()
	<-s.read
}

// follow reads the server's output to its end.
func (s *NestServer) follow() {
	defer close(s.read)
	for line := range s.program.lines {
		var printed struct {
			Event string `json:"event"`
			Handled
		}
		switch _ = json.Unmarshal([]byte(line), &printed); printed.Event { // NestJS prints other lines, too
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

// StartNest starts the NestJS server of a version with arguments for testdata/nest/nest-server.mjs, and returns when it
// is listening: on a free port of 127.0.0.1, or with --transport and --url on a broker. The caller stops it. A single
// test uses Nest instead.
func StartNest(version Version, args ...string) (*NestServer, error) {
	return startServer(version, "nest-server.mjs", args...)
}

// BusyNest starts testdata/nest/busy-server.mjs, a service of known capacity, on NestJS 12. It skips the test if NestJS
// 12 is not installed, and stops the server when the test ends.
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

// TraceNest starts testdata/nest/trace-server.mjs, a service that passes traces on, on NestJS 12. It skips the test if NestJS 12 is
// not installed, and stops the server when the test ends.
func TraceNest(tb testing.TB, args ...string) *NestServer {
	tb.Helper()
	NeedNest(tb, Nest12)
	server, err := startServer(Nest12, "trace-server.mjs", args...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(server.Stop)
	return server
}

// NestGateway starts the NestJS gateway of testdata/nest/gateway with additional environment variables. It skips the test if its
// packages are not installed, and stops the gateway when the test ends.
func NestGateway(tb testing.TB, env map[string]string) *NestServer {
	tb.Helper()
	NeedNest(tb, NestApps)
	variables, err := json.Marshal(env)
	if err != nil {
		tb.Fatal(err)
	}
	server, err := startServer(NestApps, "gateway.mjs", "--env", string(variables))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(server.Stop)
	return server
}

// StartGuide starts a program of testdata/nest/guide, such as items, with additional environment variables. It returns when the
// program is listening: on a free port of 127.0.0.1, or on RabbitMQ if the variable MS_QUEUE or WORKER_QUEUE names its queue.
// The caller stops it, and calls NeedNest with NestApps before.
func StartGuide(program string, env map[string]string) (*NestServer, error) {
	variables, err := json.Marshal(env)
	if err != nil {
		return nil, err
	}
	args := []string{"--program", program, "--env", string(variables)}
	if env["MS_QUEUE"] != "" || program == "worker" {
		args = append(args, "--transport", "rmq")
	}
	return startServer(NestApps, "guide.mjs", args...)
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

// onBroker reports whether the arguments select a transport other than TCP.
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
		return fmt.Errorf("the program exited: %s", strings.TrimSpace(s.Log()))
	case <-limit.C:
		return fmt.Errorf("not listening after %s: %s", startLimit, strings.TrimSpace(s.Log()))
	}
}

// Nest is like StartNest, for one test: it skips the test if the version is not installed, and stops the server when the
// test ends.
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
