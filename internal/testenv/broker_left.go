package testenv

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// AwaitNothingLeft waits until no process belongs to the directory and nothing is in it, as it is when the brokers and
// programs that were started with it for their temporary files have ended. It fails the test when that takes long.
func AwaitNothingLeft(tb testing.TB, dir string) {
	tb.Helper()
	every := time.NewTicker(10 * time.Millisecond)
	defer every.Stop()
	deadline := time.After(brokerStopLimit)
	for {
		files, err := os.ReadDir(dir)
		if err != nil {
			tb.Fatal(err)
		}
		processes := ProcessesOf(dir)
		if len(files) == 0 && len(processes) == 0 {
			return
		}
		select {
		case <-every.C:
		case <-deadline:
			tb.Fatalf("left behind in %s: %v, %q", dir, files, processes)
		}
	}
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
