package command

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/msctl/msctl/internal/exit"
)

// emptyValues are the flags for which an empty value has a meaning of its own, by the path of
// the command without the program's name.
var emptyValues = []string{
	"emit --raw", // a message without a body
}

// ownErrors are the commands whose own error for an empty argument is more exact.
var ownErrors = []string{"send", "emit", "bench"}

// AcceptsEmpty reports whether an empty value of a flag of cmd has a meaning of its own.
func AcceptsEmpty(cmd *cobra.Command, flag *pflag.Flag) bool {
	_, path, _ := strings.Cut(cmd.CommandPath(), " ")
	return flag.Value.Type() == "bool" || slices.Contains(emptyValues, path+" --"+flag.Name)
}

// hintUnset explains where empty texts come from.
const hintUnset = "a shell variable that is not set is empty"

// RejectEmptyValues makes an empty value a usage error that names the flag, for all flags of cmd
// and of its subcommands except those that [AcceptsEmpty] names, and an empty argument one that
// names its position. An empty value is almost always a variable of the shell that is not set, and must
// not select a default in silence.
func RejectEmptyValues(cmd *cobra.Command) {
	_, path, _ := strings.Cut(cmd.CommandPath(), " ")
	if count := cmd.Args; !cmd.DisableFlagParsing && !slices.Contains(ownErrors, path) {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if i := slices.Index(args, ""); i >= 0 {
				return exit.WithHint(exit.Usagef("argument %d of %s is empty", i+1, cmd.CommandPath()), hintUnset)
			}
			if count == nil {
				return nil
			}
			return count(cmd, args)
		}
	}
	reject := func(flag *pflag.Flag) {
		if _, done := flag.Value.(*filledValue); done || AcceptsEmpty(cmd, flag) {
			return
		}
		flag.Value = &filledValue{flag.Value, flag.Name}
		if flag.DefValue == "[]" {
			flag.DefValue = "" // the help omits an empty list only for the types of pflag
		}
	}
	cmd.PersistentFlags().VisitAll(reject)
	cmd.Flags().VisitAll(reject)
	for _, sub := range cmd.Commands() {
		RejectEmptyValues(sub)
	}
}

// Unwrap returns the value of a flag as the command has defined it.
func Unwrap(flag *pflag.Flag) pflag.Value {
	if v, ok := flag.Value.(*filledValue); ok {
		return v.Value
	}
	return flag.Value
}

// filledValue is the value of a flag that cannot be empty, or contain an empty element.
type filledValue struct {
	pflag.Value
	name string
}

// Set sets the value.
func (v *filledValue) Set(text string) error {
	if text == "" {
		return exit.WithHint(exit.Usagef("the value of --%s is empty", v.name), "remove --%s or give it a value; %s", v.name, hintUnset)
	}
	if err := v.Value.Set(text); err != nil {
		return err
	}
	if list, ok := v.Value.(pflag.SliceValue); ok && slices.Contains(list.GetSlice(), "") {
		return exit.Usagef("--%s contains an empty element: %q", v.name, text)
	}
	return nil
}
