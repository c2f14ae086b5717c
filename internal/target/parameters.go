package target

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/nearest"
)

// Parameters are the options after the ? of a broker's address, under NestJS's
// names. A value is a bool, an int, or a string; that of an argument is anything that
// JSON can express. The zero value has no options.
type Parameters map[string]any

type parameterType int

const (
	boolParameter parameterType = iota
	intParameter
	textParameter
	emptyParameter // a text that may be empty
)

// parseParameters parses the options of an address. Those of other programs are ignored.
func (t transport) parseParameters(query string) (Parameters, error) {
	if query == "" {
		return nil, nil
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, exit.WithHint(errors.New("invalid options after the ?"), "write OPTION=VALUE&OPTION=VALUE")
	}
	p := Parameters{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if t.ignores(name) {
			continue
		}
		if len(values[name]) > 1 {
			return nil, fmt.Errorf("duplicate option %s", name)
		}
		if p[name], err = t.parseParameter(name, values[name][0]); err != nil {
			return nil, err
		}
	}
	if t.check == nil {
		return p, nil
	}
	return p, t.check(p)
}

func (t transport) parseParameter(name, text string) (any, error) {
	known, ok := t.parameters[name]
	switch {
	case !ok && t.takes(name):
		return t.argument(name, text)
	case !ok:
		return nil, t.unknownParameter(name)
	case known == textParameter && text == "":
		return nil, fmt.Errorf("option %s requires a value", name)
	case known == textParameter, known == emptyParameter:
		return text, nil
	case known == intParameter:
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("invalid option %s=%s: must be an integer of 0 or more", name, text)
		}
		return n, nil
	case text == "true" || text == "": // a name without a value turns the option on
		return true, nil
	case text == "false":
		return false, nil
	}
	return nil, fmt.Errorf("invalid option %s=%s: must be true or false", name, text)
}

// takes reports whether the transport has an option.
func (t transport) takes(name string) bool {
	_, ok := t.parameters[name]
	return ok || t.argument != nil && isArgument(name)
}

func (t transport) unknownParameter(name string) error {
	names := slices.Sorted(maps.Keys(t.parameters))
	err := fmt.Errorf("unknown %s option %q", t.kind, name)
	if near := t.aliases[name]; near != "" {
		return exit.WithHint(err, "did you mean %s?", near)
	}
	if near := nearest.Word(name, names); near != "" {
		return exit.WithHint(err, "did you mean %s?", near)
	}
	return exit.WithHint(err, "the options are %s", strings.Join(names, ", "))
}

// ownParameters removes the options of other programs, such as heartbeat, from a
// query.
func (t transport) ownParameters(query string) string {
	own := slices.DeleteFunc(strings.Split(query, "&"), func(one string) bool {
		name, _, _ := strings.Cut(one, "=")
		return t.ignores(name)
	})
	return strings.Join(own, "&")
}

// IsSet reports whether the option was given.
func (p Parameters) IsSet(name string) bool { return p[name] != nil }

// Flag returns a bool option, or false if it is not set.
func (p Parameters) Flag(name string) bool { v, _ := p[name].(bool); return v }

// Truth returns a bool option, or nil if it is not set.
func (p Parameters) Truth(name string) *bool {
	v, ok := p[name].(bool)
	if !ok {
		return nil
	}
	return &v
}

// Number returns an integer option, or 0 if it is not set.
func (p Parameters) Number(name string) int { v, _ := p[name].(int); return v }

// Text returns a text option, or "" if it is not set.
func (p Parameters) Text(name string) string { v, _ := p[name].(string); return v }
