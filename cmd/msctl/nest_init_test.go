package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/internal/workspace"
)

// layout is a folder of testdata/nestinit that a test runs.
type layout struct {
	name string
	// ports are those in its files. The test replaces them with free ones.
	ports []int
	// services are those to run without the packages in testdata/nest/apps, which HTTP
	// needs; nil if it needs them.
	services []string
	// patterns is how many patterns the services have, and in how many they have in all.
	patterns, all int
	needs         func(testing.TB)
	long          bool
}

func layouts() []layout {
	return []layout{
		{name: "01-single", ports: []int{4010}, services: []string{"billing-service"}, patterns: 3, all: 3},
		{name: "05-nx", ports: []int{3000, 4222}, services: []string{"flights", "hotels-service"}, patterns: 4, all: 4},
		{name: "07-pnpm", ports: []int{8080, 4001, 4002}, services: []string{"accounts", "transfers"}, patterns: 2, all: 2},
		{name: "08-folders", ports: []int{3000, 3001, 3003, 4222}, all: 3},
		{name: "06-turborepo", ports: []int{6379}, all: 4, needs: func(tb testing.TB) { tb.Helper(); testenv.NeedRedis(tb) }, long: true},
		{name: "02-hybrid", ports: []int{3000, 5672}, all: 2, needs: needRabbit, long: true},
		{name: "03-nest-monorepo", ports: []int{3001, 3002, 3003, 5672}, all: 5, needs: needRabbit, long: true},
		{name: "04-nest-rmq", ports: []int{3000, 5672}, all: 2, needs: needRabbit, long: true},
	}
}

func needRabbit(tb testing.TB) { tb.Helper(); testenv.NeedRabbitMQ(tb) }

// TestNestInit runs each layout with real NestJS, as a user does: `init` writes msctl.yaml,
// `run` starts it, and `send` and `emit` find the service of each pattern.
func TestNestInit(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the development tools are shell scripts")
	}
	testenv.NeedNest(t, testenv.Nest12)
	apps := testenv.NestMissing(testenv.NestApps) == ""
	for _, l := range layouts() {
		t.Run(l.name, func(t *testing.T) {
			if l.long && (testing.Short() || os.Getenv("MSCTL_TEST_ALL") == "") {
				t.Skip("set MSCTL_TEST_ALL to run it")
			}
			if l.services == nil && !apps {
				t.Skip("its packages are not installed: run `make nest`")
			}
			if l.needs != nil {
				l.needs(t)
			}
			t.Parallel()
			l.run(t, apps)
		})
	}
}

func (l layout) run(t *testing.T, apps bool) {
	t.Helper()
	u := newNestUser(t, l, apps)
	u.must("init")
	args := []string{"run", "--detach", "--no-watch", "--ready-timeout", "5m"}
	want := l.all
	if !apps {
		args, want = append(args, l.services...), l.patterns
	}
	t.Cleanup(func() { u.msctl("stop") })
	u.must(args...)
	sent := 0
	for line := range strings.Lines(u.must("ls", "-o", "json")) {
		var service struct {
			Service  string
			Handlers []struct {
				Pattern json.RawMessage
				Kind    string
			}
		}
		if err := json.Unmarshal([]byte(line), &service); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if !apps && !slices.Contains(l.services, service.Service) {
			continue
		}
		for _, h := range service.Handlers {
			command := "send"
			if h.Kind == "event" {
				command = "emit"
			}
			// A program on Redis or NATS may not have subscribed yet when it counts as ready.
			u.must(command, string(h.Pattern), `{"id":1}`, "--timeout", "2m", "--retries", "1000", "--retry-delay", "200ms")
			sent++
		}
	}
	if sent != want {
		t.Errorf("%d patterns, want %d", sent, want)
	}
}

// nestUser runs msctl in a copy of a layout.
type nestUser struct {
	t      *testing.T
	binary string
	dir    string
	env    []string
}

// namedMsctl returns the program of the test under the name msctl, which makes it msctl,
// also where it starts itself in the background.
func namedMsctl(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	named := filepath.Join(t.TempDir(), "msctl")
	if os.Link(self, named) == nil {
		return named
	}
	text, err := os.ReadFile(self)
	if err == nil {
		err = os.WriteFile(named, text, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	return named
}

// newNestUser copies a layout, without its msctl.yaml and with free ports, and installs
// NestJS in it.
func newNestUser(t *testing.T, l layout, apps bool) *nestUser {
	t.Helper()
	root, dir := testenv.Root(), filepath.Join(t.TempDir(), "layout")
	u := &nestUser{t: t, dir: dir, binary: namedMsctl(t)}
	var replace []string
	for _, port := range l.ports {
		free, err := testenv.FreePort()
		if err != nil {
			t.Fatal(err)
		}
		replace = append(replace, strconv.Itoa(port), strconv.Itoa(free))
	}
	source := filepath.Join(root, "testdata", "nestinit", l.name)
	copyTree(t, source, dir, strings.NewReplacer(replace...))
	version := "v12"
	if apps {
		version = "apps"
	}
	nest := filepath.Join(root, "testdata", "nest")
	u.link(filepath.Join(nest, version, "node_modules"))
	bin := filepath.Join(dir, "node_modules", ".bin")
	for _, tool := range []string{"nest", "nx", "tsx"} {
		script(t, filepath.Join(bin, tool), fmt.Sprintf("exec node %s %s \"$@\"", filepath.Join(nest, "tools.mjs"), tool))
	}
	managers := t.TempDir() // pnpm and yarn, with npm in their place
	script(t, filepath.Join(managers, "pnpm"), `case "$1" in exec) shift; exec npx "$@";; esac; exec npm "$@"`)
	script(t, filepath.Join(managers, "yarn"), `shift; if grep -q "\"$1\":" package.json; then exec npm run "$@"; fi; exec npx "$@"`)
	cache := t.TempDir()
	u.env = append(os.Environ(), "LAYOUT="+dir, "NEST_DIR="+filepath.Join(nest, version), "XDG_CACHE_HOME="+cache, "HOME="+cache, "PWD="+dir,
		"PATH="+managers+string(filepath.ListSeparator)+os.Getenv("PATH"), "npm_config_update_notifier=false", "NATS_URL=", "REDIS_URL=", "RABBITMQ_URL=")
	return u
}

// link makes the packages of a folder those of the layout.
func (u *nestUser) link(packages string) {
	u.t.Helper()
	entries, err := os.ReadDir(packages)
	if err != nil {
		u.t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(u.dir, "node_modules", ".bin"), 0o755); err != nil {
		u.t.Fatal(err)
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		if err := os.Symlink(filepath.Join(packages, entry.Name()), filepath.Join(u.dir, "node_modules", entry.Name())); err != nil {
			u.t.Fatal(err)
		}
	}
}

func script(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

// copyTree copies the files of a layout, without its msctl.yaml.
func copyTree(t *testing.T, from, to string, replace *strings.Replacer) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil || rel == workspace.FileName {
			return err
		}
		if entry.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), []byte(replace.Replace(string(text))), 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// msctl runs msctl in the layout.
func (u *nestUser) msctl(args ...string) result {
	u.t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := &exec.Cmd{Path: u.binary, Args: append([]string{"msctl"}, args...), Dir: u.dir, Env: u.env, Stdout: &stdout, Stderr: &stderr}
	if err := cmd.Run(); cmd.ProcessState == nil {
		u.t.Fatal(err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// must is msctl for a command that succeeds. It returns the standard output.
func (u *nestUser) must(args ...string) string {
	u.t.Helper()
	got := u.msctl(args...)
	if got.code != 0 {
		logs := u.msctl("logs")
		u.t.Fatalf("msctl %s: exit code %d\n%s%s\nlogs:\n%s%s", strings.Join(args, " "), got.code, got.stdout, got.stderr, logs.stdout, logs.stderr)
	}
	return got.stdout
}
