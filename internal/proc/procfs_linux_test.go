package proc

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// members returns the living processes of a group.
func members(t *testing.T, group int) (found []string) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, stat := range stats {
		text, err := os.ReadFile(stat)
		if err != nil {
			continue // gone
		}
		_, rest, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(rest) // state, parent, group
		if len(fields) > 2 && fields[0] != "Z" && fields[2] == strconv.Itoa(group) {
			found = append(found, string(text))
		}
	}
	return found
}

// marked returns the living processes that have an environment variable.
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

// listening returns the addresses, as /proc/net/tcp writes them, on which the
// processes that have an environment variable listen.
func listening(t *testing.T, entry string) (addresses []string) {
	t.Helper()
	inodes := map[string]bool{}
	for _, process := range marked(t, entry) {
		pid, _, _ := strings.Cut(process, " ")
		links, err := filepath.Glob("/proc/" + pid + "/fd/*")
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range links {
			target, _ := os.Readlink(link) // closed meanwhile
			inodes[strings.TrimSuffix(strings.TrimPrefix(target, "socket:["), "]")] = true
		}
	}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(table)
		if err != nil {
			continue // no IPv6
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

// loopbackOnly checks that nobody else than this machine reaches what processes
// with an environment variable listen on, and that there is something.
func loopbackOnly(t *testing.T, entry string) {
	t.Helper()
	found := listening(t, entry)
	for _, address := range found {
		if !strings.HasPrefix(address, "0100007F:") {
			t.Errorf("somebody listens on %s", address)
		}
	}
	if len(found) < 4 {
		t.Errorf("these are listened on: %v", found)
	}
}
