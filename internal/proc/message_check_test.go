package proc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/proc/child"
	"github.com/msctl/msctl/internal/workspace"
	"github.com/msctl/msctl/runtime/micro"
)

// TestNotReadyNamesTheCause: the reason for which a program does not become ready names the
// protocol that it speaks, or that it does not answer.
func TestNotReadyNamesTheCause(t *testing.T) {
	for protocol, want := range map[string]string{
		"HTTP": "it speaks HTTP at 127.0.0.1:%d, not NestJS's TCP transport; with `ready: http`, msctl queries GET /health",
		"SSH":  "it speaks SSH at 127.0.0.1:%d, not NestJS's TCP transport",
		"":     "it accepts connections, but does not answer msctl.health: no answer in time",
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0") // it accepts connections, and never answers
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		if strings.Contains(want, "%d") {
			want = fmt.Sprintf(want, port)
		}
		spec := &workspace.Service{Name: "web", Host: "127.0.0.1", Port: port, Transport: workspace.TCP, Ready: workspace.ReadyMessage, Command: []string{"x"}}
		s := &service{unit: &unit{spec: spec}, stop: make(chan struct{}), run: &run{Supervisor: New(Options{
			Workspace: &workspace.Workspace{}, Protocol: func(context.Context, string) string { return protocol },
		})}}
		c := s.checkOpened(&process{Process: &child.Process{Pid: os.Getpid(), Exited: make(chan struct{})}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		err = c.diagnose(ctx, c.check(ctx))
		cancel()
		c.close()
		_ = l.Close()
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", protocol, err, want)
		}
	}
}

// TestPollKeepsAMissingAnswer: the reason for which a process did not become ready is that it
// does not answer, if it accepts connections by then, and not that it did not at first.
func TestPollKeepsAMissingAnswer(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	early := errors.New("nothing listens")
	c := &scriptedCheck{results: []func() error{
		func() error { return early },
		func() error { cancel(); return addressErrors{early, micro.ErrTimeout} },
	}}
	if err := poll(ctx, c); !errors.Is(err, micro.ErrTimeout) || err.Error() != "nothing listens; no answer in time" {
		t.Errorf("poll returned %v", err)
	}
}

// scriptedCheck returns one result after the other.
type scriptedCheck struct{ results []func() error }

func (c *scriptedCheck) check(context.Context) error {
	next := c.results[0]
	c.results = c.results[1:]
	return next()
}

func (c *scriptedCheck) close() {}
