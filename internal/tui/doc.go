// Package tui draws msctl's full-screen views of running load tests. It draws snapshots
// on stderr; it measures nothing and owns no data.
//
// Callers must check term.IO.CanDraw first: bubbletea writes escape codes even where
// there is no terminal.
package tui
