package testenv

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// AwaitNothingLeft waits until no process uses the directory, the directory is empty, and the addresses refuse connections.
// That is the state after all brokers and programs with their temporary files in the directory have exited. If the state
// is not reached in time, AwaitNothingLeft fails the test.
func AwaitNothingLeft(tb testing.TB, dir string, addrs ...string) {
	tb.Helper()
	every := time.NewTicker(10 * time.Millisecond)
	defer every.Stop()
	deadline := time.After(brokerStopLimit)
	for {
		left := leftOf(tb, dir, addrs)
		if len(left) == 0 {
			return
		}
		select {
		case <-every.C:
		case <-deadline:
			tb.Fatalf("left in %s: %q", dir, left)
		}
	}
}

func leftOf(tb testing.TB, dir string, addrs []string) []string {
	tb.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		tb.Fatal(err)
	}
	left := ProcessesOf(dir)
	for _, file := range files {
		left = append(left, file.Name())
	}
	for _, addr := range addrs {
		if conn, err := net.Dial("tcp", addr); err == nil { // a process that exits closes its sockets last
			_ = conn.Close()
			left = append(left, addr)
		}
	}
	return left
}

// ProcessesOf returns the IDs and command lines of the processes that use a directory: it is their working directory, or
// their arguments or environment contain it. This finds every process of a private broker. It works on Linux only.
func ProcessesOf(dir string) []string {
	var found []string
	proc, _ := filepath.Glob("/proc/[0-9]*")
	for _, process := range proc {
		arguments, _ := os.ReadFile(filepath.Join(process, "cmdline")) // empty for a process that has just exited
		environment, _ := os.ReadFile(filepath.Join(process, "environ"))
		place, _ := os.Readlink(filepath.Join(process, "cwd"))
		if strings.Contains(fmt.Sprint(string(arguments), string(environment), place), dir) {
			found = append(found, filepath.Base(process)+" "+strings.ReplaceAll(string(arguments), "\x00", " "))
		}
	}
	return found
}
