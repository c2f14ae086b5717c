package cli

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/msctl/msctl/internal/cli/command"
	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/term"
)

// TestEmptyFlags gives an empty value to every flag of every command, in both spellings and in
// lists. The error must name the flag.
func TestEmptyFlags(t *testing.T) {
	fails := func(name string, args ...string) {
		t.Helper()
		s, _ := term.NewTest("", term.Facts{})
		root := newRootCommand(s, "v9")
		runNothing(root)
		root.SetArgs(args)
		err := root.ExecuteContext(t.Context())
		if text := fmt.Sprint(err); exit.Code(err) != exit.Usage || !strings.Contains(text, "--"+name+" ") || !strings.Contains(text, "empty") {
			t.Errorf("%q: %v", args, err)
		}
	}
	var accepted []string
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.DisableFlagParsing { // its flags are those of another program
			return
		}
		path := strings.Fields(cmd.CommandPath())[1:]
		check := func(flag *pflag.Flag) {
			switch {
			case flag.Value.Type() == "bool":
				return
			case command.AcceptsEmpty(cmd, flag):
				accepted = append(accepted, strings.Join(path, " ")+" --"+flag.Name)
				return
			}
			fails(flag.Name, slices.Concat(path, []string{"--" + flag.Name + "="})...)
			if flag.NoOptDefVal == "" {
				fails(flag.Name, slices.Concat(path, []string{"--" + flag.Name, ""})...)
			}
			if flag.Value.Type() == "stringSlice" {
				fails(flag.Name, slices.Concat(path, []string{"--" + flag.Name, "a,,b"})...)
				fails(flag.Name, slices.Concat(path, []string{"--" + flag.Name, "a,"})...)
			}
		}
		cmd.Flags().VisitAll(check)
		cmd.InheritedFlags().VisitAll(check)
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	s, _ := term.NewTest("", term.Facts{})
	walk(newRootCommand(s, "v9"))
	if want := []string{"emit --raw"}; !slices.Equal(accepted, want) {
		t.Errorf("accept an empty value: %q, want %q", accepted, want)
	}
}

// TestEmptyArguments gives an empty argument to every command.
func TestEmptyArguments(t *testing.T) {
	var walk func(cmd *cobra.Command)
	count := 0
	walk = func(cmd *cobra.Command) {
		path := strings.Fields(cmd.CommandPath())[1:]
		if cmd.Runnable() && !cmd.DisableFlagParsing {
			count++
			s, _ := term.NewTest("", term.Facts{})
			root := newRootCommand(s, "v9")
			root.SetArgs(append(path, "", ""))
			if err := root.ExecuteContext(t.Context()); exit.Code(err) != exit.Usage {
				t.Errorf("%q with empty arguments: %v", path, err)
			}
		}
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	s, _ := term.NewTest("", term.Facts{})
	walk(newRootCommand(s, "v9"))
	if count < 25 {
		t.Errorf("found only %d commands", count)
	}
}

// runNothing makes the commands only parse their flags.
func runNothing(cmd *cobra.Command) {
	cmd.Args, cmd.RunE = nil, func(*cobra.Command, []string) error { return nil }
	for _, sub := range cmd.Commands() {
		runNothing(sub)
	}
}
