package micro

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/msctl/msctl/runtime/internal/js"
	"github.com/msctl/msctl/runtime/internal/js/collate"
	"github.com/msctl/msctl/runtime/wire"
)

// Pattern identifies the handler of a message; it is NestJS's pattern. It is a JSON
// object such as {"cmd":"createItem"} or another JSON value, usually a string. Patterns
// are values: they can be compared with ==, used as map keys, and shared between
// goroutines. Two patterns select the same handler if their routes are equal, which is
// weaker than ==: patterns that differ only in the order of their members have the
// same route.
//
// The zero Pattern is not a pattern; it can be neither registered nor sent.
type Pattern struct {
	json  string // as it is sent; empty for no pattern
	route string // WTF-8, see jsvalue.go
}

// Cmd returns the pattern {"cmd":name}, NestJS's convention for requests. Bytes of name
// that are not valid UTF-8 are replaced by U+FFFD.
func Cmd(name string) Pattern {
	text := js.AppendString([]byte(`{"cmd":`), wellFormed(name))
	p, _ := parsePattern(append(text, '}')) // valid by construction
	return p
}

// Name returns a string pattern, NestJS's convention for events, such as
// "item.v1.viewed". Bytes of name that are not valid UTF-8 are replaced by U+FFFD.
//
// A NestJS server, and therefore a [Server], first parses an incoming string as JSON
// (docs/wire.md 2.3). A handler whose name is JSON text can therefore be unreachable:
// "true" and "1e3" are, "42" is not.
func Name(name string) Pattern {
	name = wellFormed(name)
	return Pattern{json: string(js.AppendString(nil, name)), route: name}
}

// Fields returns an object pattern: Fields(map[string]any{"cmd": "sum", "v": 2}). Its
// members are in the order of its route (docs/wire.md 2.2), with integer-like keys
// first, as in JavaScript. Values are encoded by encoding/json; numbers are JavaScript
// numbers, so integers beyond 2^53 lose digits. A nil map is the pattern {}.
//
// Fields is for patterns known at compile time. It panics if a value cannot be encoded
// as JSON (a channel, a function, NaN, a cycle). Use [ParsePattern] for other patterns.
func Fields(fields map[string]any) Pattern {
	if fields == nil {
		fields = map[string]any{}
	}
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(fields); err != nil {
		panic(fmt.Sprintf("micro: the fields of a pattern must be JSON: %v", err))
	}
	if at := firstInfinite(text.Bytes()); at >= 0 {
		panic("micro: the fields of a pattern must be JSON: " + tooLarge)
	}
	p, _ := parsePattern(js.AppendCanonical(nil, text.Bytes(), collate.Compare)) // valid: it was encoded just now
	return p
}

// ParsePattern parses a pattern from its JSON text: {"cmd":"sum"}, "item.viewed" with its
// quotes, 42, an array, true, false, or null. The text is normalized as by JavaScript's
// JSON.parse and JSON.stringify: 4.2e1 becomes 42, and of duplicate keys the last value
// wins. The error is a *[PatternError].
//
// A number outside the range of a double is an error: a NestJS peer would read null.
func ParsePattern(text string) (Pattern, error) {
	return parsePattern([]byte(text))
}

func parsePattern(text []byte) (Pattern, error) {
	if !js.Valid(text) {
		return Pattern{}, syntaxError(text)
	}
	if at := firstInfinite(text); at >= 0 {
		return Pattern{}, &PatternError{Offset: at, Reason: tooLarge}
	}
	text = js.SanitizeUTF8(text)
	p := Pattern{json: string(js.Canonical(text))}
	p.route = wire.CanonicalRoute(text)
	if p.route == p.json {
		p.route = p.json // one string, not two
	}
	return p, nil
}

// JSON returns the pattern's text in a request, as JSON.stringify writes it. It is valid
// UTF-8; "" for the zero Pattern.
func (p Pattern) JSON() string { return p.json }

// Route returns NestJS's route (docs/wire.md 2.1): the canonical form that selects the
// handler, and that brokers use as channel, subject, or topic. For {"cmd":"sum"} it is
// that text; for the string "sum" it is sum. A lone surrogate, which a JavaScript string
// can contain, is encoded as three bytes, so that such a route is not valid UTF-8. It is
// "" for the zero Pattern.
func (p Pattern) Route() string { return p.route }

// RouteIsString reports whether the route is a string in NestJS. It is not for true,
// false, and null, whose routes are these values and differ from every string; Route
// returns their words for display only. It is false for the zero Pattern.
func (p Pattern) RouteIsString() bool {
	switch p.json {
	case "", "true", "false", "null":
		return false
	}
	return true
}

// IsZero reports whether p is the zero Pattern. Name("") is not.
func (p Pattern) IsZero() bool { return p.json == "" }

// String returns the route as valid UTF-8, for logs and errors, or "(no pattern)" for the
// zero Pattern.
func (p Pattern) String() string {
	if p.IsZero() {
		return "(no pattern)"
	}
	return strings.ToValidUTF8(p.route, "\uFFFD")
}

const tooLarge = "the number is beyond the range of a double"

// firstInfinite returns the offset of the first number in valid JSON that is too large
// for a double, or -1.
func firstInfinite(text []byte) int {
	for i := js.SkipSpace(text, 0); i < len(text); i = js.SkipSpace(text, i) {
		switch c := text[i]; {
		case c == '{' || c == '}' || c == '[' || c == ']' || c == ',' || c == ':':
			i++
			continue
		case c == '-' || c-'0' <= 9:
			end := js.LiteralEnd(text, i)
			if bytes.HasSuffix(js.AppendNumber(nil, text[i:end], "!"), []byte("!")) {
				return i
			}
			i = end
		default:
			i = js.LiteralEnd(text, i)
		}
	}
	return -1
}

func wellFormed(s string) string { return string(js.SanitizeUTF8([]byte(s))) }

// patternOfWire returns the pattern that the pattern member of an incoming packet
// selects, parsed as in wire.Route. It is zero if the member is missing, null, or
// malformed.
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

// RouteJSON returns the route as a JSON string, which is the pattern of events over TCP
// (docs/wire.md 2.4).
func (p Pattern) RouteJSON() string { return string(js.AppendString(nil, p.Route())) }
