package main

import (
	"bytes"
	"os"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	// The TUI asks the terminal a question from an init function. It is linked
	// here whether or not a command uses it yet, because package quiet must
	// keep it silent (TestFirstByteOnAMuteTerminal).
	_ "github.com/charmbracelet/bubbletea"
)

// helpers are programs that scripts can start beside msctl.
func helpers() map[string]func() {
	return map[string]func(){}
}

// waitFile is `waitfile FILE`: it waits until a program in the background has
// written FILE, ten seconds at most.
func waitFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: waitfile FILE")
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(10 * time.Second)
	for time.Now().Before(deadline) {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		if err == nil && len(bytes.TrimSpace(text)) > 0 {
			return
		}
		<-tick.C
	}
	ts.Fatalf("%s was not written in time", args[0])
}
