package agents

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/secret"
	"github.com/msctl/msctl/internal/test/testenv"
)

// machineEnv makes the test binary an agent in a network of its own, as its value describes.
const machineEnv = "MSCTL_TEST_MACHINE"

// machineConfig describes an agent with a network and a monotonic clock of its own, which reaches the NATS server through a
// delaying proxy.
type machineConfig struct {
	Name          string
	URL, Trust    string
	Device        string        // its end of the cable
	Own, Gateway  string        // the addresses of both ends
	Ahead         time.Duration // of the agent's clock, from the start of its process
	Delay, Jitter time.Duration // of each direction of the proxy
	File          string        // where to write what happens
}

// serverPort is the port of the NATS server in the test's network, and of the proxy in each agent's.
const serverPort = "4222"

// noted is a line of what an agent writes: a request, or a comparison of the clocks.
type noted struct {
	Request *load.Request
	Due     time.Duration // of the request, on the agent's clock

	Epoch         time.Duration // time 0 of the agent's clock, on the monotonic clock of its machine
	Offset, Bound time.Duration // what was measured
}

// machineProcess is the main function of a machine.
func machineProcess() {
	if err := runMachine(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func runMachine() error {
	var c machineConfig
	if err := json.Unmarshal([]byte(os.Getenv(machineEnv)), &c); err != nil {
		return err
	}
	in := bufio.NewReader(os.Stdin)
	if _, err := in.ReadString('\n'); err != nil { // until the cable is there
		return err
	}
	for _, args := range []string{
		"link set lo up", "address add " + c.Own + "/30 dev " + c.Device, "link set " + c.Device + " up", "route add default via " + c.Gateway,
	} {
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil { //nolint:gosec // a test's own
			return fmt.Errorf("ip %s: %w: %s", args, err, out)
		}
	}
	socket, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", serverPort))
	if err != nil {
		return err
	}
	go delaying(socket, net.JoinHostPort(testenv.OwnIP, serverPort), c.Delay, c.Jitter) // ends with the process
	out, err := os.Create(c.File)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	encoder := json.NewEncoder(out)
	note := func(n noted) {
		mu.Lock()
		defer mu.Unlock()
		_ = encoder.Encode(n)
	}
	epoch := time.Now().Add(-c.Ahead)
	return ServeAgent(context.Background(), AgentOptions{
		NATS: c.URL, Pool: "test", Trust: c.Trust, Version: version, Allow: []string{testenv.OwnIP}, Secrets: &secret.Set{}, Parent: in,
		Log:   func(format string, args ...any) { fmt.Fprintf(os.Stderr, c.Name+": "+format+"\n", args...) },
		ahead: c.Ahead,
		onClock: func(at time.Time, r reading) {
			mu.Lock()
			epoch = at
			mu.Unlock()
			note(noted{Epoch: monotonic(at), Offset: r.offset, Bound: r.bound})
		},
		onResult: func(q load.Request) {
			mu.Lock()
			due := q.Intended.Sub(epoch)
			mu.Unlock()
			note(noted{Request: &q, Due: due})
		},
	})
}

// monotonic returns when a time is on the monotonic clock of this machine.
func monotonic(at time.Time) time.Duration {
	best, result := time.Hour, time.Duration(0)
	for range 100 {
		var now unix.Timespec
		before := time.Since(at)
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
			panic(err)
		}
		after := time.Since(at)
		if after-before < best {
			best, result = after-before, time.Duration(now.Nano())-(before+after)/2
		}
	}
	return result
}

// delaying forwards the connections of a listener, and delays what it forwards.
func delaying(socket net.Listener, to string, delay, jitter time.Duration) {
	for {
		conn, err := socket.Accept()
		if err != nil {
			return
		}
		other, err := net.Dial("tcp", to)
		if err != nil {
			_ = conn.Close()
			continue
		}
		go forward(conn, other, delay, jitter)
		go forward(other, conn, delay, jitter)
	}
}

// forward copies bytes, in their order, each piece after a delay.
func forward(to, from net.Conn, delay, jitter time.Duration) {
	type piece struct {
		due  time.Time
		data []byte
	}
	pieces := make(chan piece, 1024)
	go func() {
		defer to.Close()
		for p := range pieces {
			<-time.After(time.Until(p.due))
			if _, err := to.Write(p.data); err != nil {
				_ = from.Close()
			}
		}
	}()
	defer close(pieces)
	for {
		buffer := make([]byte, 64<<10)
		n, err := from.Read(buffer)
		if n > 0 {
			pieces <- piece{time.Now().Add(delay + rand.N(jitter+1)), buffer[:n]}
		}
		if err != nil {
			return
		}
	}
}

// machine is an agent with a network and a monotonic clock of its own.
type machine struct {
	machineConfig
	clock time.Duration // by which the monotonic clock of the machine is ahead
	read  int           // of the file
}

// startMachine starts an agent and connects its network to that of the test. The agent ends with the test.
func startMachine(t *testing.T, f *fleet, i int, c machineConfig, clock time.Duration) *machine {
	t.Helper()
	name := fmt.Sprintf("m%d", i)
	c.Name, c.URL, c.Trust, c.Device, c.File = name, f.url, f.signer.Public(), name+"b", filepath.Join(t.TempDir(), name)
	c.Own, c.Gateway = fmt.Sprintf("198.51.100.%d", 4*i+2), fmt.Sprintf("198.51.100.%d", 4*i+1)
	m := &machine{machineConfig: c, clock: clock}
	words := []string{os.Args[0]}
	if hasTimeNamespaces() {
		words = append([]string{"unshare", "--time", "--fork", "--kill-child", fmt.Sprintf("--monotonic=%d", int(clock.Seconds())), "--"}, words...)
	} else {
		t.Log("time namespaces are not permitted: all machines have the same monotonic clock")
		m.clock = 0
	}
	cmd := exec.CommandContext(t.Context(), words[0], words[1:]...) //nolint:gosec // this program
	cmd.Env = append(os.Environ(), machineEnv+"="+string(encode(c)), "MSCTL_BENCH_AGENT_NAME="+name)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNET}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	// The network of a process that has ended remains for a while.
	t.Cleanup(func() { _ = exec.Command("ip", "link", "delete", name+"a").Run() }) //nolint:gosec // a test's own
	for _, args := range []string{
		"link add name " + name + "a type veth peer name " + c.Device, "address add " + c.Gateway + "/30 dev " + name + "a", "link set " + name + "a up",
		fmt.Sprintf("link set %s netns %d", c.Device, cmd.Process.Pid),
	} {
		if out, err := exec.CommandContext(t.Context(), "ip", strings.Fields(args)...).CombinedOutput(); err != nil { //nolint:gosec // a test's own
			t.Fatalf("ip %s: %v: %s", args, err, out)
		}
	}
	if _, err := io.WriteString(in, "connected\n"); err != nil {
		t.Fatal(err)
	}
	return m
}

// hasTimeNamespaces reports whether processes can have monotonic clocks of their own.
var hasTimeNamespaces = sync.OnceValue(func() bool {
	return exec.Command("unshare", "--time", "--fork", "--monotonic=1", "--", "true").Run() == nil
})

// noted returns what the agent has written since the previous call.
func (m *machine) noted(t *testing.T) (requests []noted, clocks []noted) {
	t.Helper()
	text, err := os.ReadFile(m.File)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text[m.read:])) {
		var n noted
		if err := json.Unmarshal([]byte(line), &n); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if n.Request != nil {
			requests = append(requests, n)
		} else {
			clocks = append(clocks, n)
		}
	}
	m.read = len(text)
	return requests, clocks
}
