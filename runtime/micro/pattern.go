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

// Pattern names what a message is for: NestJS' pattern. It is either a JSON
// object such as {"cmd":"createItem"} or a plain JSON value, most often a
// string. Patterns are values: they can be compared with ==, used as map keys
// and shared between goroutines. Two patterns reach the same handler when
// their routes are equal, which is weaker than ==: the order in which the
// members of an object were written tells patterns apart, but not routes.
//
// The zero Pattern is no pattern at all; it can neither be registered nor sent.
type Pattern struct {
	json  string // as it is sent; empty for no pattern
	route string // WTF-8, see jsvalue.go
}

// Cmd is the pattern {"cmd":name}, NestJS' habit for requests. Bytes of name
// that are not UTF-8 are replaced by U+FFFD.
func Cmd(name string) Pattern {
	text := js.AppendString([]byte(`{"cmd":`), wellFormed(name))
	p, _ := parsePattern(append(text, '}')) // valid by construction
	return p
}

// Name is a plain string pattern, NestJS' habit for events: "item.v1.viewed".
// Bytes of name that are not UTF-8 are replaced by U+FFFD.
//
// A NestJS server, and therefore a [Server] here, reads an incoming string as
// JSON first (docs/wire.md 2.3). A handler whose name is itself JSON text may
// then be out of reach: "true" and "1e3" are, "42" is not.
func Name(name string) Pattern {
	name = wellFormed(name)
	return Pattern{json: string(js.AppendString(nil, name)), route: name}
}

// Fields is an object pattern: Fields(map[string]any{"cmd": "sum", "v": 2}).
// Its members are written in the order of its route (docs/wire.md 2.2), those
// with integer-like keys first, as JavaScript does. Values are encoded by
// encoding/json; numbers travel as JavaScript numbers, so integers beyond 2^53
// lose digits.
//
// Fields is for patterns known when the program is written: it panics if a
// value cannot be JSON (a channel, a function, NaN, a cycle). For anything
// else use [ParsePattern]. A nil map is the pattern {}.
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

// ParsePattern reads a pattern from its JSON text: {"cmd":"sum"}, "item.viewed"
// with its quotes, 42, an array, true, false or null. The text is normalised as
// JavaScript does on reading and writing it: 4.2e1 becomes 42, of equal keys
// the last value counts. The error is a *[PatternError].
//
// A number beyond the range of a double is refused: a NestJS peer would read
// null.
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

// JSON returns the text that stands for the pattern in a request, as
// JSON.stringify writes it. It is always valid UTF-8; the zero Pattern has "".
func (p Pattern) JSON() string { return p.json }

// Route returns the canonical form that handlers are looked up by and that
// brokers use as channel, subject or topic: NestJS' route (docs/wire.md 2.1).
// For {"cmd":"sum"} it is that text, for the string "sum" it is sum. Half a
// surrogate pair, which only JavaScript can have in a string, is kept as its
// three bytes, so a route with one is not valid UTF-8. The zero Pattern has "".
func (p Pattern) Route() string { return p.route }

// RouteIsString reports whether NestJS gives the pattern a string for a route.
// It does not for true, false and null, whose routes are the values
// themselves: they equal no route of a string, and Route returns their words
// only to have something to show. It is false for the zero Pattern.
func (p Pattern) RouteIsString() bool {
	switch p.json {
	case "", "true", "false", "null":
		return false
	}
	return true
}

// IsZero reports whether p is no pattern. Name("") is one.
func (p Pattern) IsZero() bool { return p.json == "" }

// String returns the route as valid UTF-8, for logs and messages; the zero
// Pattern gives "(no pattern)".
func (p Pattern) String() string {
	if p.IsZero() {
		return "(no pattern)"
	}
	return strings.ToValidUTF8(p.route, "\uFFFD")
}

const tooLarge = "the number is beyond the range of a double"

// firstInfinite returns the place of the first number in valid JSON that is
// too large for a double, or -1.
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

// patternOfWire is the pattern that the pattern member of an incoming packet asks
// for, read as wire.Route does; zero if it is missing, null or malformed.
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

// RouteJSON returns the pattern's route as a JSON string, the form in which TCP
// events carry their pattern (docs/wire.md 2.4).
func (p Pattern) RouteJSON() string { return string(js.AppendString(nil, p.Route())) }
