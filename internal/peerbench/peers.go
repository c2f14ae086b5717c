package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/msctl/msctl/internal/testenv"
)

// mark is a line that a client process prints.
type mark struct {
	Event     string    `json:"event"` // start or done
	Calls     int       `json:"calls,omitempty"`
	Latencies []float64 `json:"latencies,omitempty"` // p50 and p99 in ms
}

// service is a server process that is being measured.
type service struct {
	addr string
	cmd  *exec.Cmd
}

// usage is what a process has used at one moment.
func (s *service) usage() (time.Duration, error) { return cpuTime(s.cmd.Process.Pid) }

func (s *service) stop() {
	if s.cmd.Process.Signal(os.Interrupt) != nil { // Windows knows no other way
		_ = s.cmd.Process.Kill()
	}
	_ = s.cmd.Wait() // its end is what was asked for
}

// startService starts the server of who on a free port and returns when it accepts connections.
func startService(ctx context.Context, who string, args ...string) (*service, error) {
	port, err := testenv.FreePort()
	if err != nil {
		return nil, err
	}
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	cmd, err := peerCommand(ctx, who, "server", addr, args...)
	if err != nil {
		return nil, err
	}
	if who == nest { // it ends with its stdin
		if _, err := cmd.StdinPipe(); err != nil {
			return nil, err
		}
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the %s server: %w", who, err)
	}
	s := &service{addr: addr, cmd: cmd}
	if err := testenv.AwaitPort(ctx, addr); err != nil {
		s.stop()
		return nil, fmt.Errorf("start the %s server: %w", who, err)
	}
	return s, nil
}

// peerCommand is the command that runs the server or client role of who at addr.
func peerCommand(ctx context.Context, who, role, addr string, args ...string) (*exec.Cmd, error) {
	if who != nest {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		cmd := exec.CommandContext(ctx, self, append([]string{"-role", role, "-addr", addr}, args...)...)
		cmd.Stderr = os.Stderr
		cmd.Env = os.Environ()
		if who == single {
			cmd.Env = append(cmd.Env, "GOMAXPROCS=1")
		}
		if os.Getenv("GOGC") == "" {
			cmd.Env = append(cmd.Env, "GOGC=400") // as the generated Dockerfile and msctl run set it
		}
		return cmd, nil
	}
	if reason := testenv.NestMissing(testenv.Nest12); reason != "" {
		return nil, errors.New(reason)
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(testenv.Root(), "testdata", "nest")
	cmd := exec.CommandContext(ctx, "node", append([]string{"bench-" + role + ".mjs", "--port", port}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "NEST_DIR="+filepath.Join(dir, string(testenv.Nest12)), "NODE_ENV=production")
	cmd.Stderr = os.Stderr
	return cmd, nil
}

// runClient runs the client process of who against addr and calls atMark with its id when it begins and ends to measure.
func runClient(ctx context.Context, who, addr string, args []string, atMark func(pid int)) (mark, error) {
	cmd, err := peerCommand(ctx, who, "client", addr, args...)
	if err != nil {
		return mark{}, err
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return mark{}, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return mark{}, err
	}
	if err := cmd.Start(); err != nil {
		return mark{}, fmt.Errorf("start the %s client: %w", who, err)
	}
	var last mark
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if json.Unmarshal(lines.Bytes(), &last) == nil && last.Event != "" {
			atMark(cmd.Process.Pid)
		}
		if last.Event == "done" { // it stays until then, to be looked at
			_ = stdin.Close()
		}
	}
	if err := cmd.Wait(); err != nil {
		return mark{}, fmt.Errorf("run the %s client: %w", who, err)
	}
	if last.Event != "done" || last.Calls == 0 {
		return mark{}, fmt.Errorf("run the %s client: it measured nothing", who)
	}
	return last, nil
}
