// Package command is what msctl's commands share: the groups of commands and flags in the help,
// checks of arguments and flag values, the flags for a target and a retry policy, completion,
// signals, and the workspace of the current folder.
//
// # A command
//
// A command consists of three parts in one file: an options struct, a constructor that
// only describes and parses, and a run function that does the work:
//
//	type fooOptions struct { … }
//	func NewFooCommand(s *term.IO) *cobra.Command        // flags into options, checks arguments
//	func runFoo(ctx context.Context, s *term.IO, o fooOptions) error
//
// The constructor sets GroupID to one of the groups, Args to [ArgCount], and RunE to a function
// that calls runFoo with cmd.Context(). Add it to subcommands in root.go of package cli. Use
// [GroupFlags] to divide long lists of flags. Ctrl-C and SIGTERM cancel the context with
// an *exit.SignalError as the cause.
//
// # Errors
//
// A command returns nil or an error. Package exit prints it and chooses the exit code.
//
// # Output
//
// A command writes results to s.Out (values with s.PrintJSON) and everything else to
// s.Err. It uses color only through s.OutPalette and s.ErrPalette, and it prompts only
// through s.Input, s.Select, s.MultiSelect, and s.Confirm, each with the flag that makes
// the prompt unnecessary.
package command
