package node_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/msctl/msctl/internal/tap"
	"github.com/msctl/msctl/internal/tap/node"
	"github.com/msctl/msctl/internal/test/testenv"
)

func TestMain(m *testing.M) {
	if config, ok := os.LookupEnv(goVariable); ok {
		if err := serveGo(config); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// limit is how long a test waits for programs. It is long because the machine may be busy with other tests.
const limit = 3 * time.Minute

// collector is a hub, with the messages that it has collected.
type collector struct {
	*tap.Hub
	viewer *tap.Viewer
	all    []tap.Message
}

func listen(t *testing.T) *collector {
	t.Helper()
	hub, err := tap.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	viewer, _ := hub.View()
	t.Cleanup(hub.Close)
	return &collector{Hub: hub, viewer: viewer}
}

// await collects messages until done returns true for all of them, and fails the test after the limit.
func (c *collector) await(t *testing.T, what string, done func([]tap.Message) bool) []tap.Message {
	t.Helper()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for !done(c.all) {
		select {
		case m, ok := <-c.viewer.C:
			if !ok {
				t.Fatal("the hub has ended")
			}
			c.all = append(c.all, m)
		case <-timer.C:
			t.Fatalf("%s: not after %s; collected:\n%s", what, limit, text(c.all))
		}
	}
	return c.all
}

func text(messages []tap.Message) string {
	var b strings.Builder
	for _, m := range messages {
		line, _ := json.Marshal(m)
		b.Write(append(line, '\n'))
	}
	return b.String()
}

// preload writes the script into a folder whose name contains a space, and returns its path.
func preload(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "a folder")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path, err := node.Write(dir)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// clean returns the environment without the variables that observe.
func clean() []string {
	return slices.DeleteFunc(os.Environ(), func(entry string) bool {
		return strings.HasPrefix(entry, "NODE_OPTIONS=") || strings.HasPrefix(entry, "MSCTL_TAP=")
	})
}

// command returns a Node.js program that is observed, in the folder of the NestJS programs.
func command(ctx context.Context, script, setting string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "node", args...)
	cmd.Dir = filepath.Join(testenv.Root(), "testdata", "nest")
	cmd.Env = append(clean(), "LC_ALL=C", "NO_COLOR=1")
	if setting != "" {
		cmd.Env = append(cmd.Env, setting)
	}
	cmd.Env = append(cmd.Env, node.Env(script, cmd.Env)...)
	return cmd
}

// start starts a program of testdata/nest and waits until it is listening. It ends with the test.
func (c *collector) start(t *testing.T, version testenv.Version, script, service string, args ...string) {
	t.Helper()
	cmd := command(context.Background(), script, c.Env(service), args...)
	cmd.Env = append(cmd.Env, "NEST_DIR="+filepath.Join(cmd.Dir, string(version)))
	run(t, cmd)
}

// run starts a program and waits until it prints that it is listening. It ends with the test.
func run(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	var errors bytes.Buffer
	cmd.Stderr = &errors
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(limit, func() { _ = cmd.Process.Kill() })
	lines := bufio.NewScanner(stdout)
	listening := false
	for !listening && lines.Scan() {
		listening = strings.Contains(lines.Text(), `"event":"listening"`)
	}
	kill.Stop()
	t.Cleanup(func() {
		_ = stdin.Close()
		kill := time.AfterFunc(limit, func() { _ = cmd.Process.Kill() })
		_, _ = io.Copy(io.Discard, stdout)
		_ = cmd.Wait()
		kill.Stop()
		if t.Failed() {
			t.Logf("%s: %s", strings.Join(cmd.Args, " "), errors.String())
		}
	})
	if !listening {
		t.Fatalf("%s ended before it listened", strings.Join(cmd.Args, " "))
	}
}
