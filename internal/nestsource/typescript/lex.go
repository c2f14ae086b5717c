package typescript

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

type tokenKind uint8

const (
	tEnd tokenKind = iota
	tWord
	tPrivate // #name
	tNumber
	tBigint
	tString
	tBacktick // the start of a template; the parser scans its parts
	tPunct
)

// token is a token. text is the decoded name of a word, the value of a string, or the
// characters of a punctuator.
type token struct {
	Span
	kind    tokenKind
	text    string
	number  float64
	newline bool // a line break precedes it
	escaped bool // a word with an escape is never a keyword
}

// lexer splits a source into tokens on demand. Where the grammar decides what a
// character starts (regular expressions, templates, JSX), the parser calls another method.
type lexer struct {
	source string
	i      int
}

// next returns the token that starts at or after the current position.
func (l *lexer) next() token {
	newline := l.space()
	t := token{Span: Span{l.i, l.i}, newline: newline}
	if l.i >= len(l.source) {
		return t
	}
	switch c := l.source[l.i]; {
	case isDigit(c) || c == '.' && l.i+1 < len(l.source) && isDigit(l.source[l.i+1]):
		l.number(&t)
	case c == '"' || c == '\'':
		l.quoted(&t, c)
	case c == '`':
		l.i++
		t.kind = tBacktick
	case c == '#':
		l.i++
		l.word(&t)
		t.kind = tPrivate
	default:
		if !l.word(&t) {
			l.punctuator(&t)
		}
	}
	t.End = l.i
	return t
}

// space skips white space and comments, and reports whether they contain a line break.
func (l *lexer) space() (newline bool) {
	for l.i < len(l.source) {
		switch c := l.source[l.i]; {
		case c == '\n' || c == '\r':
			newline = true
			l.i++
		case c == ' ' || c == '\t' || c == '\v' || c == '\f':
			l.i++
		case strings.HasPrefix(l.source[l.i:], "//"), l.i == 0 && strings.HasPrefix(l.source, "#!"):
			l.i += lineLength(l.source[l.i:])
		case strings.HasPrefix(l.source[l.i:], "/*"):
			length := len(l.source) - l.i
			if stop := strings.Index(l.source[l.i+2:], "*/"); stop >= 0 {
				length = stop + 4
			}
			newline = newline || strings.ContainsAny(l.source[l.i:l.i+length], "\n\r")
			l.i += length
		case c >= utf8.RuneSelf:
			r, size := utf8.DecodeRuneInString(l.source[l.i:])
			if !unicode.IsSpace(r) && r != '\ufeff' && r != '\u2028' && r != '\u2029' {
				return newline
			}
			newline = newline || r == '\u2028' || r == '\u2029'
			l.i += size
		default:
			return newline
		}
	}
	return newline
}

func lineLength(s string) int {
	if n := strings.IndexAny(s, "\n\r"); n >= 0 {
		return n
	}
	return len(s)
}

// word scans a name, in which \uXXXX may stand for a character.
func (l *lexer) word(t *token) bool {
	start := l.i
	var decoded strings.Builder
	for l.i < len(l.source) {
		r, size := utf8.DecodeRuneInString(l.source[l.i:])
		if r == '\\' && strings.HasPrefix(l.source[l.i:], `\u`) {
			rest := l.source[l.i+2:]
			code, length := unicodeEscape(rest)
			if length == 0 {
				break
			}
			t.escaped = true
			r, size = code, length+2
		}
		if !isWordRune(r, l.i > start) {
			break
		}
		decoded.WriteRune(r)
		l.i += size
	}
	if l.i == start {
		return false
	}
	t.kind, t.text = tWord, l.source[start:l.i]
	if t.escaped {
		t.text = decoded.String()
	}
	return true
}

func isWordRune(r rune, inside bool) bool {
	switch {
	case r == '_' || r == '$' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z':
		return true
	case r < utf8.RuneSelf:
		return inside && r >= '0' && r <= '9'
	case r == utf8.RuneError:
		return false
	}
	return unicode.IsLetter(r) || unicode.Is(unicode.Nl, r) ||
		inside && (unicode.IsMark(r) || unicode.IsDigit(r) || unicode.Is(unicode.Pc, r) || r == '\u200c' || r == '\u200d')
}

// unicodeEscape decodes what follows \u, and returns its length, or 0.
func unicodeEscape(s string) (rune, int) {
	digits, length := "", 4
	if strings.HasPrefix(s, "{") {
		stop := strings.IndexByte(s, '}')
		if stop < 0 {
			return 0, 0
		}
		digits, length = s[1:stop], stop+1
	} else if len(s) >= 4 {
		digits = s[:4]
	}
	code, err := strconv.ParseUint(digits, 16, 32)
	if err != nil || code > unicode.MaxRune {
		return 0, 0
	}
	return rune(code), length
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// number scans a number. Its value is that of JavaScript.
func (l *lexer) number(t *token) {
	start := l.i
	t.kind = tNumber
	if isRadix(l.source[start:min(start+2, len(l.source))]) {
		l.i += 2
		l.while(func(c byte) bool { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' || c == '_' })
	} else {
		digits := func(c byte) bool { return isDigit(c) || c == '_' }
		l.while(digits)
		if l.at('.') {
			l.i++
			l.while(digits)
		}
		if rest := l.source[l.i:]; len(rest) > 1 && rest[0]|0x20 == 'e' {
			if isDigit(rest[1]) || len(rest) > 2 && (rest[1] == '+' || rest[1] == '-') && isDigit(rest[2]) {
				l.i += 2
				l.while(digits)
			}
		}
	}
	digits := strings.ReplaceAll(l.source[start:l.i], "_", "")
	if l.at('n') {
		l.i++
		t.kind, t.text = tBigint, digits
		return
	}
	t.number = ParseNumber(digits)
}

func (l *lexer) at(c byte) bool { return l.i < len(l.source) && l.source[l.i] == c }

func (l *lexer) while(in func(byte) bool) {
	for l.i < len(l.source) && in(l.source[l.i]) {
		l.i++
	}
}

func isRadix(s string) bool {
	return len(s) > 1 && s[0] == '0' && strings.ContainsRune("xXoObB", rune(s[1]))
}

// ParseNumber returns the value of a numeric literal in JavaScript, or NaN.
func ParseNumber(s string) float64 {
	if isRadix(s) {
		if n, ok := new(big.Int).SetString(s, 0); ok {
			f, _ := new(big.Float).SetInt(n).Float64()
			return f
		}
		return math.NaN()
	}
	if strings.Trim(s, "0123456789.eE+-") != "" {
		return math.NaN() // ParseFloat would accept "inf" and hexadecimal floats
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil && !math.IsInf(f, 0) {
		return math.NaN()
	}
	return f
}

func (l *lexer) quoted(t *token, quote byte) {
	t.kind = tString
	start := l.i + 1
	for l.i = start; l.i < len(l.source) && l.source[l.i] != '\n'; l.i++ {
		switch l.source[l.i] {
		case quote:
			t.text = unescape(l.source[start:l.i])
			l.i++
			return
		case '\\':
			l.i++
		}
	}
	l.i = min(l.i, len(l.source))
	t.kind, t.text = tPunct, "unterminated string"
}

// templatePart scans a template from the current position to ${ or the final backtick.
// ok is false if there is neither.
func (l *lexer) templatePart() (cooked, raw string, last, ok bool) {
	start := l.i
	for ; l.i < len(l.source); l.i++ {
		switch {
		case l.source[l.i] == '\\':
			l.i++
		case l.source[l.i] == '`', strings.HasPrefix(l.source[l.i:], "${"):
			raw = strings.ReplaceAll(l.source[start:l.i], "\r\n", "\n")
			cooked = unescape(raw)
			last = l.source[l.i] == '`'
			l.i++
			if !last {
				l.i++
			}
			return cooked, raw, last, true
		}
	}
	l.i = len(l.source)
	return "", "", true, false
}

// regexp scans a regular expression that starts at start, and reports whether there is one.
func (l *lexer) regexp(start int) bool {
	class := false
	for i := start + 1; i < len(l.source) && l.source[i] != '\n'; i++ {
		switch l.source[i] {
		case '\\':
			i++
		case '[':
			class = true
		case ']':
			class = false
		case '/':
			if class {
				continue
			}
			l.i = i + 1
			var flags token
			l.word(&flags)
			return true
		}
	}
	return false
}

// punctuators with more than one character, the longest first. No entry starts with ">":
// in types, each > closes one list of arguments, so the parser joins them in expressions.
var punctuators = []string{
	"...", "===", "!==", "**=", "<<=", "&&=", "||=", "??=",
	"=>", "==", "!=", "<=", "<<", "++", "--", "&&", "||", "??", "?.", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "**",
}

func (l *lexer) punctuator(t *token) {
	rest := l.source[l.i:]
	t.kind = tPunct
	for _, p := range punctuators {
		if strings.HasPrefix(rest, p) && (p != "?." || len(rest) < 3 || !isDigit(rest[2])) {
			t.text = p
			l.i += len(p)
			return
		}
	}
	_, size := utf8.DecodeRuneInString(rest)
	t.text = rest[:size]
	l.i += size
}

// unescape decodes the escapes of a string. An escape that JavaScript rejects becomes the
// escaped character itself.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b []rune // UTF-16 surrogates are joined at the end
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		i += size
		if r != '\\' || i >= len(s) {
			b = append(b, r)
			continue
		}
		decoded, length := escape(s[i:])
		b = append(b, decoded...)
		i += length
	}
	return joinSurrogates(b)
}

// escape decodes what follows a backslash.
func escape(s string) (decoded []rune, length int) {
	r, size := utf8.DecodeRuneInString(s)
	switch r {
	case 'n', 't', 'r', 'b', 'f', 'v':
		return []rune{map[rune]rune{'n': '\n', 't': '\t', 'r': '\r', 'b': '\b', 'f': '\f', 'v': '\v'}[r]}, size
	case '\r':
		if strings.HasPrefix(s, "\r\n") {
			return nil, 2
		}
		return nil, 1
	case '\n', '\u2028', '\u2029':
		return nil, size
	case '0', '1', '2', '3', '4', '5', '6', '7':
		return octal(s)
	case 'x':
		if len(s) >= 3 {
			if code, err := strconv.ParseUint(s[1:3], 16, 8); err == nil {
				return []rune{rune(code)}, 3
			}
		}
	case 'u':
		if code, n := unicodeEscape(s[1:]); n > 0 {
			return []rune{code}, n + 1
		}
	}
	return []rune{r}, size
}

func octal(s string) ([]rune, int) {
	n := 1
	for n < len(s) && n < 3 && s[n] >= '0' && s[n] <= '7' {
		n++
	}
	code := 0
	for _, digit := range s[:n] {
		code = code*8 + int(digit-'0')
	}
	return []rune{rune(code)}, n
}

// joinSurrogates joins the two halves of a character outside of the Basic Multilingual
// Plane, which a source may spell as two escapes.
func joinSurrogates(runes []rune) string {
	var b strings.Builder
	for i := 0; i < len(runes); i++ {
		r := runes[i]
		if r >= 0xd800 && r < 0xdc00 && i+1 < len(runes) && runes[i+1] >= 0xdc00 && runes[i+1] < 0xe000 {
			r = (r-0xd800)<<10 + (runes[i+1] - 0xdc00) + 0x10000
			i++
		}
		b.WriteRune(r)
	}
	return b.String()
}

func collapse(s string) string { return strings.Join(strings.Fields(s), " ") }

// FormatNumber returns a number as JavaScript converts it to a string.
func FormatNumber(f float64) string {
	abs := math.Abs(f)
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	case f == 0:
		return "0"
	case abs >= 1e21 || abs < 1e-6:
		s := strconv.FormatFloat(f, 'e', -1, 64)
		return strings.NewReplacer("e-0", "e-", "e+0", "e+").Replace(s)
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}
