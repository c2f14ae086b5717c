package microrabbit

import (
	"strings"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/wire"
)

// route finds the handlers of a message if patterns may contain wildcards. An exact
// match comes first, then the first matching pattern in the order of registration
// (docs/wire.md 4.4). The zero Route means that the server looks up the exact pattern.
func (l *Listener) route(p *wire.Packet) micro.Route {
	if !l.topology.Wildcards {
		return micro.Route{}
	}
	text, defined := patternText(p.Pattern)
	if p.Pattern == nil && l.server.HasRaw() {
		return micro.Route{}
	}
	if defined && !l.server.RouteAt(text).IsZero() {
		return micro.Route{}
	}
	for r := range l.server.Routes() {
		pattern := r.Address()
		if strings.ContainsAny(pattern, "*#") && matches(pattern, text) {
			return r
		}
	}
	return micro.Route{}
}

// patternText returns the pattern of a packet in the form that NestJS matches: a string
// without quotes, anything else as JSON, and "" if the pattern is undefined.
func patternText(raw []byte) (text string, defined bool) {
	if raw == nil {
		return "", false
	}
	p, err := micro.ParsePattern(string(raw))
	if err != nil {
		return "", false
	}
	if p.JSON()[0] == '"' {
		return p.Route(), true
	}
	return p.JSON(), true
}

// matches reports whether a pattern with wildcards matches a text in NestJS: * matches
// one word between dots, and # at the end matches any number of words.
func matches(pattern, text string) bool {
	if text == "" {
		return pattern == "#"
	}
	words := strings.Split(text, ".")
	parts := strings.Split(pattern, ".")
	for i, part := range parts {
		word := ""
		if i < len(words) {
			word = words[i]
		}
		switch {
		case word == "" && part == "":
		case part == "#":
			return i == len(parts)-1
		case word == "":
			return false
		case part != "*" && part != word:
			return false
		}
	}
	return len(parts) == len(words)
}
