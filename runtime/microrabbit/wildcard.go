package microrabbit

import (
	"strings"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/wire"
)

// route finds the handlers of a message where patterns may hold wildcards: those
// of the very pattern first, then the first that matches, in the order of
// registration (docs/wire.md 4.4). The zero Route leaves it to the server.
func (l *Listener) route(p *wire.Packet) micro.Route {
	if !l.topology.Wildcards {
		return micro.Route{}
	}
	text, defined := patternText(p.Pattern)
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

// patternText is the pattern of a packet as NestJS matches it: a string as it
// is, anything else as JSON; undefined is "".
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

// matches reports whether NestJS finds that pattern, which has wildcards, matches
// a text: between dots * is one word, and # at the end any number of them.
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
