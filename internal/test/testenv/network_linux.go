package testenv

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// inNetwork is set in a process that has a network of its own.
const inNetwork = "MSCTL_TEST_NETWORK_NAMESPACE"

// InNewNetwork runs the test again in a process that has a network of its own, with a loopback interface and nothing else, and
// calls f there. Mounts of that process are its own, too. The test passes, is skipped, and fails with the process, whose output
// InNewNetwork returns; there, it returns "". It skips the test where such processes are not permitted.
func InNewNetwork(t *testing.T, f func()) (output string) {
	t.Helper()
	if os.Getenv(inNetwork) != "" {
		setUp(t)
		f()
		return ""
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("ip (iproute2) is not installed")
	}
	out, err := again(t).CombinedOutput()
	output = string(out)
	switch {
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.ENOSPC): // ENOSPC: user namespaces are limited to none
		t.Skip("network namespaces are not permitted")
	case err == nil && strings.Contains(output, "--- SKIP: "+t.Name()+" "):
		t.Skip(output)
	case err != nil || !strings.Contains(output, "--- PASS: "+t.Name()+" "):
		t.Fatalf("%v\n%s", err, output)
	}
	return output
}

// again is the command that runs a test again in a network of its own.
func again(t *testing.T) *exec.Cmd {
	t.Helper()
	var pattern []string
	for name := range strings.SplitSeq(t.Name(), "/") {
		pattern = append(pattern, "^"+regexp.QuoteMeta(name)+"$")
	}
	args := []string{"-test.v", "-test.run=" + strings.Join(pattern, "/")}
	if deadline, ok := t.Deadline(); ok {
		args = append(args, "-test.timeout="+time.Until(deadline).String())
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...) //nolint:gosec // this program
	cmd.Env = append(slices.DeleteFunc(os.Environ(), isSharedBroker), inNetwork+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS}
	if user := os.Geteuid(); user != 0 {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: user, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	return cmd
}

// isSharedBroker reports whether a variable is the URL of a broker, which a new network cannot reach.
func isSharedBroker(variable string) bool {
	return slices.ContainsFunc([]brokerKind{natsKind, redisKind, rabbitKind}, func(k brokerKind) bool {
		return strings.HasPrefix(variable, k.urlEnv+"=")
	})
}

// SilentIP is an address of the test's network (InNewNetwork) that answers nothing, not even that a port is closed.
const SilentIP = "192.0.2.2"

// OwnIP is an address of this process in the test's network, next to 127.0.0.1.
const OwnIP = "192.0.2.1"

func setUp(tb testing.TB) {
	tb.Helper()
	ip(tb, "link set lo up")
	// A cable whose other end discards what is not for itself.
	ip(tb, "link add silent type veth peer name end")
	ip(tb, "address add "+OwnIP+"/24 dev silent")
	ip(tb, "link set silent up")
	ip(tb, "link set end up")
	ip(tb, "neighbor add "+SilentIP+" lladdr 02:00:00:00:00:02 dev silent")
	// The rule for local addresses is the first one by default. Those of Forget must precede it.
	ip(tb, "rule add pref 2 lookup local")
	ip(tb, "rule del pref 0")
}

// Forget drops everything that is sent from and to ports of the test's network (InNewNetwork), as a firewall does that has
// forgotten its connections: nothing comes back, not even their end.
func Forget(tb testing.TB, ports ...uint16) {
	tb.Helper()
	for _, port := range ports {
		ip(tb, fmt.Sprintf("rule add pref 1 ipproto tcp sport %d blackhole", port))
		ip(tb, fmt.Sprintf("rule add pref 1 ipproto tcp dport %d blackhole", port))
	}
}

func ip(tb testing.TB, args string) {
	tb.Helper()
	if out, err := exec.CommandContext(tb.Context(), "ip", strings.Fields(args)...).CombinedOutput(); err != nil { //nolint:gosec // a test's own
		tb.Fatalf("ip %s: %v: %s", args, err, out)
	}
}

// hosts are the lines of this network's /etc/hosts.
var hosts struct {
	sync.Mutex
	names map[string][]string
}

// SetHost gives a host name of the test's network (InNewNetwork) its addresses, in this order. A process may use the previous
// ones for 5 s.
func SetHost(tb testing.TB, name string, addresses ...string) {
	tb.Helper()
	if os.Getenv(inNetwork) == "" {
		tb.Fatal("SetHost requires a network of its own")
	}
	hosts.Lock()
	defer hosts.Unlock()
	if hosts.names == nil {
		file := filepath.Join(tb.TempDir(), "hosts")
		if err := errors.Join(os.WriteFile(file, nil, 0o644), syscall.Mount(file, "/etc/hosts", "", syscall.MS_BIND, "")); err != nil {
			tb.Fatalf("replace /etc/hosts: %v", err)
		}
		hosts.names = map[string][]string{"localhost": {"127.0.0.1", "::1"}}
	}
	hosts.names[name] = addresses
	var text strings.Builder
	for name, addresses := range hosts.names {
		for _, address := range addresses {
			fmt.Fprintf(&text, "%s %s\n", address, name)
		}
	}
	if err := os.WriteFile("/etc/hosts", []byte(text.String()), 0o644); err != nil {
		tb.Fatal(err)
	}
}
