// Package secret is the rule for credentials: which names stand for one ([Named]), where
// one is in a text, and what is printed instead. Every output of msctl follows it.
//
// There are two ways to find a credential. By its place: the value of a name that is
// [Named], or the password of a URL. By its value: a [Set] has learned it from its place
// in the input, and finds it wherever it is repeated, such as in the error of a service.
package secret

import "strings"

// Mask is printed instead of a credential.
const Mask = "***"

// span is a credential in a text: its bytes, and the name that stands for it.
type span struct {
	from, to int
	name     string
	value    string // only for Variables
}

// replace returns text with each span replaced.
func replace(text string, spans []span, with func(span) string) string {
	if len(spans) == 0 {
		return text
	}
	var b strings.Builder
	at := 0
	for _, s := range spans {
		if s.from < at {
			continue // it overlaps the previous one
		}
		b.WriteString(text[at:s.from])
		b.WriteString(with(s))
		at = s.to
	}
	b.WriteString(text[at:])
	return b.String()
}

func mask(span) string { return Mask }

// Text masks the credentials of a text from elsewhere, such as a line of a log or an
// error. A sentence about a password, such as "password: must be longer", is none.
func Text(text string) string { return replace(text, find(text, false), mask) }

// Argument masks the credentials of an argument of a command: a field, a header, a pair,
// JSON, or a URL.
func Argument(text string) string { return replace(text, argument(text), mask) }

// JSON masks the credentials of a JSON text at any depth. The result is JSON.
func JSON(text []byte) []byte {
	return []byte(replace(string(text), inJSON(string(text)), func(s span) string {
		if text[s.from-1] == '"' {
			return Mask
		}
		return `"` + Mask + `"` // of a number
	}))
}

// Padded masks the credentials of the user's input with an asterisk for each byte, so
// that offsets into the text stay valid.
func Padded(text string) string {
	spans := argument(text)
	if strings.Contains(text, "\n") {
		spans = find(text, true)
	}
	return replace(text, spans, func(s span) string { return strings.Repeat("*", s.to-s.from) })
}

// Malformed shortens an argument that cannot be parsed, for its error: what follows the
// name of a credential is left out.
func Malformed(text string) string {
	for at := 0; at < len(text); at++ {
		end := nameEnd(text, at)
		if Named(text[at:end]) && end < len(text) {
			return text[:end] + "…"
		}
		at = max(at, end-1)
	}
	return text
}

// URL masks the password and the query parameters of one or several URLs.
func URL(text string) string { return replace(text, inURL(text, 0), mask) }
