package wire

import (
	"slices"
	"strconv"
	"strings"

	"github.com/msctl/msctl/runtime/internal/js"
	"github.com/msctl/msctl/runtime/internal/js/collate"
)

// NestJS's limits for a route (docs/wire.md 2.1).
const (
	maxRouteDepth = 5
	maxRouteKeys  = 20
)

// Route returns the route that the pattern member of an incoming packet selects. raw is its
// JSON text as received (docs/wire.md 2.3). A string is parsed as JSON again, and used
// unchanged if that fails. ok is false if no handler with a string route can match, because
// the pattern is missing, malformed, or evaluates to true, false, or null (the route is then
// that word).
//
// Time is linear in the length of raw; memory does not grow with its nesting.
func Route(raw []byte) (route string, ok bool) {
	raw = js.SanitizeUTF8(raw)
	if !js.Valid(raw) {
		return "", false
	}
	i := js.SkipSpace(raw, 0)
	if raw[i] != '"' {
		// NestJS applies JSON.stringify and JSON.parse, so infinities become null.
		return routeOfValue(raw, i, "null")
	}
	text := js.Decode(raw[i:js.LiteralEnd(raw, i)])
	if !js.Valid(text) {
		return string(text), true
	}
	i = js.SkipSpace(text, 0)
	if text[i] == '"' {
		return string(js.Decode(text[i:js.LiteralEnd(text, i)])), true
	}
	return routeOfValue(text, i, "Infinity")
}

// CanonicalRoute returns the route that a sender computes for a pattern (docs/wire.md 2.1):
// the text of a string, or the canonical form of any other value. value must be valid JSON.
func CanonicalRoute(value []byte) string {
	i := js.SkipSpace(value, 0)
	if value[i] == '"' {
		return string(js.Decode(value[i:js.LiteralEnd(value, i)]))
	}
	return string(appendRoute(nil, value, i, 0, "Infinity"))
}

func routeOfValue(s []byte, i int, infinite string) (route string, ok bool) {
	route = string(appendRoute(nil, s, i, 0, infinite))
	return route, route != "null" && s[i] != 't' && s[i] != 'f'
}

// appendRoute appends the route of the value at s[i], which is not a top-level string;
// s is valid JSON. infinite replaces numbers beyond the range of a double.
func appendRoute(dst, s []byte, i, depth int, infinite string) []byte {
	switch c := s[i]; {
	case c == '"':
		dst = append(dst, '"')
		dst = appendRouteText(dst, string(js.Decode(s[i:js.LiteralEnd(s, i)])))
		return append(dst, '"')
	case c == '-' || c-'0' <= 9:
		return js.AppendNumber(dst, s[i:js.LiteralEnd(s, i)], infinite)
	case c != '{' && c != '[':
		return append(dst, s[i:js.LiteralEnd(s, i)]...)
	}
	if depth > maxRouteDepth {
		return append(dst, "[MAX_DEPTH_REACHED]"...)
	}
	members, ok := routeMembers(s, i)
	if !ok {
		return append(dst, "[TOO_MANY_KEYS]"...)
	}
	sortMembers(members)
	dst = append(dst, '{')
	for n, m := range members {
		if n > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, '"')
		dst = append(appendRouteText(dst, m.key), `":`...)
		dst = appendRoute(dst, s, m.start, depth+1, infinite)
	}
	return append(dst, '}')
}

// appendRouteText appends text and escapes only backslashes and quotes.
func appendRouteText(dst []byte, text string) []byte {
	for {
		i := strings.IndexAny(text, `"\`)
		if i < 0 {
			return append(dst, text...)
		}
		dst = append(append(dst, text[:i]...), '\\', text[i])
		text = text[i+1:]
	}
}

// routeMember is one property of an object or an array: its key, and the start of its value.
type routeMember struct {
	key   string
	start int
}

// routeMembers returns the properties of the container at s[i] in the order in which
// JavaScript inserts them. ok is false if there are too many.
func routeMembers(s []byte, i int) (members []routeMember, ok bool) {
	object, end := s[i] == '{', s[i]+2 // '}' is '{'+2, ']' is '['+2
	for i = js.SkipSpace(s, i+1); s[i] != end; i = js.SkipSpace(s, i) {
		if s[i] == ',' {
			i = js.SkipSpace(s, i+1)
		}
		m := routeMember{start: i}
		if object {
			keyEnd := js.SkipString(s, i+1)
			m.key = string(js.Decode(s[i:keyEnd]))
			m.start = js.SkipSpace(s, js.SkipSpace(s, keyEnd)+1)
		} else {
			m.key = strconv.Itoa(len(members))
		}
		i = js.SkipValue(s, m.start)
		at := -1
		if object {
			at = slices.IndexFunc(members, func(o routeMember) bool { return o.key == m.key })
		}
		switch {
		case at >= 0: // a duplicate key has its last value at its first position
			members[at].start = m.start
		case len(members) == maxRouteKeys:
			return nil, false
		default:
			members = append(members, m)
		}
	}
	return members, true
}

// sortMembers sorts members by key as String.prototype.localeCompare does. Keys that compare
// equal keep JavaScript's own order: integer-like keys first, then the order of insertion.
func sortMembers(members []routeMember) {
	if len(members) < 2 {
		return
	}
	slices.SortStableFunc(members, func(a, b routeMember) int {
		_, isIndex := js.ArrayIndex(a.key)
		_, isIndex2 := js.ArrayIndex(b.key)
		switch {
		case isIndex == isIndex2:
			return 0
		case isIndex:
			return -1
		}
		return 1
	})
	collate.SortStable(members, func(m routeMember) string { return m.key })
}
