package micro

import (
	"slices"
	"strconv"
	"strings"
)

// NestJS' bounds on a route (docs/wire.md 2.1).
const (
	maxRouteDepth = 5
	maxRouteKeys  = 20
)

// WireRoute returns the route that the pattern member of an incoming packet asks
// for, for programs that stand between peers; pattern is its JSON as it came. ok
// is false if no handler can match it.
func WireRoute(pattern []byte) (route string, ok bool) { return routeOfWire(pattern) }

// routeOfWire returns the route that the pattern member of an incoming packet
// asks for; raw is its JSON as it came (docs/wire.md 2.3). A string is read as
// JSON again, and taken as it is if that fails. ok is false if no handler of a
// string route can match: the pattern is missing, malformed, or comes down to
// true, false or null (whose word is returned then).
//
// Time is linear in the length of raw; memory does not grow with its nesting.
func routeOfWire(raw []byte) (route string, ok bool) {
	raw = SanitizeUTF8(raw)
	if !validJSON(raw) {
		return "", false
	}
	i := skipSpace(raw, 0)
	if raw[i] != '"' {
		// JSON.stringify and JSON.parse lie between: infinities become null.
		return routeOfValue(raw, i, "null")
	}
	text := decoded(raw[i:literalEnd(raw, i)])
	if !validJSON(text) {
		return string(text), true
	}
	i = skipSpace(text, 0)
	if text[i] == '"' {
		return string(decoded(text[i:literalEnd(text, i)])), true
	}
	return routeOfValue(text, i, "Infinity")
}

// patternOfWire is the pattern that the pattern member of an incoming packet asks
// for, read as routeOfWire does; zero if it is missing, null or malformed.
func patternOfWire(raw []byte) Pattern {
	p, err := parsePattern(raw)
	if err != nil || p.json == "null" {
		return Pattern{}
	}
	if p.json[0] == '"' {
		if inner, err := parsePattern([]byte(p.route)); err == nil {
			p = inner
		}
	}
	if p.json == "null" {
		return Pattern{}
	}
	return p
}

func routeOfValue(s []byte, i int, infinite string) (route string, ok bool) {
	route = string(appendRoute(nil, s, i, 0, infinite))
	return route, route != "null" && s[i] != 't' && s[i] != 'f'
}

// appendRoute appends the route of the value at s[i], which is no string at
// the top; s is valid JSON. infinite stands for numbers beyond a double.
func appendRoute(dst, s []byte, i, depth int, infinite string) []byte {
	switch c := s[i]; {
	case c == '"':
		dst = append(dst, '"')
		dst = appendRouteText(dst, string(decoded(s[i:literalEnd(s, i)])))
		return append(dst, '"')
	case c == '-' || c-'0' <= 9:
		return appendNumber(dst, s[i:literalEnd(s, i)], infinite)
	case c != '{' && c != '[':
		return append(dst, s[i:literalEnd(s, i)]...)
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

// appendRouteText appends text with backslashes and quotes escaped, and
// nothing else.
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

// routeMember is one own property of an object or array: its key, and where
// its value starts.
type routeMember struct {
	key   string
	start int
}

// routeMembers lists the properties of the container at s[i] in JavaScript's
// order of insertion; ok is false if they are too many.
func routeMembers(s []byte, i int) (members []routeMember, ok bool) {
	object, end := s[i] == '{', s[i]+2 // '}' is '{'+2, ']' is '['+2
	for i = skipSpace(s, i+1); s[i] != end; i = skipSpace(s, i) {
		if s[i] == ',' {
			i = skipSpace(s, i+1)
		}
		m := routeMember{start: i}
		if object {
			keyEnd := skipString(s, i+1)
			m.key = string(decoded(s[i:keyEnd]))
			m.start = skipSpace(s, skipSpace(s, keyEnd)+1)
		} else {
			m.key = strconv.Itoa(len(members))
		}
		i = skipValue(s, m.start)
		at := -1
		if object {
			at = slices.IndexFunc(members, func(o routeMember) bool { return o.key == m.key })
		}
		switch {
		case at >= 0: // the last value of a key counts, at the first place
			members[at].start = m.start
		case len(members) == maxRouteKeys:
			return nil, false
		default:
			members = append(members, m)
		}
	}
	return members, true
}

// sortMembers sorts by key as String.prototype.localeCompare does. Keys that
// it holds equal stay in JavaScript's own order: integer-like ones first, then
// as inserted.
func sortMembers(members []routeMember) {
	if len(members) < 2 {
		return
	}
	slices.SortStableFunc(members, func(a, b routeMember) int {
		_, isIndex := arrayIndex(a.key)
		_, isIndex2 := arrayIndex(b.key)
		switch {
		case isIndex == isIndex2:
			return 0
		case isIndex:
			return -1
		}
		return 1
	})
	if !slices.ContainsFunc(members, func(m routeMember) bool { return !isASCII(m.key) }) {
		slices.SortStableFunc(members, func(a, b routeMember) int { return compareASCII(a.key, b.key) })
		return
	}
	table, elements := collation(), make(map[string][]uint64, len(members))
	for _, m := range members {
		elements[m.key] = table.elements(m.key)
	}
	slices.SortStableFunc(members, func(a, b routeMember) int {
		return compareElements(elements[a.key], elements[b.key])
	})
}
