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

// AwaitNothingLeft waits until no process belongs to the directory, nothing is in it, and nobody accepts connections at the
// addresses, as it is when the brokers and programs that had it for their temporary files have ended. It fails the test
// when that takes long.
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
			tb.Fatalf("left behind in %s: %q", dir, left)
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
		if conn, err := net.Dial("tcp", addr); err == nil { // the system closes what a process has open last
			_ = conn.Close()
			left = append(left, addr)
		}
	}
	return left
}

// ProcessesOf returns the command lines of the processes that belong to a directory, as everything of a private broker
// does to the broker's: they work in it, or name it in their arguments or their environment. It knows those of Linux only.
func ProcessesOf(dir string) []string {
	var found []string
	proc, _ := filepath.Glob("/proc/[0-9]*")
	for _, process := range proc {
		arguments, _ := os.ReadFile(filepath.Join(process, "cmdline")) // of one that has just ended: nothing
		environment, _ := os.ReadFile(filepath.Join(process, "environ"))
		place, _ := os.Readlink(filepath.Join(process, "cwd"))
		if strings.Contains(fmt.Sprint(string(arguments), string(environment), place), dir) {
			found = append(found, filepath.Base(process)+" "+strings.ReplaceAll(string(arguments), "\x00", " "))
		}
	}
	return found
}
