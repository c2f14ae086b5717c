// Package tui draws msctl's full-screen views of running load tests and of the messages between
// services, and has the parts that other screens are made of: areas of cells, looks, prompts, and
// popups. It draws snapshots and messages on stderr; it measures nothing and owns no data.
//
// Callers must check term.IO.CanDraw first: bubbletea writes escape codes even where
// there is no terminal.
package tui
