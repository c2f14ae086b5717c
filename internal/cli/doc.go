// Package cli is msctl's command line: the root command, its help, and completion. The commands
// are in the packages below it, each with what its commands have in common:
//
//   - create writes a workspace, or adds to one: new, init, upgrade, and token
//   - operate runs a workspace and shows what it does: run, ps, logs, stop, tap, health, doctor
//   - message sends messages and replies to them: send, emit, ls, verify, and mock
//   - measure loads services and disturbs them: bench and fault
//   - command is what they share, and describes how a command is written
package cli
