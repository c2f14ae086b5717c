package nestsource

import "strings"

type kind int

const (
	end kind = iota
	word
	number
	text // a string; its value is decoded
	template
	symbol
)

// token is a token of TypeScript. The text of a string is its value. The text of
// everything else is its source.
type token struct {
	kind  kind
	text  string
	start int // in bytes
	stop  int
	line  int
}

// scanner splits TypeScript into tokens, without comments and white space. It does not
// recognize regular expressions: the rest of such a line may be split incorrectly, but
// the scanner recovers on the next line, because strings end there.
type scanner struct {
	source string
	i      int
	line   int
	tokens []token
}

func scan(source string) []token {
	s := &scanner{source: source, line: 1}
	for s.i < len(source) {
		s.next()
	}
	return s.tokens
}

func (s *scanner) next() {
	rest := s.source[s.i:]
	switch b := rest[0]; {
	case b == '\n':
		s.line++
		s.i++
	case b == ' ' || b == '\t' || b == '\r':
		s.i++
	case strings.HasPrefix(rest, "//"):
		s.skip(strings.IndexByte(rest, '\n'))
	case strings.HasPrefix(rest, "/*"):
		if stop := strings.Index(rest[2:], "*/"); stop >= 0 {
			s.skip(stop + 4)
		} else {
			s.skip(-1)
		}
	case b == '\'' || b == '"':
		s.quoted(b)
	case b == '`':
		s.template()
	case isWord(b):
		s.run(word, func(b byte) bool { return isWord(b) || isDigit(b) })
	case isDigit(b):
		s.run(number, func(b byte) bool { return isWord(b) || isDigit(b) || b == '.' })
	default:
		s.add(symbol, rest[:1], 1)
	}
}

// skip skips n bytes, or the rest of the source if n is negative.
func (s *scanner) skip(n int) {
	if n < 0 {
		n = len(s.source) - s.i
	}
	s.line += strings.Count(s.source[s.i:s.i+n], "\n")
	s.i += n
}

func (s *scanner) add(k kind, value string, length int) {
	s.tokens = append(s.tokens, token{k, value, s.i, s.i + length, s.line})
	s.skip(length)
}

func (s *scanner) run(k kind, in func(byte) bool) {
	stop := s.i
	for stop < len(s.source) && in(s.source[stop]) {
		stop++
	}
	s.add(k, s.source[s.i:stop], stop-s.i)
}

func (s *scanner) quoted(quote byte) {
	var value strings.Builder
	for i := s.i + 1; i < len(s.source) && s.source[i] != '\n'; i++ {
		switch b := s.source[i]; {
		case b == quote:
			s.add(text, value.String(), i+1-s.i)
			return
		case b == '\\' && i+1 < len(s.source):
			i++
			value.WriteString(unescape(s.source[i]))
		default:
			value.WriteByte(b)
		}
	}
	s.add(symbol, string(quote), 1) // not a string after all
}

// template scans a template literal. Without ${…}, it is a string.
func (s *scanner) template() {
	var value strings.Builder
	k := text
	for i := s.i + 1; i < len(s.source); i++ {
		switch b := s.source[i]; {
		case b == '`':
			s.add(k, value.String(), i+1-s.i)
			return
		case b == '\\' && i+1 < len(s.source):
			i++
			value.WriteString(unescape(s.source[i]))
		case strings.HasPrefix(s.source[i:], "${"):
			k = template
			fallthrough
		default:
			value.WriteByte(b)
		}
	}
	s.add(symbol, "`", 1)
}

// unescape returns the meaning of a backslash and b. Numeric escapes, which patterns do not
// contain, only lose their backslash.
func unescape(b byte) string {
	switch b {
	case 'n':
		return "\n"
	case 't':
		return "\t"
	case 'r':
		return "\r"
	}
	return string([]byte{b})
}

func isWord(b byte) bool {
	return b == '_' || b == '$' || b|0x20 >= 'a' && b|0x20 <= 'z' || b >= 0x80
}

func isDigit(b byte) bool { return b >= '0' && b <= '9' }
