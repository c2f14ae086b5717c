package proc

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/msctl/msctl/internal/workspace"
)

// members returns the running processes of a group.
func members(t *testing.T, group int) (found []string) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, stat := range stats {
		text, err := os.ReadFile(stat)
		if err != nil {
			continue // ended
		}
		_, rest, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(rest) // state, parent, group
		if len(fields) > 2 && fields[0] != "Z" && fields[2] == strconv.Itoa(group) {
			found = append(found, string(text))
		}
	}
	return found
}

// marked returns the running processes that have an environment variable.
func marked(t *testing.T, entry string) (found []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil || !bytes.Contains(append([]byte{0}, text...), []byte("\x00"+entry+"\x00")) {
			continue
		}
		cmdline, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "cmdline"))
		found = append(found, fmt.Sprintf("%s %q", filepath.Base(filepath.Dir(file)), cmdline))
	}
	return found
}

// loopbackOnly checks that the brokers of a run listen on the loopback interface only.
func loopbackOnly(t *testing.T, s *session) {
	t.Helper()
	for _, transport := range workspace.Brokers() {
		ready, _ := s.awaitKind(0, KindReady, string(transport))
		addresses := listening(t, ready.Pid)
		if len(addresses) == 0 {
			t.Errorf("%s does not listen", transport)
		}
		for _, address := range addresses {
			if !strings.HasPrefix(address, "0100007F:") {
				t.Errorf("%s listens on %s", transport, address)
			}
		}
	}
}

// listening returns the addresses, in the format of /proc/net/tcp, on which the processes of
// a group listen.
func listening(t *testing.T, group int) (addresses []string) {
	t.Helper()
	inodes := map[string]bool{}
	for _, stat := range members(t, group) {
		pid, _, _ := strings.Cut(stat, " ")
		links, err := filepath.Glob("/proc/" + pid + "/fd/*")
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range links {
			target, _ := os.Readlink(link) // "" if it has been closed
			inodes[strings.TrimSuffix(strings.TrimPrefix(target, "socket:["), "]")] = true
		}
	}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(table)
		if err != nil {
			continue // no IPv6 on this machine
		}
		for line := range strings.Lines(string(text)) {
			fields := strings.Fields(line)
			if len(fields) > 9 && fields[3] == "0A" && inodes[fields[9]] {
				addresses = append(addresses, fields[1])
			}
		}
	}
	return addresses
}
