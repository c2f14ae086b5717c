package testenv_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/test/testenv"
)

// private maps each kind of broker to the function that starts one.
var private = map[string]func(testing.TB, ...string) *testenv.Broker{
	"redis":    testenv.PrivateRedis,
	"nats":     testenv.PrivateNATS,
	"rabbitmq": testenv.PrivateRabbitMQ,
}

// TestRestart kills, stops, and restarts each broker, and checks that nothing is left at the end.
func TestRestart(t *testing.T) {
	for name, start := range private {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			t.Setenv("TMPDIR", dir)
			t.Run("broker", func(t *testing.T) { restart(t, start, dir) })
			testenv.AwaitNothingLeft(t, dir)
		})
	}
}

func restart(t *testing.T, start func(testing.TB, ...string) *testenv.Broker, dir string) {
	t.Helper()
	b := start(t)
	for _, end := range []func(){b.Kill, b.Stop} {
		checkListeners(t, dir, b.Addr)
		accepts(t, b.Addr, true)
		end()
		accepts(t, b.Addr, false)
		checkListeners(t, dir)
		end() // no effect
		b.Start()
	}
	b.Start() // no effect
	b.Pause()
	accepts(t, b.Addr, true) // the system accepts the connection
	b.Resume()
	accepts(t, b.Addr, true)
}

// TestRabbitMQStartsNoEpmd waits for more than two minutes, because RabbitMQ looks for epmd once a minute.
func TestRabbitMQStartsNoEpmd(t *testing.T) {
	if os.Getenv("MSCTL_TEST_LONG") == "" {
		t.Skip("takes two minutes: set MSCTL_TEST_LONG=1")
	}
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	t.Cleanup(func() { testenv.AwaitNothingLeft(t, dir) })
	b := testenv.PrivateRabbitMQ(t)
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for end := time.After(130 * time.Second); ; {
		select {
		case <-look.C:
			checkListeners(t, dir, b.Addr)
			for _, process := range testenv.ProcessesOf(dir) {
				if strings.Contains(process, "epmd -daemon") {
					t.Fatal(process)
				}
			}
		case <-end:
			return
		}
	}
}

// holdEnv makes TestHoldBroker start a broker of this kind.
const holdEnv = "TESTENV_HOLD"

// TestHoldBroker runs in the process that TestKilledTest kills. Otherwise it does nothing.
func TestHoldBroker(t *testing.T) {
	name := os.Getenv(holdEnv)
	if name == "" {
		return
	}
	fmt.Printf("\naddr %s\n", private[name](t).Addr)
	_, _ = bufio.NewReader(os.Stdin).ReadByte() // until the other test ends
}

// TestKilledTest checks that a broker does not outlive a test binary that is killed.
func TestKilledTest(t *testing.T) {
	for name, start := range private {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			cmd := exec.Command(os.Args[0], "-test.run=^TestHoldBroker$", "-test.v")
			cmd.Env = append(os.Environ(), holdEnv+"="+name, "TMPDIR="+dir)
			stdin, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = stdin.Close() }()
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			addr := ""
			for scanner := bufio.NewScanner(stdout); addr == "" && scanner.Scan(); {
				addr = heldAddr(t, scanner.Text(), start)
			}
			accepts(t, addr, true)
			checkListeners(t, dir, addr)
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			testenv.AwaitNothingLeft(t, dir, addr)
		})
	}
}

// heldAddr returns the address in a line printed by TestHoldBroker, or "" if the line has none.
func heldAddr(t *testing.T, line string, start func(testing.TB, ...string) *testenv.Broker) string {
	t.Helper()
	if strings.HasPrefix(line, "--- SKIP") || strings.HasPrefix(line, "--- FAIL") {
		start(t) // skips or fails this test with the reason
		t.Fatal(line)
	}
	addr, found := strings.CutPrefix(line, "addr ")
	if !found {
		return ""
	}
	return addr
}

func accepts(t *testing.T, addr string, want bool) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err == nil {
		_ = conn.Close()
	}
	if (err == nil) != want {
		t.Errorf("connect to %s: %v, want success %v", addr, err, want)
	}
}

// checkListeners checks the addresses on which the processes of the directory listen, without those of test processes, which
// keep ports for themselves (see FreePort).
func checkListeners(t *testing.T, dir string, want ...string) {
	t.Helper()
	if runtime.GOOS != "linux" {
		return
	}
	sockets := listeningSockets(t)
	var got []string
	for _, process := range testenv.ProcessesOf(dir) {
		pid, command, _ := strings.Cut(process, " ")
		if strings.HasPrefix(command, os.Args[0]) {
			continue
		}
		files, _ := filepath.Glob("/proc/" + pid + "/fd/*")
		for _, file := range files {
			target, _ := os.Readlink(file)
			if addr := sockets[target]; addr != "" {
				got = append(got, addr)
			}
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, slices.Compact(got)); diff != "" {
		t.Errorf("listening addresses (-want +got):\n%s", diff)
	}
}

// listeningSockets maps the names of all listening TCP sockets in /proc/*/fd to their addresses.
func listeningSockets(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(table)
		if err != nil {
			continue // no IPv6
		}
		for line := range strings.Lines(string(text)) {
			fields := strings.Fields(line)
			if len(fields) < 10 || fields[3] != "0A" {
				continue
			}
			found["socket:["+fields[9]+"]"] = hexAddr(fields[1])
		}
	}
	if len(found) == 0 {
		t.Fatal("no listening socket in /proc/net/tcp")
	}
	return found
}

// hexAddr converts the kernel's 0100007F:1F90 to 127.0.0.1:8080. It returns IPv6 addresses unchanged.
func hexAddr(text string) string {
	var a, b, c, d byte
	var port uint16
	if _, err := fmt.Sscanf(text, "%02X%02X%02X%02X:%04X", &d, &c, &b, &a, &port); err != nil {
		return text
	}
	return fmt.Sprintf("%d.%d.%d.%d:%d", a, b, c, d, port)
}
