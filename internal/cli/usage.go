package cli

import (
	"errors"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/nearest"
)

// flagError rewrites an error of the flag library as a usage error.
func flagError(cmd *cobra.Command, err error) error {
	var (
		unknown *pflag.NotExistError
		missing *pflag.ValueRequiredError
		invalid *pflag.InvalidValueError
	)
	switch {
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

// argCount is a cobra.PositionalArgs that requires least to most arguments (most < 0:
// no limit). Its usage errors name the missing or the extra argument.
func argCount(least, most int) cobra.PositionalArgs {
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
