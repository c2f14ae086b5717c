package main

import (
	"bytes"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/msctl/msctl/internal/test/testenv"
)

// commandEnv makes the test binary run as the command, so that tests can kill it.
const commandEnv = "BROKERS_TEST_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(commandEnv) != "" {
		os.Exit(run(os.Args[1:]))
	}
	goleak.VerifyTestMain(m)
}

// command returns this command with a shell script and a TMPDIR of its own. An empty brokerURL lets it start a broker.
func command(t *testing.T, brokerURL, script string) (cmd *exec.Cmd, dir string) {
	t.Helper()
	dir = t.TempDir()
	cmd = exec.Command(os.Args[0], "sh", "-c", script)
	cmd.Env = append(os.Environ(), commandEnv+"=1", "TMPDIR="+dir, urlVariable+"="+brokerURL)
	cmd.Stderr = t.Output()
	return cmd, dir
}

func TestUsesBrokerOfEnvironment(t *testing.T) {
	cmd, dir := command(t, "amqp://elsewhere:1", `printf '%s' "$MSCTL_TEST_AMQP_URL"; exit 7`)
	var out bytes.Buffer
	cmd.Stdout = &out
	_ = cmd.Run()
	if out.String() != "amqp://elsewhere:1" || cmd.ProcessState.ExitCode() != 7 {
		t.Errorf("the command got the URL %q; exit code %d", out.String(), cmd.ProcessState.ExitCode())
	}
	testenv.AwaitNothingLeft(t, dir)
}

// TestStopsBroker: the broker stops with the command, however the command or this process ends.
func TestStopsBroker(t *testing.T) {
	testenv.NeedRabbitMQ(t)
	const held = `echo "$MSCTL_TEST_AMQP_URL"; read -r wait`
	tests := []struct {
		name, script string
		end          func(*os.Process) error // nil: the command ends by itself
		code         int
	}{
		{"the command fails", `echo "$MSCTL_TEST_AMQP_URL"; read -r wait; exit 3`, nil, 3},
		{"terminated", held, func(p *os.Process) error { return p.Signal(syscall.SIGTERM) }, 1},
		{"killed", held, (*os.Process).Kill, -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cmd, dir := command(t, "", tt.script)
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
			line := make([]byte, 256)
			n, err := stdout.Read(line)
			if err != nil {
				t.Fatal(err)
			}
			broker, err := url.Parse(strings.TrimSpace(string(line[:n])))
			if err != nil {
				t.Fatal(err)
			}
			if conn, err := net.Dial("tcp", broker.Host); err != nil {
				t.Error("the command has no broker:", err)
			} else {
				_ = conn.Close()
			}
			if tt.end != nil {
				if err := tt.end(cmd.Process); err != nil {
					t.Fatal(err)
				}
			}
			if tt.code != 1 {
				_ = stdin.Close() // ends the script, even one whose parent was killed
			}
			_ = cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			testenv.AwaitNothingLeft(t, dir, broker.Host)
		})
	}
}

func TestNoCommand(t *testing.T) {
	if code := run(nil); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
}
