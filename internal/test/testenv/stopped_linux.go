package testenv

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// stopLimit limits how long threads may take to stop. It only ends a hang.
const stopLimit = time.Minute

// AwaitStopped waits until every thread of a process to which SIGSTOP was sent has stopped. The
// signal is sent at once, but on a busy machine, threads run on until they are scheduled.
func AwaitStopped(tb testing.TB, pid int) {
	tb.Helper()
	if err := awaitStopped(func(process, _ int) bool { return process == pid }); err != nil {
		tb.Fatal(err)
	}
}

// awaitGroupStopped is AwaitStopped for all processes of a group.
func awaitGroupStopped(group int) error {
	return awaitStopped(func(_, of int) bool { return of == group })
}

func awaitStopped(chosen func(pid, group int) bool) error {
	var running []string
	if Poll(stopLimit, func() bool {
		running = runningThreads(chosen)
		return len(running) == 0
	}) {
		return nil
	}
	return fmt.Errorf("not stopped within %s: %s", stopLimit, strings.Join(running, ", "))
}

// runningThreads returns the directories of the chosen processes' threads that have neither
// stopped nor ended.
func runningThreads(chosen func(pid, group int) bool) (running []string) {
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, process := range processes {
		pid, _ := strconv.Atoi(filepath.Base(process))
		if state, group := stateIn(process); state == "" || !chosen(pid, group) {
			continue
		}
		threads, _ := filepath.Glob(filepath.Join(process, "task", "*"))
		for _, thread := range threads {
			if state, _ := stateIn(thread); state != "" && !strings.ContainsAny(state, "TtZX") {
				running = append(running, thread+" ("+state+")")
			}
		}
	}
	return running
}

// stateIn returns the state of the process or thread with a directory of proc(5), and its process
// group. The state is "" if it has ended.
func stateIn(dir string) (state string, group int) {
	text, _ := os.ReadFile(filepath.Join(dir, "stat"))
	text = text[bytes.LastIndexByte(text, ')')+1:] // the name of the program, which precedes it, may contain anything
	var parent int
	if n, _ := fmt.Sscan(string(text), &state, &parent, &group); n < 3 {
		return "", 0
	}
	return state, group
}
