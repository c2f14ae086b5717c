package cli

import (
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/cli/command"
	"github.com/msctl/msctl/internal/exit"
)

// TestFlagValues checks which values the flags for formats and durations accept, and the errors for others.
func TestFlagValues(t *testing.T) {
	type values struct {
		Output          string
		Timeout, Slower time.Duration
	}
	standard := values{Timeout: 5 * time.Second}
	for _, tt := range []struct {
		args []string
		want values
		err  string
	}{
		{nil, standard, ""},
		{[]string{"-o", "json", "--timeout", "1ms", "--slower", "2s"}, values{"json", time.Millisecond, 2 * time.Second}, ""},
		{[]string{"--output=", "--slower", "0"}, standard, ""},
		{[]string{"-o", "xml"}, standard, `unknown output "xml": use json or yaml`},
		{[]string{"--timeout", "0s"}, standard, "--timeout must be greater than 0"},
		{[]string{"--timeout", "-1s"}, standard, "--timeout must be greater than 0"},
		{[]string{"--slower", "-1s"}, standard, "--slower must not be negative"},
		{[]string{"--slower", "soon"}, standard, `invalid --slower: "soon" is not a duration such as 10s or 200ms`},
	} {
		var got values
		cmd := &cobra.Command{Use: "test", SilenceErrors: true, SilenceUsage: true, RunE: func(*cobra.Command, []string) error { return nil }}
		cmd.SetFlagErrorFunc(flagError)
		cmd.SetOut(io.Discard)
		command.OutputFlag(cmd.Flags(), &got.Output, "output `FORMAT`", "json", "yaml")
		command.PositiveFlag(cmd.Flags(), &got.Timeout, "timeout", 5*time.Second, "wait up to `DURATION`")
		command.DurationFlag(cmd.Flags(), &got.Slower, "slower", 0, "slower than `DURATION`")
		if tt.args == nil {
			tt.args = []string{}
		}
		cmd.SetArgs(tt.args)
		err := cmd.Execute()
		text := ""
		if err != nil {
			text = err.Error()
			if exit.Code(err) != exit.Usage {
				t.Errorf("%v: exit code %d", tt.args, exit.Code(err))
			}
		}
		if text != tt.err {
			t.Errorf("%v: %q, want %q", tt.args, text, tt.err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%v: %s", tt.args, diff)
		}
	}
}
