package proc

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/workspace"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
)

// TestMessageCheckNamesTheCause: the reason for which a process does not become ready names the
// protocol that it speaks, or that it does not answer.
func TestMessageCheckNamesTheCause(t *testing.T) {
	protocol := func(sent []byte) string {
		name, _, ok := strings.Cut(string(sent), "/")
		if !ok {
			return ""
		}
		return name
	}
	for _, tt := range []struct {
		sends, want string
		limit       time.Duration
	}{
		{"HTTP/1.1 400 Bad Request\r\n\r\n", "it speaks HTTP, not NestJS's TCP transport; with `ready: http`, msctl queries GET /health", time.Minute},
		{"SSH/2", "it speaks SSH, not NestJS's TCP transport", time.Minute},
		{"", "it accepts connections, but does not answer msctl.health: ", 3 * time.Second},
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan struct{})
		go func() {
			defer close(served)
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = conn.Read(make([]byte, 1024))
				if tt.sends != "" {
					_, _ = conn.Write([]byte(tt.sends))
					_ = conn.Close()
				} else {
					defer conn.Close()
				}
			}
		}()
		c := newMessageCheck(microtcp.Dial(l.Addr().String()), micro.HealthPattern, &workspace.Service{})
		c.protocol = protocol
		ctx, cancel := context.WithTimeout(t.Context(), tt.limit)
		err = c.check(ctx)
		cancel()
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %s", tt.sends, err, tt.want)
		}
		c.close()
		_ = l.Close()
		<-served
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
