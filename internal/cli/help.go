package cli

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/msctl/msctl/internal/cli/command"
	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/nearest"
	"github.com/msctl/msctl/internal/term"
)

// printHelp writes a command's help to Out: description, usage, examples, subcommands
// by group, and flags by heading.
func printHelp(s *term.IO, cmd *cobra.Command) {
	p := s.OutPalette()
	var b strings.Builder
	about := cmd.Long
	if about == "" {
		about = cmd.Short
	}
	fmt.Fprintf(&b, "%s\n\n%s\n  %s\n", strings.TrimSpace(about), p.Bold("Usage"), useLine(cmd))
	if cmd.Example != "" {
		fmt.Fprintf(&b, "\n%s\n%s\n", p.Bold("Examples"), strings.TrimRight(cmd.Example, "\n "))
	}
	writeCommands(&b, p, cmd)
	writeFlags(&b, p, cmd, s.Width())
	if !cmd.HasParent() {
		fmt.Fprintf(&b, "\n%s\n  %s  the syntax of TARGET\n  %s  the file that describes a workspace\n",
			p.Bold("Help topics"), p.Accent("msctl help targets   "), p.Accent("msctl help msctl.yaml"))
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(&b, "\n%s\n", p.Dim(fmt.Sprintf("Use `%s COMMAND --help` for more information about a command.", cmd.CommandPath())))
	}
	fmt.Fprint(s.Out, b.String())
}

func useLine(cmd *cobra.Command) string {
	if !cmd.HasParent() || cmd.HasAvailableSubCommands() && !cmd.Runnable() {
		return cmd.CommandPath() + " COMMAND [flags]"
	}
	return cmd.UseLine()
}

func writeCommands(b *strings.Builder, p term.Palette, cmd *cobra.Command) {
	groups := cmd.Groups()
	if len(groups) == 0 {
		groups = []*cobra.Group{{Title: "Commands"}}
	}
	for _, group := range groups {
		heading := false
		for _, c := range cmd.Commands() {
			if c.Hidden || c.GroupID != group.ID {
				continue
			}
			if !heading {
				fmt.Fprintf(b, "\n%s\n", p.Bold(group.Title))
				heading = true
			}
			fmt.Fprintf(b, "  %s  %s\n", p.Accent(fmt.Sprintf("%-11s", c.Name())), c.Short)
		}
	}
}

// writeFlags writes the flags by heading, in the order in which they were defined.
// Flags without a heading and inherited flags come last.
func writeFlags(b *strings.Builder, p term.Palette, cmd *cobra.Command, width int) {
	const rest = "Flags"
	sets := map[string]*pflag.FlagSet{}
	var order []string
	add := func(flag *pflag.Flag) {
		heading := cmp.Or(command.Heading(flag), rest)
		if sets[heading] == nil {
			sets[heading] = pflag.NewFlagSet(heading, pflag.ContinueOnError)
			sets[heading].SortFlags = false
			if heading != rest {
				order = append(order, heading)
			}
		}
		sets[heading].AddFlag(flag)
	}
	cmd.InitDefaultHelpFlag()
	inherited := cmd.InheritedFlags()
	cmd.Flags().SortFlags = false
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if inherited.Lookup(f.Name) == nil {
			add(f)
		}
	})
	inherited.VisitAll(add)
	for _, heading := range append(order, rest) {
		if sets[heading] == nil || !sets[heading].HasAvailableFlags() {
			continue
		}
		fmt.Fprintf(b, "\n%s\n%s", p.Bold(heading), sets[heading].FlagUsagesWrapped(width))
	}
}

// newHelpCommand is `msctl help [COMMAND]`.
func newHelpCommand(s *term.IO) *cobra.Command {
	return &cobra.Command{
		Use:    "help [COMMAND]",
		Short:  "Show help for a command",
		Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			found, rest, err := cmd.Root().Find(args)
			if err != nil || found == nil || len(rest) > 0 {
				return unknownCommand(cmd.Root(), strings.Join(args, " "))
			}
			printHelp(s, found)
			return nil
		},
	}
}

// flagError rewrites an error of the flag library as a usage error.
func flagError(cmd *cobra.Command, err error) error {
	var (
		unknown *pflag.NotExistError
		missing *pflag.ValueRequiredError
		invalid *pflag.InvalidValueError
	)
	switch {
	case !cmd.HasParent() && cmd.Flags().NArg() > 0:
		return unknownCommand(cmd, cmd.Flags().Arg(0)) // the flags are those of a command that does not exist
	case errors.As(err, &unknown):
		return unknownFlag(cmd, unknown.GetSpecifiedName())
	case errors.As(err, &missing):
		return exit.Usagef("flag %s requires a value", dashed(missing.GetSpecifiedName()))
	case errors.As(err, &invalid) && exit.Code(invalid.Unwrap()) == exit.Usage:
		return invalid.Unwrap() // it names the flag itself
	case errors.As(err, &invalid):
		return exit.Usagef("invalid --%s: %s", invalid.GetFlag().Name, cause(invalid))
	}
	return exit.Usagef("%w", err)
}

// cause explains why the value of a flag is invalid.
func cause(invalid *pflag.InvalidValueError) string {
	kinds := map[string]string{
		"bool": "true or false", "duration": "a duration such as 10s or 200ms",
		"int": "a whole number", "uint64": "a whole number of 0 or more", "count": "a whole number",
	}
	if kind, ok := kinds[invalid.GetFlag().Value.Type()]; ok {
		return strconv.Quote(invalid.GetValue()) + " is not " + kind
	}
	if inner := invalid.Unwrap(); inner != nil {
		return inner.Error()
	}
	return invalid.Error()
}

func unknownFlag(cmd *cobra.Command, name string) error {
	err := exit.Usagef("unknown flag %s", dashed(name))
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	if near := nearest.Word(name, names); near != "" && len(name) > 1 {
		return exit.WithHint(err, "did you mean --%s?", near)
	}
	return exit.WithHint(err, "`%s --help` lists the flags", cmd.CommandPath())
}

func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}
