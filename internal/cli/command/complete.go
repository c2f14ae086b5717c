package command

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/nestsource"
	"github.com/msctl/msctl/internal/shorthand"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/internal/term/visible"
	"github.com/msctl/msctl/internal/workspace"
	"github.com/msctl/msctl/runtime/micro"
)

// CompleteTarget is a cobra.CompletionFunc that completes a TARGET: the services of the
// workspace that handle messages, and the schemes of addresses.
func CompleteTarget(_ *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var list []cobra.Completion
	if w, err := workspace.Current(); err == nil && w != nil {
		for _, s := range w.Services {
			if s.Kind != workspace.KindGateway {
				list = append(list, cobra.CompletionWithDesc(s.Name, "service over "+string(s.Transport)))
			}
		}
	}
	for _, s := range target.Schemes() {
		list = append(list, cobra.CompletionWithDesc(s.Name+"://", s.Sample))
	}
	list = slices.DeleteFunc(list, func(c cobra.Completion) bool { return !strings.HasPrefix(c, typed) })
	directive := cobra.ShellCompDirectiveNoFileComp
	if !slices.ContainsFunc(list, func(c cobra.Completion) bool { return !strings.Contains(c, "://\t") }) {
		directive |= cobra.ShellCompDirectiveNoSpace // the host follows
	}
	return list, directive
}

// CompleteGateways completes the gateways of the current workspace, if there is one.
func CompleteGateways(typed string) []cobra.Completion {
	w, err := workspace.Current()
	if err != nil || w == nil {
		return nil
	}
	var list []cobra.Completion
	for _, s := range w.Services {
		if s.Kind == workspace.KindGateway && strings.HasPrefix(s.Name, typed) {
			list = append(list, cobra.CompletionWithDesc(s.Name, "gateway"))
		}
	}
	return list
}

// CompleteMessage is a cobra.CompletionFunc that completes PATTERN and the fields of DATA with
// what the NestJS sources of the workspace declare.
func CompleteMessage(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	w, err := workspace.Current()
	if err != nil || w == nil {
		return nil, cobra.ShellCompDirectiveDefault
	}
	var names []string
	if to := cmd.Flags().Lookup("to"); to != nil && w.Service(to.Value.String()) != nil {
		names = append(names, to.Value.String())
	}
	var list []cobra.Completion
	for _, s := range nestsource.Services(cmd.Context(), w, names...) {
		for _, h := range s.Handlers {
			switch {
			case len(args) == 0:
				list = append(list, patternCompletion(s.Name, h)...)
			case handlesArgument(h, args[0]):
				list = append(list, fieldCompletions(h, args[1:])...)
			}
		}
	}
	list = slices.DeleteFunc(list, func(c cobra.Completion) bool { return !strings.HasPrefix(c, typed) })
	if len(args) > 0 {
		return list, cobra.ShellCompDirectiveNoSpace // the value follows
	}
	return list, cobra.ShellCompDirectiveNoFileComp
}

func patternCompletion(service string, h nestsource.Handler) []cobra.Completion {
	if h.Computed != nil || h.Pattern == "undefined" {
		return nil
	}
	description := h.Kind() + " of " + service
	if h.Payload != nil && h.Payload.Name != "" {
		description += ", data: " + h.Payload.Name
	}
	return []cobra.Completion{cobra.CompletionWithDesc(visible.Line(shorthand.ShortPattern(json.RawMessage(h.Pattern))), visible.Line(description))}
}

func handlesArgument(h nestsource.Handler, arg string) bool {
	pattern, err := shorthand.Pattern(arg)
	if err != nil || h.Computed != nil {
		return false
	}
	known, err := micro.ParsePattern(h.Pattern)
	return err == nil && known.Route() == pattern.Route()
}

// fieldCompletions completes the fields that are not among the arguments yet: name= for a
// string, and name:= for JSON.
func fieldCompletions(h nestsource.Handler, given []string) (list []cobra.Completion) {
	if h.Payload == nil || h.Payload.Array {
		return nil
	}
	for _, f := range h.Payload.Fields {
		if slices.ContainsFunc(given, func(arg string) bool {
			return strings.HasPrefix(arg, f.Name+"=") || strings.HasPrefix(arg, f.Name+":=")
		}) {
			continue
		}
		assign := ":="
		if f.Type == "string" || strings.HasPrefix(f.Type, "'") {
			assign = "="
		}
		description := f.Type
		if f.Optional {
			description = "optional " + description
		}
		if len(f.Rules) > 0 {
			description += " @" + strings.Join(f.Rules, " @")
		}
		list = append(list, cobra.CompletionWithDesc(visible.Line(f.Name)+assign, visible.Line(description)))
	}
	return list
}
