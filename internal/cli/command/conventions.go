package command

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/msctl/msctl/internal/exit"
)

// The groups of `msctl --help`, in order. A command selects one with cobra's GroupID.
const (
	GroupProject = "project"
	GroupTalk    = "talk"
	GroupMeasure = "measure"
	GroupMore    = "more"
)

// JSON is the value of --output and --log for JSON.
const JSON = "json"

// The annotations of commands and flags.
const (
	incidental = "msctl_incidental" // of a command, see IncidentalOutput
	flagGroup  = "msctl_group"      // of a flag: its heading in the help
)

// IncidentalOutput returns the annotations of a command whose exit code is about more than
// its output: losing the output does not change the code.
func IncidentalOutput() map[string]string { return map[string]string{incidental: "true"} }

// IsIncidental reports whether a command has the annotations of [IncidentalOutput].
func IsIncidental(cmd *cobra.Command) bool { return cmd.Annotations[incidental] != "" }

// GroupFlags puts flags of cmd, which must have them, under a heading in its help. Headings appear in the
// order in which their first flags were defined.
func GroupFlags(cmd *cobra.Command, heading string, names ...string) {
	for _, name := range names {
		flag := cmd.Flags().Lookup(name)
		if flag == nil {
			panic("command: no flag --" + name + " to group in " + cmd.Name())
		}
		if flag.Annotations == nil {
			flag.Annotations = map[string][]string{}
		}
		flag.Annotations[flagGroup] = []string{heading}
	}
}

// Heading returns the heading of a flag in the help, or "" if it has none.
func Heading(flag *pflag.Flag) string {
	if names := flag.Annotations[flagGroup]; len(names) > 0 {
		return names[0]
	}
	return ""
}

// ArgCount is a cobra.PositionalArgs that requires least to most arguments (most < 0:
// no limit). Its usage errors name the missing or the extra argument.
func ArgCount(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) >= least && (most < 0 || len(args) <= most) {
			return nil
		}
		_, wants, _ := strings.Cut(cmd.Use, " ")
		var err error
		switch {
		case len(args) < least:
			err = exit.Usagef("%s requires %s", cmd.CommandPath(), strings.Fields(wants)[len(args)])
		case most == 0:
			err = exit.Usagef("%s takes no arguments, got %q", cmd.CommandPath(), args[0])
		default:
			err = exit.Usagef("%s: unexpected argument %q", cmd.CommandPath(), args[most])
		}
		return exit.WithHint(err, "%s", strings.TrimSpace("usage: "+cmd.UseLine()))
	}
}
