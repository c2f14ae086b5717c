package workspace

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// serviceLines returns the lines of a service, starting in the first column.
func serviceLines(s *Service, step int) []string {
	var keys []string
	add := func(present bool, format string, args ...any) {
		if present {
			keys = append(keys, fmt.Sprintf(format, args...))
		}
	}
	add(s.Kind == KindGateway, "kind: gateway")
	add(s.Path != "", "path: %s", scalar(s.Path))
	add(len(s.Command) > 0, "command: [%s]", joinScalars(s.Command))
	add(s.Dir != "", "dir: %s", scalar(s.Dir))
	add(s.Transport != "" && s.Kind != KindGateway, "transport: %s", s.Transport)
	add(s.Queue != "", "queue: %s", scalar(s.Queue))
	add(s.Host != "" && s.Host != "localhost", "host: %s", scalar(s.Host))
	add(s.Port != 0, "port: %d", s.Port)
	add(s.ReadyPattern != "", "ready: {pattern: %s}", s.ReadyPattern) // JSON is YAML
	add(s.ReadyPattern == "" && s.Ready != "" && s.Ready != defaultReady(s), "ready: %s", s.Ready)
	add(len(s.DependsOn) > 0, "depends_on: [%s]", joinScalars(s.DependsOn))
	add(len(s.Watch) > 0, "watch: [%s]", joinScalars(s.Watch))
	add(s.Tap != nil, "tap: %t", s.Taps())
	add(len(s.Env) > 0, "env:")
	for _, name := range slices.Sorted(maps.Keys(s.Env)) {
		keys = append(keys, strings.Repeat(" ", step)+name+": "+scalar(s.Env[name]))
	}
	return append([]string{s.Name + ":"}, indent(keys, step)...)
}

func joinScalars(words []string) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = scalar(w)
	}
	return strings.Join(out, ", ")
}

var plainScalar = regexp.MustCompile(`^[A-Za-z./][A-Za-z0-9_./@+-]*(:[A-Za-z0-9_./@+-]+)*$`)

// scalar returns text as a YAML scalar: plain if that is safe even in a list, otherwise in
// double quotes.
func scalar(text string) string {
	switch strings.ToLower(text) {
	case "true", "false", "yes", "no", "on", "off", "null", "y", "n":
		return strconv.Quote(text)
	}
	if plainScalar.MatchString(text) && !strings.HasPrefix(text, ".inf") && !strings.HasPrefix(text, ".n") {
		return text
	}
	return strconv.Quote(text)
}

// Scalar returns text as a YAML scalar that [Parse] reads as the same text.
func Scalar(text string) string {
	if number.MatchString(text) {
		return text // numbers keep their spelling
	}
	return scalar(text)
}

var number = regexp.MustCompile(`^(0|[1-9][0-9]{0,8})$`)

// ListText returns words as a YAML list on one line.
func ListText(words []string) string { return "[" + joinScalars(words) + "]" }

// CommandText returns a command as YAML: a line if its words need no quotes, otherwise a
// list.
func CommandText(words []string) string {
	line := strings.Join(words, " ")
	if simpleLine.MatchString(line) && !slices.ContainsFunc(words, func(w string) bool { return w == "" || strings.HasSuffix(w, ":") }) {
		return line
	}
	return ListText(words)
}

var simpleLine = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_./@+=: -]*$`)
