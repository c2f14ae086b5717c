package secret

import (
	"regexp"
	"slices"
	"strings"
)

// Source masks the credentials of an expression of TypeScript or JavaScript: those that
// [Text] finds, and the literals that take the place of a variable whose name stands for a
// credential, whatever their length is:
//
//	process.env.DB_PASSWORD ?? '***'
//	config.get('DB_PASSWORD', '***')
func Source(text string) string {
	text = Text(text)
	literals := literalsOf(text)
	if !namesCredential(text, literals) {
		return text
	}
	return replace(text, slices.DeleteFunc(literals, func(s span) bool { return !isAlternative(text[:s.from-1]) }), mask)
}

// namesCredential reports whether a name in an expression stands for a credential: an
// identifier, the first argument of a call, or a literal in brackets behind a name.
func namesCredential(text string, literals []span) bool {
	for i := 0; i < len(text); i++ {
		if end := nameEnd(text, i); end > i {
			within := slices.IndexFunc(literals, func(s span) bool { return s.from <= i && i < s.to })
			if Named(lastPart(text[i:end])) && (within < 0 || selects.MatchString(text[:literals[within].from-1])) {
				return true
			}
			i = end - 1
		}
	}
	return false
}

// selects matches the text before a literal that is the name of what a call or brackets return.
var selects = regexp.MustCompile(`(\(|[\w)\]]\[)\s*$`)

// literalsOf returns the contents of the string literals of an expression, except for
// templates with values.
func literalsOf(text string) (spans []span) {
	for i := 0; i < len(text); i++ {
		quote := text[i]
		if quote != '"' && quote != '\'' && quote != '`' {
			continue
		}
		end := i + 1 + quoted(text[i+1:], text[i:i+1])
		if quote == '`' && strings.Contains(text[i:min(end, len(text))], "${") { // its values are searched
			continue
		}
		if end > i+1 {
			spans = append(spans, span{from: i + 1, to: min(end, len(text))})
		}
		i = end
	}
	return spans
}

// isAlternative reports whether what follows a text is used when a value is missing: after
// ??, ||, or the colon of a condition, as a further argument, or as a default.
func isAlternative(before string) bool {
	return alternative.MatchString(before) || strings.HasSuffix(strings.TrimRight(before, " \t\r\n("), ":") && condition.MatchString(before)
}

var (
	alternative = regexp.MustCompile(`(\?|\|\||,|=|\.default)[\s(]*$`)
	condition   = regexp.MustCompile(`[^?]\?[^?.]`)
)
