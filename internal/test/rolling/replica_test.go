//go:build unix

package rolling

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/micronats"
	"github.com/msctl/msctl/runtime/microrabbit"
	"github.com/msctl/msctl/runtime/microredis"
	"github.com/msctl/msctl/runtime/microtcp"
)

// With these variables, the test binary is a replica: the name of its transport, the URL of the
// broker or the address of its port, and its drain grace.
const (
	replicaEnv = "MSCTL_TEST_REPLICA"
	urlEnv     = "MSCTL_TEST_REPLICA_URL"
	graceEnv   = "MSCTL_TEST_REPLICA_GRACE" // on TCP
)

const (
	service = "rolling"             // the queue or queue group
	takes   = 20 * time.Millisecond // of the handler
)

var work = micro.Cmd("work")

// listen returns the listener of a replica.
func listen(transport, url string) micro.Listener {
	switch transport {
	case "tcp":
		grace, _ := time.ParseDuration(os.Getenv(graceEnv)) // startReplica sets it
		return microtcp.Listen(url, microtcp.WithDrainGrace(grace))
	case "rabbitmq":
		return microrabbit.Listen(url, service)
	case "redis":
		return microredis.Listen(url)
	}
	return micronats.Listen(url, micronats.WithQueue(service))
}

// runReplica serves until SIGTERM. It prints its address when it is ready, and how many requests
// it has handled at the end.
func runReplica(transport, url string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var handled atomic.Int64
	s := micro.NewServer(micro.WithLogger(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))))
	micro.Handle(s, work, func(ctx context.Context, n int) (int, error) {
		handled.Add(1)
		timer := time.NewTimer(takes)
		defer timer.Stop()
		select {
		case <-timer.C:
			return n, nil
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	})
	l := listen(transport, url)
	go func() {
		if addr, err := l.(interface {
			Addr(context.Context) (net.Addr, error)
		}).Addr(ctx); err == nil {
			fmt.Println(addr)
		}
	}()
	if err := s.Serve(ctx, l); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(handled.Load())
	return 0
}

// replica is a process of the service.
type replica struct {
	cmd  *exec.Cmd
	out  *bufio.Reader
	addr string
}

// startReplica starts a replica and returns when it is ready.
func startReplica(t *testing.T, transport, url string, grace time.Duration) *replica {
	t.Helper()
	r := &replica{cmd: exec.Command(os.Args[0])} //nolint:gosec // this program
	r.cmd.Env = append(os.Environ(), replicaEnv+"="+transport, urlEnv+"="+url, graceEnv+"="+grace.String())
	r.cmd.Stderr = os.Stderr
	pipe, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // if the test has not ended it
		_ = r.cmd.Process.Kill()
		_ = r.cmd.Wait()
	})
	r.out = bufio.NewReader(pipe)
	line, err := r.out.ReadString('\n')
	if err != nil {
		t.Fatalf("a replica does not start: %v", err)
	}
	r.addr = strings.TrimSpace(line)
	return r
}

// terminate asks a replica to end, as Kubernetes does.
func (r *replica) terminate(t *testing.T) {
	t.Helper()
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
}

// ended waits for the end of a replica, and returns how many requests it has handled.
func (r *replica) ended(t *testing.T) (handled int) {
	t.Helper()
	if _, err := fmt.Fscanln(r.out, &handled); err != nil {
		t.Errorf("the last words of a replica: %v", err)
	}
	if err := r.cmd.Wait(); err != nil {
		t.Errorf("a replica ended with %v", err)
	}
	return handled
}
