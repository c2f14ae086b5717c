// Package debug lets debuggers attach to the services of a run: to Go programs through
// Delve, and to Node.js programs through their inspector. It starts nothing itself.
package debug

import (
	"context"
	"errors"
	"math"
	"net"
	"net/rpc"
	"net/rpc/jsonrpc"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// DefaultPort returns the first port for debuggers: the usual one of Delve, or of Node.js.
func DefaultPort(goProgram bool) int {
	if goProgram {
		return 2345
	}
	return 9229
}

// ErrNoDelve is returned by [FindDelve] if Delve is not installed.
var ErrNoDelve = errors.New("dlv is neither on the PATH nor where go install puts programs")

// FindDelve returns the path of Delve, the debugger of Go programs: on the PATH, or in the
// folder of `go install`, which often is not on the PATH.
func FindDelve(ctx context.Context) (string, error) {
	if path, err := exec.LookPath("dlv"); err == nil {
		return filepath.Abs(path)
	}
	out, err := exec.CommandContext(ctx, "go", "env", "GOBIN", "GOPATH").Output()
	if err != nil {
		return "", ErrNoDelve
	}
	bin, paths, _ := strings.Cut(strings.ReplaceAll(string(out), "\r", ""), "\n")
	folders := []string{bin}
	for _, path := range filepath.SplitList(strings.TrimSpace(paths)) {
		folders = append(folders, filepath.Join(path, "bin"))
	}
	name := "dlv"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	for _, folder := range folders {
		if info, err := os.Stat(filepath.Join(folder, name)); folder != "" && err == nil && info.Mode().IsRegular() {
			return filepath.Join(folder, name), nil
		}
	}
	return "", ErrNoDelve
}

// BuildFlags are the flags of `go build` for a program that can be debugged: without
// optimizations, and with the debug information and the paths of the sources even if
// GOFLAGS removes them.
func BuildFlags() []string { return []string{"-gcflags=all=-N -l", "-ldflags=", "-trimpath=false"} }

// DelveWords returns the command line with which Delve attaches to a process, lets it
// continue, and serves debuggers at address, also several at a time. On an interrupt, it
// removes its breakpoints, detaches, and ends; the process continues.
//
// Subtle: the run starts the process itself, and not through Delve. A process that Delve
// has started leads a process group of its own and continues when Delve is killed.
func DelveWords(delve, address string, pid int) []string {
	return []string{
		delve, "attach", strconv.Itoa(pid), "--headless", "--continue", "--accept-multiclient", "--api-version=2", "--listen=" + address,
	}
}

// Problem returns why Delve could not attach, from its output. The last line is the error.
func Problem(output []string) string {
	for _, line := range slices.Backward(output) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "API server listening at: ") {
			return line
		}
	}
	return "dlv ended without a message"
}

const (
	connectInterval = 50 * time.Millisecond  // between the attempts of Watch to connect to Delve
	stateInterval   = 250 * time.Millisecond // at which Watch asks for its state
	stateTimeout    = 30 * time.Second       // for the reply, once Delve has attached
)

// Watch connects to the Delve that serves at address. It calls attached when Delve has
// attached to its process, and panicked whenever the process stops because of a panic that
// it does not recover, or a fatal error: Delve keeps it stopped until a debugger lets it
// continue. Watch returns an error when Delve no longer replies, or when ctx ends.
func Watch(ctx context.Context, address string, attached, panicked func()) error {
	conn, err := connect(ctx, address)
	if err != nil {
		return err
	}
	client := jsonrpc.NewClient(conn)
	defer client.Close()
	stop := context.AfterFunc(ctx, func() { _ = client.Close() })
	defer stop()
	tick := time.NewTicker(stateInterval)
	defer tick.Stop()
	for stopped, first := false, true; ; first = false {
		was := stopped
		limit := stateTimeout
		if first {
			limit = math.MaxInt64 // it has to read the program
		}
		if stopped, err = isPanicking(client, limit); err != nil {
			return err
		}
		if first {
			attached()
		}
		if stopped && !was {
			panicked()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// connect connects to Delve, which listens soon after its start.
func connect(ctx context.Context, address string) (net.Conn, error) {
	tick := time.NewTicker(connectInterval)
	defer tick.Stop()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err == nil {
			return conn, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, err
		}
	}
}

// isPanicking reports whether the process is stopped at one of the breakpoints that Delve
// itself sets, which have negative IDs. Delve replies when it has attached.
func isPanicking(client *rpc.Client, limit time.Duration) (bool, error) {
	var reply struct {
		State struct {
			CurrentThread struct {
				Breakpoint struct {
					ID int `json:"id"`
				} `json:"breakPoint"`
			} `json:"currentThread"`
		}
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case call := <-client.Go("RPCServer.State", struct{ NonBlocking bool }{true}, &reply, make(chan *rpc.Call, 1)).Done:
		return reply.State.CurrentThread.Breakpoint.ID < 0, call.Error
	case <-timer.C:
		return false, errors.New("no reply from Delve")
	}
}
