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

	"github.com/msctl/msctl/internal/test/testenv"
)

// mark is a line that a peer prints.
type mark struct {
	Event     string    `json:"event"` // start or done; listening for a server
	Calls     int       `json:"calls,omitempty"`
	Latencies []float64 `json:"latencies,omitempty"` // p50 and p99 in ms
}

// service is a server process that is being measured.
type service struct {
	transport string
	addr      string // host:port, or the URL of its broker
	queue     string
	cmd       *exec.Cmd
	broker    *testenv.Broker // its own broker, nil for TCP
	behind    *service        // the service that a gateway calls; nil for other services
	end       func()          // stops the broker
}

// generatorAddr returns the host:port that the generator connects to.
func (s *service) generatorAddr() string {
	if s.broker != nil {
		return s.broker.Addr
	}
	return s.addr
}

// usage returns the CPU time that the process has used so far, with that of the service behind it.
func (s *service) usage() (time.Duration, error) {
	own, err := cpuTime(s.cmd.Process.Pid)
	if err != nil || s.behind == nil {
		return own, err
	}
	others, err := s.behind.usage()
	return own + others, err
}

func (s *service) stop() {
	if s.cmd != nil && s.cmd.Process != nil {
		if s.cmd.Process.Signal(os.Interrupt) != nil { // not supported on Windows
			_ = s.cmd.Process.Kill()
		}
		_ = s.cmd.Wait() // it was interrupted on purpose
	}
	if s.end != nil {
		s.end()
	}
	if s.behind != nil {
		s.behind.stop()
	}
}

// startService starts the server of who on a free port, or on its own broker, and returns when the server reports that it
// is listening.
func startService(ctx context.Context, who, transport string, args ...string) (*service, error) {
	s := &service{transport: transport}
	if err := s.place(); err != nil {
		return nil, err
	}
	if transport == "http" {
		behind, err := startService(ctx, who, "tcp", args...)
		if err != nil {
			return nil, err
		}
		s.behind = behind
	}
	if err := s.run(ctx, who, args); err != nil {
		s.stop()
		return nil, fmt.Errorf("start the %s server on %s: %w", who, transport, err)
	}
	return s, nil
}

// place finds a port for the service or starts its broker.
func (s *service) place() (err error) {
	switch s.transport {
	case "nats":
		s.broker, s.end, err = testenv.StartNATS()
	case "redis":
		s.broker, s.end, err = testenv.StartRedis()
	case "rmq":
		s.broker, s.end, err = testenv.StartRabbitMQ()
		s.queue = "bench"
	default:
		port, err := testenv.FreePort()
		s.addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		return err
	}
	if err == nil {
		s.addr = s.broker.URL
	}
	return err
}

// run starts the process and waits until it is listening.
func (s *service) run(ctx context.Context, who string, args []string) (err error) {
	if s.behind != nil {
		s.cmd, err = gatewayCommand(ctx, who, s.addr, s.behind.addr, args...)
	} else {
		s.cmd, err = peerCommand(ctx, who, "server", s.transport, s.addr, append(queueArgs(who, s.queue), args...)...)
	}
	if err != nil {
		return err
	}
	if who == nest { // it runs until its stdin is closed
		if _, err := s.cmd.StdinPipe(); err != nil {
			return err
		}
	}
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if m := (mark{}); json.Unmarshal(lines.Bytes(), &m) == nil && m.Event == "listening" {
			return nil
		}
	}
	return errors.New("it ended")
}

func queueArgs(who, queue string) []string {
	switch {
	case queue == "":
		return nil
	case who == nest:
		return []string{"--queue", queue}
	}
	return []string{"-queue", queue}
}

// peerCommand returns the command that runs the server or client role of who at addr.
func peerCommand(ctx context.Context, who, role, transport, addr string, args ...string) (*exec.Cmd, error) {
	if who != nest {
		program, err := os.Executable()
		if kind := kindOf(who); kind != "" {
			program, _ = buildPeers()
			args = append([]string{"-kind", kind}, args...)
		}
		if err != nil {
			return nil, err
		}
		cmd := exec.CommandContext(ctx, program, append([]string{"-role", role, "-transport", transport, "-addr", addr}, args...)...)
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
	place := []string{"bench-" + role + ".mjs", "--transport", transport, "--url", addr}
	if transport == "tcp" {
		_, port, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		place = []string{"bench-" + role + ".mjs", "--port", port}
	}
	return nodeCommand(ctx, testenv.Nest12, append(place, args...)...)
}

// gatewayCommand returns the command that runs the gateway of who at addr, in front of the service behind.
func gatewayCommand(ctx context.Context, who, addr, behind string, args ...string) (*exec.Cmd, error) {
	if who != nest {
		return peerCommand(ctx, who, "gateway", "http", addr, append(args, "-behind", behind)...)
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	host, behindPort, err := net.SplitHostPort(behind)
	if err != nil {
		return nil, err
	}
	env := mustJSON(map[string]string{"MS_ONE_HOST": host, "MS_ONE_PORT": behindPort, "JWT_SECRET": tokenSecret, "JWT_ISSUER": tokenIssuer, "JWT_AUDIENCE": tokenAudience, "RATE_LIMIT": strconv.Itoa(rateLimit)})
	return nodeCommand(ctx, testenv.NestApps, "gateway.mjs", "--port", port, "--env", string(env))
}

// nodeCommand returns the command that runs a program of testdata/nest with a version of NestJS.
func nodeCommand(ctx context.Context, version testenv.Version, args ...string) (*exec.Cmd, error) {
	if reason := testenv.NestMissing(version); reason != "" {
		return nil, errors.New(reason)
	}
	dir := filepath.Join(testenv.Root(), "testdata", "nest")
	cmd := exec.CommandContext(ctx, "node", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "NEST_DIR="+filepath.Join(dir, string(version)), "NODE_ENV=production")
	cmd.Stderr = os.Stderr
	return cmd, nil
}

// runClient runs the client process of who against a server, and calls atMark with its PID at the start and the end of
// the measurement.
func runClient(ctx context.Context, who string, server *service, args []string, atMark func(pid int)) (mark, error) {
	cmd, err := peerCommand(ctx, who, "client", server.transport, server.addr, append(queueArgs(who, server.queue), args...)...)
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
		if last.Event == "done" { // it keeps running until then, so that its memory can be read
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
