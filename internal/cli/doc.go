// Package cli is msctl's command line: one file a command.
//
// # How a command is made
//
// A command is three things in one file named after it: an options struct, a
// constructor that only describes and parses, and a run function that only
// works:
//
//	type fooOptions struct { … }
//	func newFooCommand(s *term.IO) *cobra.Command        // flags into options, arguments checked
//	func runFoo(ctx context.Context, s *term.IO, o fooOptions) error
//
// The constructor sets GroupID to one of the groups of root.go, Args to
// [argCount] (usage errors in our words, exit code 2), RunE to a function that
// calls run with cmd.Context(), and is added to the one list, subcommands in
// root.go. Long flag lists get headings with groupFlags. The context ends with
// Ctrl-C or SIGTERM; its cause is a *signalError.
//
// # What a command returns
//
// nil, or an error: printing it and choosing the exit code is exit.go's work.
// usagef makes a usage error (2), withCode gives another code, withHint adds the
// one "hint:" line, said marks what was printed already. A context that ended
// by a signal gives 130 (SIGINT) or 143 (SIGTERM) when the command returns an
// error that is context.Canceled.
//
// # What a command prints
//
// Results to s.Out (values with s.PrintJSON), everything else to s.Err; colour
// only through s.OutPalette and s.ErrPalette; questions only through s.Input,
// s.Select, s.MultiSelect and s.Confirm, each with the flag that answers it.
//
// Shared syntaxes have their own files: PATTERN in pattern.go, DATA in data.go,
// TARGET in target.go.
package cli
