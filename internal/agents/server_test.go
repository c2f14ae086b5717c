package agents

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// serverEnv makes the test binary a NATS server with the configuration of a file.
const serverEnv = "MSCTL_TEST_NATS_SERVER"

// serverProcess is the main function of a NATS server. It ends with its standard input.
func serverProcess() {
	options, err := server.ProcessConfigFile(os.Getenv(serverEnv))
	if err != nil {
		fmt.Println(err)
		return
	}
	options.NoSigs = true
	s, err := server.NewServer(options)
	if err != nil {
		fmt.Println(err)
		return
	}
	s.Start()
	if !s.ReadyForConnections(time.Minute) {
		fmt.Println("not ready")
		return
	}
	fmt.Println("ready", s.Addr())
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// natsProcess is a NATS server that is a process.
type natsProcess struct {
	cmd     *exec.Cmd
	address string
}

// startServer starts a NATS server, of the version in go.mod, that is a process and ends with the test.
func startServer(t *testing.T, lines ...string) *natsProcess {
	t.Helper()
	file := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0]) //nolint:gosec // this program
	cmd.Env = append(os.Environ(), serverEnv+"="+file)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close() }) // not earlier: the server would end
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := &natsProcess{cmd: cmd}
	t.Cleanup(s.kill)
	line, _ := bufio.NewReader(out).ReadString('\n')
	var ok bool
	if s.address, ok = strings.CutPrefix(strings.TrimSpace(line), "ready "); !ok {
		t.Fatalf("the NATS server did not start: %s", line)
	}
	return s
}

// kill kills the server and waits for its end.
func (s *natsProcess) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}
