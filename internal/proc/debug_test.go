package proc

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/rpc"
	"net/rpc/jsonrpc"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/proc/debug"
	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
)

// needDelve returns the path of Delve, or skips the test. It also builds the test workspace
// as services that are debugged are built: the first time, that includes all packages
// without optimizations, which may take longer than a test waits.
func needDelve(t *testing.T) string {
	t.Helper()
	path, err := debug.FindDelve(t.Context())
	if err != nil {
		t.Skip("Delve is not installed")
	}
	buildOnce.Do(func() {
		file, _ := shop(t, onlyItems)
		build := exec.Command("go", slices.Concat([]string{"build", "-buildvcs=false", "-o", os.DevNull}, debug.BuildFlags(), []string{"./items"})...)
		build.Dir = filepath.Dir(file)
		if out, err := build.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	return path
}

var buildOnce sync.Once

func freePort(t *testing.T) int {
	t.Helper()
	port, err := testenv.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// startDebugged runs a workspace in which items, a Go service, is debugged.
func startDebugged(t *testing.T, file string) (s *session, address string) {
	t.Helper()
	path, port := needDelve(t), freePort(t)
	return start(t, file, Options{
		Debug: map[string]int{"items": port}, Delve: path, Traceable: []string{self(t), debug.TraceableName},
	}), fmt.Sprintf("127.0.0.1:%d", port)
}

// debugClient is a client of Delve's API.
type debugClient struct {
	t *testing.T
	*rpc.Client
}

func dialDelve(t *testing.T, address string) debugClient {
	t.Helper()
	client, err := jsonrpc.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return debugClient{t, client}
}

// call calls a method of the API.
func (c debugClient) call(method string, in, out any) {
	c.t.Helper()
	timer := time.NewTimer(testTimeout)
	defer timer.Stop()
	select {
	case call := <-c.Go("RPCServer."+method, in, out, make(chan *rpc.Call, 1)).Done:
		if call.Error != nil {
			c.t.Fatalf("%s: %v", method, call.Error)
		}
	case <-timer.C:
		c.t.Fatalf("%s: no reply", method)
	}
}

type command struct {
	Name string `json:"name"`
}

// stop is where a command of Delve stopped.
type stop struct {
	State struct {
		CurrentThread struct {
			File string `json:"file"`
			Line int    `json:"line"`
		} `json:"currentThread"`
	}
}

// breakAt sets a breakpoint, lets the process continue, and returns the call that ends when
// the process stops.
func (c debugClient) breakAt(file string, line int) *rpc.Call {
	c.t.Helper()
	var ignored any
	c.call("Command", command{"halt"}, &ignored)
	c.call("CreateBreakpoint", map[string]any{"Breakpoint": map[string]any{"file": file, "line": line}}, &ignored)
	return c.Go("RPCServer.Command", command{"continue"}, &stop{}, make(chan *rpc.Call, 1))
}

// lineOf returns the number of the line with a text.
func lineOf(t *testing.T, file, text string) int {
	t.Helper()
	source, err := os.ReadFile(file)
	before, _, ok := strings.Cut(string(source), text)
	if !ok {
		t.Fatalf("%s does not contain %q: %v", file, text, err)
	}
	return strings.Count(before, "\n") + 1
}

// TestDebug checks that a debugger stops a Go service at a line of its sources, that a change
// replaces the stopped process, which continues and drains, and that the next one is
// debugged at the same port.
func TestDebug(t *testing.T) {
	t.Parallel()
	file, ports := shop(t, onlyItems)
	s, address := startDebugged(t, file)
	first, _ := s.awaitKind(0, KindDebugger, "items")
	s.awaitKind(0, KindReady, "items")
	if first.URL != address {
		t.Errorf("debugger at %s, want %s", first.URL, address)
	}
	if status := statusOf(t, s); status.Services[0].Debugger != address {
		t.Errorf("status %+v, want the debugger at %s", status.Services[0], address)
	}
	source := filepath.Join(s.dir, "kit", "kit.go")
	line := lineOf(t, source, "return Answer{name, version, os.Getpid()}, nil\n\t})\n\tmicro.Handle(s, micro.Name(\"hold\")")
	stopped := dialDelve(t, address).breakAt(source, line)
	replies := make(chan answer, 1)
	client := micro.NewClient(microtcp.Dial(fmt.Sprintf("127.0.0.1:%d", ports[0])), micro.WithTimeout(testTimeout))
	defer client.Close()
	go func() {
		got, err := micro.Call[answer](t.Context(), client, micro.Name("who"), nil)
		if err != nil {
			t.Errorf("the call at the breakpoint: %v", err)
		}
		replies <- got
	}()
	call := <-stopped.Done
	if at := call.Reply.(*stop).State.CurrentThread; call.Error != nil || at.File != source || at.Line != line {
		t.Errorf("stopped at %+v, error %v, want line %d of %s", at, call.Error, line, source)
	}
	from := s.now()
	s.edit("contracts/contracts.go", "Version = 1", "Version = 2")
	if got := <-replies; got.Version != 1 || got.Pid != first.Pid {
		t.Errorf("the call at the breakpoint was answered by %+v, want version 1 of pid %d", got, first.Pid)
	}
	second, _ := s.awaitKind(from, KindDebugger, "items")
	s.awaitKind(from, KindReady, "items")
	if second.URL != address || second.Pid == first.Pid {
		t.Errorf("after the change: %+v, want another process at %s", second, address)
	}
	awaitVersion(t, ports[0], 2)
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	if n := len(s.find(KindKilled, "")) + len(s.find(KindWarning, "")) + len(s.find(KindCrashed, "")); n > 0 {
		t.Errorf("%d processes were killed or crashed, or warnings", n)
	}
	for _, at := range []string{address, fmt.Sprintf("127.0.0.1:%d", ports[0])} {
		if conn, err := net.Dial("tcp", at); err == nil {
			_ = conn.Close()
			t.Errorf("%s is still open", at)
		}
	}
}

// TestDebugDetach checks that Delve attaches again after a debugger has made it detach, and
// that a panic, at which Delve stops the process, is reported.
func TestDebugDetach(t *testing.T) {
	t.Parallel()
	file, ports := shop(t, onlyItems)
	s, address := startDebugged(t, file)
	first, next := s.awaitKind(0, KindDebugger, "items")
	s.awaitKind(0, KindReady, "items")
	client := dialDelve(t, address)
	client.call("Command", command{"halt"}, new(any))
	client.Go("RPCServer.Detach", map[string]bool{"Kill": false}, new(any), nil) // on a busy machine, Delve may detach and not reply
	second, next := s.awaitKind(next, KindDebugger, "items")
	if second.URL != first.URL || second.Pid != first.Pid || who(t, dial(t, ports[0])).Pid != first.Pid {
		t.Errorf("attached again: %+v, want as before: %+v", second, first)
	}
	if err := dial(t, ports[0]).Emit(t.Context(), micro.Name("panic"), nil); err != nil && !errors.Is(err, micro.ErrConnectionLost) {
		t.Fatal(err)
	}
	if e, _ := s.awaitKind(next, KindWarning, "items"); !strings.Contains(e.Text, "panic") {
		t.Errorf("warning %q, want that it stopped at a panic", e.Text)
	}
	dialDelve(t, address).Go("RPCServer.Command", command{"continue"}, new(any), nil)
	_, next = s.awaitKind(next, KindCrashed, "items")
	third, _ := s.awaitKind(next, KindDebugger, "items")
	s.awaitKind(next, KindReady, "items")
	if third.URL != first.URL || third.Pid == first.Pid {
		t.Errorf("after the crash: %+v, want another process at %s", third, first.URL)
	}
}

// TestDebugFails checks what a run does if a debugger cannot attach: it reports why, and the
// service runs.
func TestDebugFails(t *testing.T) {
	t.Parallel()
	file, ports := shop(t, onlyItems+"  command: {command: [$SELF, __command], port: $2}\n")
	inUse, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer inUse.Close()
	var port *DebugPortError
	err = runOnce(t, file, Options{Debug: map[string]int{"items": inUse.Addr().(*net.TCPAddr).Port}})
	if !errors.As(err, &port) || !strings.HasPrefix(err.Error(), "debugger of service items: port 127.0.0.1:") {
		t.Errorf("with a port that is in use: error %v", err)
	}

	delve := filepath.Join(t.TempDir(), "dlv")
	writeProgram(t, delve, "#!/bin/sh\necho API server listening at: x\necho could not attach to pid $2 >&2\nexit 1\n")
	s := start(t, file, Options{Debug: map[string]int{"items": freePort(t), "command": freePort(t)}, Delve: delve, inspectWait: time.Millisecond})
	ready, _ := s.awaitKind(0, KindReady, "items")
	e, _ := s.awaitKind(0, KindWarning, "items")
	if want := fmt.Sprintf("no debugger: could not attach to pid %d", ready.Pid); e.Text != want {
		t.Errorf("warning %q, want %q", e.Text, want)
	}
	who(t, dial(t, ports[0]))
	if e, _ := s.awaitKind(0, KindWarning, "command"); !strings.HasPrefix(e.Text, "no debugger: no Node.js process of command has opened its port") {
		t.Errorf("warning %q, want that it is no Node.js program", e.Text)
	}
}

// TestDebugIsNotTimed checks that a service that is debugged is not given up when it does
// not become ready in time, even if that would end the run.
func TestDebugIsNotTimed(t *testing.T) {
	t.Parallel()
	file, _ := shop(t, "name: shop\nservices:\n  late: {command: [$SELF, __command, mute], port: $1}\n")
	s := start(t, file, Options{Debug: map[string]int{"late": freePort(t)}, FailFast: true, ReadyTimeout: 10 * time.Millisecond})
	e, _ := s.awaitKind(0, KindNote, "late")
	if want := "not ready after 10ms; msctl keeps waiting, because a debugger may hold it"; e.Text != want {
		t.Errorf("note %q, want %q", e.Text, want)
	}
	s.awaitKind(0, KindStarting, "late")
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	if n := len(s.find(KindNote, "late")); n != 1 {
		t.Errorf("%d notes, want 1", n)
	}
}

// The programs of a service that npm and another tool start. All of them are Node.js
// programs, and the tool opens ports of its own.
const (
	nodePackage = `{"name":"web","version":"1.0.0","scripts":{"start":"node tool.js"}}`
	nodeTool    = `const http = require('node:http');
const { spawn } = require('node:child_process');
http.createServer().listen(0, '127.0.0.1', () => {
  const service = spawn(process.execPath, ['service.js'], { stdio: 'inherit' });
  service.on('exit', (code) => process.exit(code ?? 1));
});
process.on('SIGTERM', () => {}); // the service has received it as well
`
	nodeService = `const http = require('node:http');
const net = require('node:net');
const { spawn } = require('node:child_process');
const at = process.env.NATS_URL && new URL(process.env.NATS_URL);
if (at) {
  net.connect({ port: Number(at.port), host: at.hostname }).on('data', () => {});
} else {
  http.createServer((_, res) => res.end('{}')).listen(Number(process.env.PORT), 'localhost');
}
spawn(process.execPath, ['-e', 'require("node:http").createServer().listen(' + (process.env.PORT || 0) + ').on("error", () => {})'], { stdio: 'inherit' });
process.on('SIGTERM', () => process.exit(0));
`
)

// TestDebugNode checks that the Node.js program of a service opens its inspector, and not the
// programs that start it, nor those that it starts, and that the port stays the same after
// a change.
func TestDebugNode(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(program + " is not installed")
		}
	}
	for name, service := range map[string]string{
		"port":   "{command: npm start, dir: web, port: $1, ready: http, watch: [web/service.js]}",
		"broker": "{command: npm start, dir: web, transport: nats, watch: [web/service.js]}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file, _ := shop(t, "name: shop\nservices:\n  web: "+service+"\n")
			web := filepath.Join(filepath.Dir(file), "web")
			if err := os.Mkdir(web, 0o700); err != nil {
				t.Fatal(err)
			}
			for name, text := range map[string]string{"package.json": nodePackage, "tool.js": nodeTool, "service.js": nodeService} {
				write(t, filepath.Join(web, name), text)
			}
			port := freePort(t)
			s := start(t, file, Options{Debug: map[string]int{"web": port}, settleTime: 10 * time.Millisecond, inspectWait: testTimeout})
			next, address := 0, fmt.Sprintf("127.0.0.1:%d", port)
			for range 2 {
				s.awaitKind(next, KindReady, "web")
				e, _ := s.awaitKind(next, KindDebugger, "web")
				if e.URL != address {
					t.Errorf("debugger at %s, want %s", e.URL, address)
				}
				if text := get(t, "http://"+address+"/json/list"); !strings.Contains(text, "service.js") {
					t.Errorf("the program that is debugged is %s", text)
				}
				next = s.now()
				s.edit("web/service.js", "const at", "\nconst at")
			}
			s.awaitKind(next, KindDebugger, "web")
			if err := s.stop(); err != nil {
				t.Error(err)
			}
			if n := len(s.find(KindWarning, "web")); n > 0 {
				t.Errorf("%d warnings", n)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			for _, e := range s.events {
				if e.Kind == KindLog && strings.Contains(e.Text, "Starting inspector") {
					t.Errorf("another program has tried to open the port: %s", e.Text)
				}
			}
		})
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
