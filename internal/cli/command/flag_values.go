package command

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/msctl/msctl/internal/exit"
)

// OutputFlag adds --output with the shorthand -o, which accepts nothing but the
// formats. Any other value is a usage error that lists them.
func OutputFlag(flags *pflag.FlagSet, to *string, usage string, formats ...string) {
	flags.VarP(&formatValue{to, formats}, "output", "o", usage)
}

// formatValue is one of several formats, or "" if the flag is not set.
type formatValue struct {
	to      *string
	formats []string
}

// String returns the format.
func (v *formatValue) String() string {
	if v.to == nil { // pflag asks a zero value
		return ""
	}
	return *v.to
}

// Type returns the type in the words of pflag.
func (v *formatValue) Type() string { return "string" }

// Set sets the format.
func (v *formatValue) Set(text string) error {
	if text != "" && !slices.Contains(v.formats, text) {
		return exit.Usagef("unknown output %q: use %s", text, strings.Join(v.formats, " or "))
	}
	*v.to = text
	return nil
}

// PositiveFlag adds a flag for a duration that must be greater than 0. standard is its default;
// the help does not show 0.
func PositiveFlag(flags *pflag.FlagSet, to *time.Duration, name string, standard time.Duration, usage string) {
	addDuration(flags, &durationValue{to: to, name: name, positive: true}, standard, usage)
}

// DurationFlag adds a flag for a duration of at least 0. standard is its default; the help does
// not show 0.
func DurationFlag(flags *pflag.FlagSet, to *time.Duration, name string, standard time.Duration, usage string) {
	addDuration(flags, &durationValue{to: to, name: name}, standard, usage)
}

func addDuration(flags *pflag.FlagSet, v *durationValue, standard time.Duration, usage string) {
	*v.to = standard
	flag := flags.VarPF(v, v.name, "", usage)
	if standard == 0 {
		flag.DefValue = "" // which the help does not show
	}
}

// durationValue is a duration that is not negative.
type durationValue struct {
	to       *time.Duration
	name     string
	positive bool
}

// String returns the duration.
func (v *durationValue) String() string {
	if v.to == nil { // pflag asks a zero value
		return ""
	}
	return v.to.String()
}

// Type returns the type in the words of pflag.
func (v *durationValue) Type() string { return "duration" }

// Set sets the duration.
func (v *durationValue) Set(text string) error {
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return err
	case v.positive && d <= 0:
		return exit.Usagef("--%s must be greater than 0", v.name)
	case d < 0:
		return exit.Usagef("--%s must not be negative", v.name)
	}
	*v.to = d
	return nil
}

// CheckListen returns a usage error that points into --listen unless text is an address to
// listen on: host:port, or :port.
func CheckListen(text string) error {
	_, port, err := net.SplitHostPort(text)
	if err != nil {
		return exit.PointAt("--listen", text, 0, "an address must be host:port or :port")
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return exit.PointAt("--listen", text, len(text)-len(port), "a port must be a number between 0 and 65535")
	}
	return nil
}
