package proc

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/proc/child"
	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/internal/workspace"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
)

// needIPv6 skips a test on a machine without ::1.
func needIPv6(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("no IPv6 on this machine")
	}
	_ = l.Close()
}

// TestAddressFamilies checks that a command is found at whichever address of localhost it
// listens on, and that other services get this address.
func TestAddressFamilies(t *testing.T) {
	t.Parallel()
	needIPv6(t)
	hosts := map[string]string{"four": "127.0.0.1", "six": "::1", "every-four": "0.0.0.0", "every": "::"}
	file, ports := shop(t, `name: shop
services:
  four: {command: [$SELF, __command, host=127.0.0.1], port: $1}
  six: {command: [$SELF, __command, "host=::1"], port: $2}
  every-four: {command: [$SELF, __command, host=0.0.0.0], port: $3}
  every: {command: [$SELF, __command, "host=::"], port: $4, host: "::"}
  process: {command: [$SELF, __command, "host=::1"], port: $5, ready: process}
  items: {path: ./items, port: $6, depends_on: [four, six, every-four, every, process]}
`)
	s := start(t, file, Options{NoWatch: true, settleTime: 200 * time.Millisecond})
	s.awaitKind(0, KindAllReady, "")
	status := statusOf(t, s)
	want := map[string]string{
		"four": "tcp://127.0.0.1:%d", "six": "tcp://[::1]:%d", "every-four": "tcp://127.0.0.1:%d", "every": "tcp://[::1]:%d", "process": "",
	}
	for i, name := range []string{"four", "six", "every-four", "every", "process"} {
		url := fmt.Sprintf(want[name], ports[i])
		if want[name] == "" { // it may not listen yet when the time has passed
			continue
		}
		ready, _ := s.awaitKind(0, KindReady, name)
		if strings.HasPrefix(name, "every") { // it answers at both, and the first is preferred if the machine is not too busy
			url = ready.URL
		}
		if ready.URL != url || status.Services[i].URL != url {
			t.Errorf("%s listens at %s: announced as %s and %s, want %s", name, hosts[name], ready.URL, status.Services[i].URL, url)
		}
		variable := urlVariable(&workspace.Service{Name: name})
		got, err := micro.Call[string](t.Context(), dial(t, ports[5]), micro.Name("env"), variable)
		if err != nil || got != url {
			t.Errorf("items has %s=%q (error %v), want %q", variable, got, err, url)
		}
	}
}

// openedServer is a server that the test runs at address; it ends with the test.
func openedServer(t *testing.T, address string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	listener := microtcp.Listen(address)
	done.Go(func() {
		if err := micro.NewServer(micro.WithoutDescribe()).Serve(ctx, listener); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		done.Wait()
	})
	if err := listener.Ready(ctx); err != nil {
		t.Fatal(err)
	}
}

// TestStranger checks that an answer counts only if it comes from the process of the
// service, or from a process that the system does not reveal.
func TestStranger(t *testing.T) {
	if runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
		t.Skip("the owners of ports are not known on this system")
	}
	port, err := testenv.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	other := exec.Command("sleep", "600")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = other.Process.Kill()
		_ = other.Wait()
	})
	spec := &workspace.Service{Name: "items", Host: "localhost", Port: port, Transport: workspace.TCP, Ready: workspace.ReadyMessage, Command: []string{"x"}}
	s := &service{unit: &unit{spec: spec}, run: &run{Supervisor: New(Options{Workspace: &workspace.Workspace{}})}}
	check := func(pid int) (*openedCheck, error) {
		c := s.checkOpened(&process{Process: &child.Process{Pid: pid}})
		defer c.close()
		return c, c.check(t.Context())
	}
	_, err = check(other.Process.Pid)
	if want := fmt.Sprintf("nothing listens at 127.0.0.1:%d or [::1]:%d", port, port); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("before anything listens: error %v, want %q…", err, want)
	}
	openedServer(t, fmt.Sprintf("127.0.0.1:%d", port))
	_, err = check(other.Process.Pid)
	if want := fmt.Sprintf("pid %d (", os.Getpid()); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "is no process of this service") {
		t.Errorf("if another process listens: error %v, want %q…", err, want)
	}
	c, err := check(os.Getpid())
	if want := fmt.Sprintf("127.0.0.1:%d", port); err != nil || c.found != want {
		t.Errorf("if the process itself listens: found %q, error %v, want %q", c.found, err, want)
	}
	spec.Port = 1
	_, err = check(os.Getpid())
	want, own := "nothing listens at 127.0.0.1:1 or [::1]:1; it listens at ", fmt.Sprintf("127.0.0.1:%d", port) // and where testenv keeps ports
	if runtime.GOOS == "linux" && (err == nil || !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), own)) {
		t.Errorf("if it listens on another port: error %v, want %q with %s", err, want, own)
	}
	spec.Port = port
	if c, err := check(os.Getppid()); err != nil || c.found == "" {
		t.Errorf("if a descendant listens: found %q, error %v", c.found, err)
	}
}

// TestOccupiedPort checks that a service is not started while another process listens on
// its port, at either address of localhost.
func TestOccupiedPort(t *testing.T) {
	t.Parallel()
	needIPv6(t)
	for _, host := range []string{"127.0.0.1", "[::1]", "[::]", "0.0.0.0"} {
		for _, how := range []string{"path: ./items", "command: [$SELF, __command]"} {
			l, err := net.Listen("tcp", host+":0")
			if err != nil {
				t.Fatal(err)
			}
			port := l.Addr().(*net.TCPAddr).Port
			file, _ := shop(t, fmt.Sprintf("name: shop\nservices:\n  items: {%s, port: %d}\n", how, port))
			err = runOnce(t, file, Options{})
			if want := fmt.Sprintf(":%d is in use by pid %d (", port, os.Getpid()); err == nil || runtime.GOOS == "linux" && !strings.Contains(err.Error(), want) {
				t.Errorf("%s, %s: error %v, want …%q…", host, how, err, want)
			}
			_ = l.Close()
		}
	}
}
