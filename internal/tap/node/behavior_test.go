package node_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/tap"
	"github.com/msctl/msctl/internal/tap/node"
	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/gateway/auth"
	"github.com/msctl/msctl/runtime/principal"
	protocol "github.com/msctl/msctl/runtime/tap"
)

// ended is how a program ended.
type ended struct {
	Code           int
	Stdout, Stderr string
}

func finish(t *testing.T, cmd *exec.Cmd) ended {
	t.Helper()
	var out, failed bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &failed
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return ended{cmd.ProcessState.ExitCode(), out.String(), failed.String()}
}

// frame matches a line of a stack. The script has a frame of its own in that of a module that is loaded.
var frame = regexp.MustCompile(`(?m)^    at .*\n`)

// absent is the setting of a collector that does not exist.
const absent = protocol.Env + "=tcp://items:secret@127.0.0.1:1"

// write writes files below a new folder, by their paths, and returns it.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for path, content := range files {
		path = filepath.Join(dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// broken are installations of NestJS that fail when they are loaded.
func broken(t *testing.T) (commonJS, esm string) {
	t.Helper()
	files := func(kind, index, main string) map[string]string {
		return map[string]string{
			"package.json":                                     `{"type":"` + kind + `"}`,
			"main.js":                                          main,
			"node_modules/iterare/package.json":                `{"main":"lib/index.js"}`,
			"node_modules/iterare/lib/index.js":                `exports.iterate = 1;`,
			"node_modules/@nestjs/microservices/package.json":  `{"version":"0.0.1","type":"` + kind + `","main":"./index.js"}`,
			"node_modules/@nestjs/microservices/index.js":      index,
			"node_modules/@nestjs/microservices/client/x.js":   ``,
			"node_modules/@nestjs/microservices/context/x.cjs": ``,
		}
	}
	commonJS = write(t, files("commonjs", "require('iterare');\nthrow new Error('broken');", "require('@nestjs/microservices');"))
	esm = write(t, files("module", "import 'iterare';\nthrow new Error('broken');", "import '@nestjs/microservices';"))
	return commonJS, esm
}

// TestUnchanged checks that programs behave as they do without the script.
func TestUnchanged(t *testing.T) {
	needNode(t)
	script := preload(t)
	commonJS, esm := broken(t)
	tests := []struct {
		name, dir, stdin string
		env              []string
		args             []string
	}{
		{name: "no NestJS", args: []string{"-e", "0"}},
		{name: "an exit code", args: []string{"-e", "process.exit(3)"}},
		{name: "an uncaught exception", args: []string{"-e", "throw new Error('x')"}},
		{name: "an unhandled rejection", args: []string{"-e", "Promise.reject(new Error('x'))"}},
		{name: "a script on standard input", stdin: "console.log(1+1)", args: []string{"-"}},
		{name: "options of the application", env: []string{"NODE_OPTIONS=--title=shop --no-warnings"}, args: []string{"-p", "process.title"}},
		{name: "the script is not visible", args: []string{"-p", "JSON.stringify([process.argv.length, process.execArgv, module.children.length, Object.keys(process).includes('msctl')])"}},
		{name: "the inspector", args: []string{"--inspect=127.0.0.1:0", "-e", "process.stderr.write = () => {}; console.log(require('node:inspector').url() !== undefined)"}},
		{name: "a broken NestJS in CommonJS", dir: commonJS, args: []string{"main.js"}},
		{name: "a broken NestJS in ESM", dir: esm, args: []string{"main.js"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			run := func(observed bool) ended {
				cmd := exec.CommandContext(t.Context(), "node", tt.args...)
				cmd.Dir, cmd.Stdin = tt.dir, strings.NewReader(tt.stdin)
				cmd.Env = append(clean(), tt.env...)
				if observed {
					cmd.Env = append(cmd.Env, absent)
					cmd.Env = append(cmd.Env, node.Env(script, cmd.Env)...)
				}
				e := finish(t, cmd)
				e.Stderr = frame.ReplaceAllString(e.Stderr, "")
				if strings.Contains(e.Stderr, "Debugger listening on ws://") {
					e.Stderr = "" // contains a random port and ID
				}
				return e
			}
			want, got := run(false), run(true)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("outcome (-without +with the script):\n%s", diff)
			}
		})
	}
}

// TestOwnError checks that an error of the script is reported once, and does not reach the program.
func TestOwnError(t *testing.T) {
	needNode(t)
	dir := write(t, map[string]string{
		"main.js": `const { ClientProxy } = require('@nestjs/microservices/client/client-proxy.js');
const { RpcProxy } = require('@nestjs/microservices/context/rpc-proxy.js');
console.log(new ClientProxy().send('a', {}), new ClientProxy().emit('a', {}), RpcProxy.name);`,
		"node_modules/@nestjs/microservices/package.json":           `{"version":"0.0.1"}`,
		"node_modules/@nestjs/microservices/client/client-proxy.js": `exports.ClientProxy = class ClientProxy { send() { return 1; } emit() { return 2; } };`,
		"node_modules/@nestjs/microservices/context/rpc-proxy.js": `class RpcProxy { handleError() {} }
Object.defineProperty(exports, 'RpcProxy', { enumerable: true, get: () => { if (new Error().stack.includes('adopt')) throw new Error('unexpected'); return RpcProxy; } });`,
	})
	cmd := command(t.Context(), preload(t), absent, "main.js")
	cmd.Dir = dir
	got := finish(t, cmd)
	if got.Code != 0 || got.Stdout != "1 2 RpcProxy\n" {
		t.Errorf("the program ended with %d and printed %q", got.Code, got.Stdout)
	}
	if strings.Count(got.Stderr, "no longer shown") != 1 || !strings.Contains(got.Stderr, "unexpected") {
		t.Errorf("standard error is %q, want one report", got.Stderr)
	}
}

// TestCollector checks that services work whatever the collector does.
func TestCollector(t *testing.T) {
	testenv.NeedNest(t, testenv.Nest11)
	script := preload(t)
	tests := []struct{ name, address string }{
		{"absent", "127.0.0.1:1"},
		{"never reads", testenv.ServeEach(t, func(net.Conn) { <-t.Context().Done() })},
		{"closes each connection", testenv.ServeEach(t, func(net.Conn) {})},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			setting, port := protocol.Env+"=tcp://items:secret@"+tt.address, freePort(t)
			program := func(args ...string) *exec.Cmd {
				cmd := command(context.WithoutCancel(t.Context()), script, setting, args...)
				cmd.Env = append(cmd.Env, "NEST_DIR=v11")
				return cmd
			}
			run(t, program("nest-server.mjs", "--until-stdin-ends", "--port", port))
			for range 2 {
				got := finish(t, program("nest-client.mjs", "--port", port, "--pattern", `{"cmd":"sum"}`, "--data", "[1,2]"))
				want := ended{Stdout: `{"event":"next","value":3}` + "\n" + `{"event":"complete"}` + "\n"}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("client (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// TestCommonJS checks applications in CommonJS, also with NestJS 12, which is ESM, and that their telemetry does not contain the
// connection of the script.
func TestCommonJS(t *testing.T) {
	for _, version := range testenv.Versions() {
		t.Run(string(version), func(t *testing.T) {
			testenv.NeedNest(t, version)
			c := listen(t)
			program, err := filepath.Abs(filepath.Join("testdata", "commonjs.cjs"))
			if err != nil {
				t.Fatal(err)
			}
			got := finish(t, command(t.Context(), preload(t), c.Env("items"), program, filepath.Join(testenv.Root(), "testdata", "nest", string(version)), freePort(t)))
			if want := `{"status":"error","message":"Internal server error"}` + "\n1 connections\n"; got.Code != 0 || got.Stdout != want {
				t.Fatalf("the program ended with %+v", got)
			}
			c.awaitJoined(t, "original error")
		})
	}
}

// awaitJoined waits for a message that was sent and handled, and whose handler failed with the error.
func (c *collector) awaitJoined(t *testing.T, failure string) (handled tap.Message) {
	t.Helper()
	c.await(t, "a message at both ends", func(all []tap.Message) bool {
		sent := map[string]bool{}
		for _, m := range all {
			sent[m.Trace+m.Span] = sent[m.Trace+m.Span] || m.Kind == protocol.Send
		}
		for _, m := range all {
			if m.Kind == protocol.Handle && !m.Open && sent[m.Trace+m.Parent] && (failure == "" || m.Error != nil && m.Error.Message == failure) {
				handled = m
				return true
			}
		}
		return false
	})
	return handled
}

// TestLoader checks that NestJS 12 is observed with a loader that reads the modules itself.
func TestLoader(t *testing.T) {
	testenv.NeedNest(t, testenv.Nest12)
	loader, err := filepath.Abs(filepath.Join("testdata", "loader.mjs"))
	if err != nil {
		t.Fatal(err)
	}
	c, script, port := listen(t), preload(t), freePort(t)
	dir := write(t, map[string]string{"package.json": `{"type":"module"}`})
	modules := filepath.Join(testenv.Root(), "testdata", "nest", "v12", "node_modules")
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Skip(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "nest"), os.DirFS(filepath.Join(testenv.Root(), "testdata", "nest", "lib"))); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"nest-server.mjs", "nest-client.mjs"} {
		text, err := os.ReadFile(filepath.Join(testenv.Root(), "testdata", "nest", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), bytes.ReplaceAll(text, []byte("./lib/"), []byte("./nest/")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	program := func(args ...string) *exec.Cmd {
		cmd := command(context.WithoutCancel(t.Context()), script, c.Env("items"), append([]string{"--import", loader}, args...)...)
		cmd.Dir = dir
		cmd.Env = append(cmd.Env, "NEST_DIR="+dir)
		return cmd
	}
	run(t, program("nest-server.mjs", "--until-stdin-ends", "--port", port))
	for range 2 { // NestJS is found while the program starts, so the client may have sent its message before
		finish(t, program("nest-client.mjs", "--port", port, "--pattern", `{"cmd":"rejectError"}`))
	}
	c.await(t, "a message that was handled", func(all []tap.Message) bool {
		for _, m := range all {
			if m.Kind == protocol.Handle && m.Error != nil && m.Error.Message == "rejected error" {
				return true
			}
		}
		return false
	})
}

// TestThreads checks services in a worker thread and in a cluster.
func TestThreads(t *testing.T) {
	testenv.NeedNest(t, testenv.Nest12)
	threads, err := filepath.Abs(filepath.Join("testdata", "threads.mjs"))
	if err != nil {
		t.Fatal(err)
	}
	for _, how := range []string{"thread", "cluster"} {
		t.Run(how, func(t *testing.T) {
			c, script, port := listen(t), preload(t), freePort(t)
			server := command(context.Background(), script, c.Env("items"), threads, how, "./nest-server.mjs", "--port", port)
			server.Env = append(server.Env, "NEST_DIR=v12")
			run(t, server)
			client := command(t.Context(), script, c.Env("client"), "nest-client.mjs", "--port", port, "--pattern", `{"cmd":"rejectError"}`)
			client.Env = append(client.Env, "NEST_DIR=v12")
			if got := finish(t, client); got.Code != 1 {
				t.Fatalf("client: %+v", got)
			}
			handled := c.awaitJoined(t, "rejected error")
			if other := handled.PID != server.Process.Pid; handled.Service != "items" || other != (how == "cluster") {
				t.Errorf("handled by process %d of %s; the first is %d", handled.PID, handled.Service, server.Process.Pid)
			}
		})
	}
}

// TestGuide checks the routes of HTTP requests to Express, in a system as teams build them.
func TestGuide(t *testing.T) {
	testenv.NeedNest(t, testenv.NestApps)
	secret := strings.Repeat("token-", 6)
	token, err := auth.TokenConfig{Issuer: "msctl", Audience: "shop", Secrets: [][]byte{[]byte(secret)}}.Sign(&principal.Principal{Subject: "ada"})
	if err != nil {
		t.Fatal(err)
	}
	c, script, items, gateway := listen(t), preload(t), freePort(t), freePort(t)
	t.Setenv("MS_HOST", "127.0.0.1")
	t.Setenv("MS_ONE_HOST", "127.0.0.1")
	t.Setenv("MS_ONE_PORT", items)
	t.Setenv("JWT_SECRET", secret)
	c.start(t, testenv.NestApps, script, "items", "guide.mjs", "--until-stdin-ends", "--program", "items", "--port", items)
	c.start(t, testenv.NestApps, script, "gateway", "guide.mjs", "--until-stdin-ends", "--program", "gateway", "--port", gateway)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:"+gateway+"/items/unknown?secret=1", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	want := `
http gateway GET /items/{id} error 404
  send gateway findOneItem error "Item with ID unknown not found" 404
    handle items findOneItem error "Item with ID unknown not found" of its own 404
`
	c.await(t, "want:"+want, func(all []tap.Message) bool { return tree(all, "/items/unknown") == want[1:] })
	for _, m := range c.all {
		if m.Trace != "0af7651916cd43dd8448eb211c80319c" {
			t.Errorf("trace %s is not that of the request", m.Trace)
		}
	}
}

// TestUnanswered checks requests whose caller disconnects, and services that cannot be reached.
func TestUnanswered(t *testing.T) {
	testenv.NeedNest(t, testenv.Nest11)
	c, script := listen(t), preload(t)
	silent := testenv.ServeEach(t, func(net.Conn) { <-t.Context().Done() })
	_, silentPort, _ := net.SplitHostPort(silent)
	waiting, refused := freePort(t), freePort(t)
	c.start(t, testenv.Nest11, script, "waiting", "tap-service.mjs", "--name", "edge", "--http", "--port", waiting, "--next", `{"name":"a","port":"`+silentPort+`"}`)
	c.start(t, testenv.Nest11, script, "refused", "tap-service.mjs", "--name", "edge", "--http", "--port", refused, "--next", `{"name":"a","port":"1"}`)
	(&chain{c, "http://127.0.0.1:" + refused}).get(t, "/count")
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	left := make(chan error, 1)
	go func() {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:"+waiting+"/hop", http.NoBody)
		if err == nil {
			var res *http.Response
			if res, err = http.DefaultClient.Do(req); err == nil {
				_ = res.Body.Close()
			}
		}
		left <- err
	}()
	c.await(t, "a request that waits", func(all []tap.Message) bool {
		return tree(all, "/hop") == "http waiting GET /hop open\n  send waiting hop open\n"
	})
	leave()
	if err := <-left; err == nil {
		t.Error("the request has been answered")
	}
	want := `
http refused GET /count error 502
  send refused count unreachable "connect ECONNREFUSED 127.0.0.1:1" of its own
http waiting GET /hop abandoned
  send waiting hop open
`
	c.await(t, "want:"+want, func(all []tap.Message) bool { return tree(all, "/count")+tree(all, "/hop") == want[1:] })
}
