package secret

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Variables replaces credentials by references to environment variables, so that a
// command or code can be shown and repeated. The zero value is ready to use.
type Variables struct {
	// Known are credentials that have been looked up, and keep the names of their
	// variables.
	Known *Set

	values map[string]string // by name
}

// Argument returns an argument of a command with references. The name of a variable is
// that of the credential: Authorization is $AUTHORIZATION.
func (v *Variables) Argument(text string) string {
	return replace(text, argument(text), func(s span) string { return "$" + v.name(s.name, text[s.from:s.to]) })
}

// Pair returns the variable for the value of a name; "" if it is no credential.
func (v *Variables) Pair(name, value string) string {
	if v.Known.variable(value) != "" || Named(name) && !harmless(value) || isToken(value) {
		return v.name(name, value)
	}
	return ""
}

// JSON returns a JSON text in which each credential, with its quotation marks, is what
// with returns for its variable.
func (v *Variables) JSON(text string, with func(variable string) string) string {
	if !json.Valid([]byte(text)) {
		return text
	}
	w := jsonWalker{text: text, known: func(value string) bool { return v.Known.variable(value) != "" }}
	w.value("", false)
	for i, s := range w.spans {
		w.spans[i].value = decoded(text[s.from:s.to])
		if text[s.from-1] == '"' {
			w.spans[i].from, w.spans[i].to = s.from-1, s.to+1
		}
	}
	return replace(text, w.spans, func(s span) string { return with(v.name(s.name, s.value)) })
}

// decoded returns the value of the inside of a JSON string.
func decoded(inside string) string {
	var plain string
	if json.Unmarshal([]byte(`"`+inside+`"`), &plain) != nil {
		return inside
	}
	return plain
}

// Names returns the names of the variables, sorted.
func (v *Variables) Names() []string { return slices.Sorted(maps.Keys(v.values)) }

// name returns the variable for a value. A second value of the same name gets a number.
func (v *Variables) name(name, value string) string {
	if v.values == nil {
		v.values = map[string]string{}
	}
	if known := v.Known.variable(value); known != "" {
		v.values[known] = value
		return known
	}
	base := variableName(name)
	for n := 1; ; n++ {
		variable := base
		if n > 1 {
			variable = fmt.Sprintf("%s_%d", base, n)
		}
		if known, taken := v.values[variable]; !taken || known == value {
			v.values[variable] = value
			return variable
		}
	}
}

// variableName returns the words of a name as the name of a variable.
func variableName(name string) string {
	text := strings.ToUpper(strings.Join(words(name), "_"))
	text = strings.Trim(strings.Map(func(r rune) rune {
		if r == '_' || r >= 'A' && r <= 'Z' {
			return r
		}
		return -1
	}, text), "_")
	if text == "" {
		return "SECRET"
	}
	return text
}
