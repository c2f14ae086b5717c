package target

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/msctl/msctl/internal/nearest"
	"github.com/msctl/msctl/internal/shorthand"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/runtime/micro"
)

// Known returns the patterns that the services at a target handle, and how many services
// that are. Both are zero if they cannot be known. Every hint about handlers comes from
// here.
func (f *Flags) Known(ctx context.Context, t Target) (patterns []micro.Pattern, services int) {
	described, err := f.DescribeAll(ctx, t, DescribeTimeout)
	if err != nil {
		return nil, 0
	}
	return patternsOf(described...), len(described)
}

// patternsOf lists the patterns that services handle.
func patternsOf(services ...micro.Description) (patterns []micro.Pattern) {
	for _, d := range services {
		for _, h := range d.Handlers {
			if p, err := micro.ParsePattern(string(h.Pattern)); err == nil {
				patterns = append(patterns, p)
			}
		}
	}
	return patterns
}

// HandlerHint returns what to send instead of a pattern that has no handler at a target.
// It names similar handlers or, if the handlers are not known, the other meaning that
// the text of the pattern could have. typed is that text.
func (f *Flags) HandlerHint(ctx context.Context, t Target, pattern micro.Pattern, typed string) string {
	known, services := f.Known(ctx, t)
	declared := slices.ContainsFunc(known, func(p micro.Pattern) bool { return p.Route() == pattern.Route() })
	switch near := Nearest(pattern, known); {
	case declared && t.Service != "" && t.Shared():
		return fmt.Sprintf("%s handles it: start it with `msctl run %s`", t.Service, t.Service)
	case declared && t.Service != "":
		return fmt.Sprintf("the sources of %s have a handler for it, but not the running program: restart it", t.Service)
	case len(near) > 0:
		return didYouMean(pattern, near)
	case services == 0:
		return otherReading(pattern, typed)
	case len(known) == 0:
		return "it has no handlers"
	}
	verb := "it handles"
	switch {
	case services > 1:
		verb = "they handle"
	case t.Shared() && t.Service == "":
		verb = "the one service there handles"
	}
	return verb + " " + term.List(formatted(known), 5)
}

// didYouMean names patterns as they can be pasted. It points out strings if
// the pattern that was sent looks like one of them.
func didYouMean(sent micro.Pattern, near []micro.Pattern) string {
	hint := "did you mean " + strings.Join(formatted(near), " or ") + "?"
	for _, p := range near {
		if isObject(sent) && !isObject(p) && shorthand.Format(p)[0] == '\'' {
			return hint + " (quotes make it a string)"
		}
	}
	return hint
}

func isObject(p micro.Pattern) bool { return strings.HasPrefix(p.JSON(), "{") }

// otherReading explains how the text of a pattern was read, and how to write its other
// meaning.
func otherReading(pattern micro.Pattern, typed string) string {
	other, ok := shorthand.OtherReading(typed)
	switch {
	case !ok:
		return ""
	case isObject(pattern):
		return fmt.Sprintf("%s was sent as %s; for the string, write %s", typed, pattern.JSON(), shorthand.Format(other))
	}
	return fmt.Sprintf("%s was sent as a string; for %s, write %s", typed, other.JSON(), shorthand.Format(other))
}

func formatted(patterns []micro.Pattern) []string {
	words := make([]string, len(patterns))
	for i, p := range patterns {
		words[i] = shorthand.Format(p)
	}
	return words
}

// Nearest returns up to three known patterns that resemble a pattern, or only those that
// differ from it in nothing but their form. It ignores what all object patterns have in
// common, such as {"cmd":.
func Nearest(pattern micro.Pattern, known []micro.Pattern) (near []micro.Pattern) {
	words := make([]string, len(known))
	byWord := map[string][]micro.Pattern{}
	for i, p := range known {
		words[i] = essence(p.Route())
		byWord[words[i]] = append(byWord[words[i]], p)
	}
	const most = 3
	if same := byWord[essence(pattern.Route())]; len(same) > 0 {
		return same[:min(len(same), most)]
	}
	for _, word := range slices.Compact(nearest.Words(essence(pattern.Route()), words, most)) {
		near = append(near, byWord[word]...)
	}
	return near[:min(len(near), most)]
}

// essence returns a route without the braces, quotes, and keys of an object.
func essence(route string) string {
	var fields map[string]any
	if !strings.HasPrefix(route, "{") || json.Unmarshal([]byte(route), &fields) != nil {
		return route
	}
	var values []string
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		values = append(values, fmt.Sprint(fields[key]))
	}
	return strings.Join(values, " ")
}
