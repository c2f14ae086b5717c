package secret

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
)

// find returns the credentials of free text. With strict, which is for the user's own
// input, any value of a name counts; otherwise, it must not look like prose.
func find(text string, strict bool) (spans []span) {
	for i := 0; i < len(text); {
		switch {
		case strings.HasPrefix(text[i:], "://"):
			if s, ok := login(text, i); ok {
				spans = append(spans, s)
				i = s.to
			}
			i++
		case isNameByte(text[i]):
			end := nameEnd(text, i)
			if seed := strings.TrimRight(text[i:end], "._-"); IsSeed(seed) {
				spans = append(spans, span{from: i, to: i + len(seed), name: "nkey"})
				i = end
				continue
			}
			if token := strings.TrimRight(text[i:end], "."); isToken(token) {
				spans = append(spans, span{from: i, to: i + len(token), name: "token"})
				i = end
				continue
			}
			s, ok := valueAfter(text, i, end, strict)
			if !ok {
				s, ok = afterScheme(text, i, end)
			}
			if ok {
				spans = append(spans, s)
				end = s.to
			}
			i = end
		default:
			i++
		}
	}
	return spans
}

// IsSeed reports whether a text has the form of the seed of a NATS nkey, which is a credential
// wherever it is: S, the kind of the key, and 56 characters of base32.
func IsSeed(text string) bool {
	return len(text) == 58 && text[0] == 'S' && strings.IndexByte("UANOCX", text[1]) >= 0 &&
		strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == ""
}

// isToken reports whether a text has the form of a signed JSON Web Token, which is a credential
// wherever it is: three parts in base64url, of which the first two are JSON objects.
func isToken(text string) bool {
	parts := strings.Split(text, ".")
	return len(parts) == 3 && strings.HasPrefix(parts[0], "eyJ") && strings.HasPrefix(parts[1], "eyJ") && parts[2] != ""
}

func isNameByte(b byte) bool {
	return b == '_' || b == '-' || b == '.' || b >= '0' && b <= '9' || b|0x20 >= 'a' && b|0x20 <= 'z'
}

func nameEnd(text string, i int) int {
	for i < len(text) && isNameByte(text[i]) {
		i++
	}
	return i
}

// valueAfter returns the value that follows a name, if the name stands for a credential:
// name=value, "name": "value", Name: value, name => value.
func valueAfter(text string, from, end int, strict bool) (span, bool) {
	name := lastPart(text[from:end])
	if !Named(name) {
		return span{}, false
	}
	at := end
	if from > 0 {
		at += len(quoteAt(text, at))
	}
	adjacent := at
	at = skipSpaces(text, at)
	equals := false
	switch rest := text[at:]; {
	case strings.HasPrefix(rest, "=>"), strings.HasPrefix(rest, ":="), strings.HasPrefix(rest, "=="), strings.HasPrefix(rest, "!="):
		at, equals = at+2, true
	case strings.HasPrefix(rest, "=") && at == adjacent:
		return value(text, at+1, name, true, strict) // a space ends the value
	case strings.HasPrefix(rest, "="):
		at, equals = at+1, true
	case strings.HasPrefix(rest, ":") && !strings.HasPrefix(rest, "::") && !strings.HasPrefix(rest, "://"):
		at++
	default:
		return span{}, false
	}
	return value(text, skipSpaces(text, at), name, equals, strict)
}

// value returns the value at a position of a text.
func value(text string, at int, name string, equals, strict bool) (span, bool) {
	quote := quoteAt(text, at)
	from := at + len(quote)
	var to int
	switch {
	case strings.HasPrefix(text[at:], "{"), strings.HasPrefix(text[at:], "["): // its members are searched
		return span{}, false
	case quote != "":
		to = from + quoted(text[from:], quote)
	case strict && !equals: // a plain value of YAML
		to = from + strings.IndexAny(text[from:]+"\n", "\r\n")
	case isHeader(name) && !equals:
		to = from + strings.IndexAny(text[from:]+"\n", "\r\n\"'`")
	default:
		to = from + strings.IndexAny(text[from:]+" ", " \t\r\n&\"'`<>\\")
		if !IsReference(text[from:to]) {
			to = from + len(strings.TrimRight(text[from:to], ".,;:)]}"))
		}
	}
	from = afterWord(text, from, to)
	if from >= len(text) || to <= from || harmless(text[from:to]) {
		return span{}, false
	}
	prose := strings.ContainsAny(text[from:to], " \t") && !isHeader(name)
	if quote == "" && !equals && !isHeader(name) {
		prose = prose || isWord(text[from:to])
	}
	return span{from: from, to: to, name: name}, strict || !prose
}

// harmless reports whether a value is no credential: a reference to one, a template, a
// mask, or a constant.
func harmless(value string) bool {
	switch value {
	case "true", "false", "null", "undefined", "…":
		return true
	}
	_, template, _ := strings.Cut(value, "{{")
	return strings.Trim(value, "*") == "" || strings.Contains(template, "}}") || IsReference(value)
}

// isHeader reports whether the name is that of a header whose value has spaces.
func isHeader(name string) bool {
	return slices.ContainsFunc([]string{"authorization", "proxy-authorization", "cookie", "set-cookie"}, func(header string) bool {
		return strings.EqualFold(name, header)
	})
}

// schemes are the words that precede a credential in a header.
var schemes = []string{"apikey", "basic", "bearer", "digest", "jwt", "negotiate", "token"}

// afterWord skips the scheme at the start of a header's value: Bearer, Basic.
func afterWord(text string, from, to int) int {
	word, rest, found := strings.Cut(text[from:to], " ")
	if found && rest != "" && slices.Contains(schemes, strings.ToLower(word)) {
		return from + len(word) + 1
	}
	return from
}

// afterScheme returns the credential that follows the word Bearer or Basic.
func afterScheme(text string, from, end int) (span, bool) {
	word := strings.ToLower(text[from:end])
	if word != "bearer" && word != "basic" || !strings.HasPrefix(text[end:], " ") {
		return span{}, false
	}
	at := end + 1
	to := at
	for to < len(text) && (isNameByte(text[to]) || strings.IndexByte("~+/=", text[to]) >= 0) {
		to++
	}
	credential := strings.TrimRight(text[at:to], ".")
	if word == "basic" {
		plain, err := base64.StdEncoding.DecodeString(credential)
		return span{from: at, to: at + len(credential), name: "authorization"}, err == nil && strings.Contains(string(plain), ":")
	}
	return span{from: at, to: at + len(credential), name: "authorization"}, len(credential) > 2 && (!isWord(credential) || len(credential) > 20)
}

// isWord reports whether text consists of letters only, like a word of prose.
func isWord(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return r < 0x80 && (r|0x20 < 'a' || r|0x20 > 'z') }) < 0
}

func skipSpaces(text string, at int) int {
	for at < len(text) && (text[at] == ' ' || text[at] == '\t') {
		at++
	}
	return at
}

// quoteAt returns the quotation mark at a position: ", ', `, or an escaped one; or "".
func quoteAt(text string, at int) string {
	for _, quote := range []string{`\"`, `"`, `'`, "`"} {
		if strings.HasPrefix(text[min(at, len(text)):], quote) {
			return quote
		}
	}
	return ""
}

// quoted returns the length of the text before the closing quotation mark.
func quoted(text, quote string) int {
	for i := 0; i < len(text); i++ {
		switch {
		case strings.HasPrefix(text[i:], quote):
			return i
		case text[i] == '\\' && len(quote) == 1:
			i++
		case text[i] == '\n':
			return i
		}
	}
	return len(text)
}

// lastPart returns the last name of a path: password of user.password.
func lastPart(path string) string {
	path = strings.Trim(path, ".")
	return path[strings.LastIndexByte(path, '.')+1:]
}

// tokenSchemes are those of URLs in which a user without a password is a token.
var tokenSchemes = []string{"nats", "tls", "nats+tls", "ws", "wss"}

// login returns the password of a URL whose :// is at a position.
func login(text string, at int) (span, bool) {
	from := at + len("://")
	rest := text[from:]
	rest = rest[:strings.IndexAny(rest+" ", " \t\r\n\"'`<>")]
	end := strings.LastIndexByte(rest[:strings.IndexAny(rest+"/", "/?#")], '@')
	if end < 0 { // a password with a slash in it must be found, too
		end = strings.LastIndexByte(rest, '@')
		if end < 0 || isHostPort(rest) {
			return span{}, false
		}
	}
	user, _, found := strings.Cut(rest[:end], ":")
	name := "password"
	switch scheme := text[strings.LastIndexFunc(text[:at], func(r rune) bool { return r != '+' && !isNameByte(byte(min(r, 0x7f))) })+1 : at]; {
	case found:
		from += len(user) + 1
	case slices.Contains(tokenSchemes, strings.ToLower(scheme)):
	default:
		return span{}, false
	}
	to := at + len("://") + end
	return span{from: from, to: to, name: name}, to > from && !harmless(text[from:to])
}

// isHostPort reports whether a URL starts with a host and possibly a port, and a path.
func isHostPort(rest string) bool {
	host := rest[:strings.IndexAny(rest+"/", "/?#")]
	_, port, found := strings.Cut(host, ":")
	return !found || strings.Trim(port, "0123456789") == ""
}

// inURL returns the credentials of one or several URLs that start at an offset.
func inURL(text string, offset int) (spans []span) {
	for at := offset; ; at++ {
		next := strings.Index(text[at:], "://")
		if next < 0 {
			break
		}
		at += next
		if s, ok := login(text, at); ok {
			spans = append(spans, s)
			at = s.to
		}
	}
	query := strings.IndexByte(text[offset:], '?')
	if query < 0 {
		return spans
	}
	at := offset + query + 1
	for pair := range strings.SplitSeq(text[at:], "&") {
		name, value, _ := strings.Cut(pair, "=")
		from := at + len(name) + 1
		if plain, err := url.QueryUnescape(name); err == nil && Named(plain) && value != "" && !harmless(value) {
			spans = append(spans, span{from: from, to: from + len(value), name: plain})
		}
		at += len(pair) + 1
	}
	return spans
}

// argument returns the credentials of an argument of a command.
func argument(text string) []span { return argumentAt(text, 0) }

func argumentAt(text string, offset int) []span {
	rest := text[offset:]
	flag, _, isFlag := strings.Cut(rest, "=")
	switch {
	case looksLikeJSON(rest):
		if json.Valid([]byte(rest)) {
			return moved(inJSON(rest), offset)
		}
		return moved(find(rest, true), offset)
	case strings.HasPrefix(rest, "--") && isFlag && nameEnd(flag, 0) == len(flag):
		return argumentAt(text, offset+len(flag)+1)
	case len(rest) > 2 && rest[0] == '-' && rest[1] != '-':
		return argumentAt(text, offset+2) // -H'NAME: VALUE'
	}
	name, at, ok := nameOf(rest)
	at += offset
	switch {
	case !ok && strings.Contains(rest, "://"):
		return inURL(text, offset)
	case !ok:
		return moved(find(rest, true), offset)
	case Named(name):
		return given(text, at, name)
	case looksLikeJSON(text[at:]), strings.Contains(text[at:], "://"):
		return argumentAt(text, at)
	}
	return moved(find(text[at:], true), at)
}

// nameOf returns the name before the first separator of NAME=VALUE, NAME:=VALUE, or
// NAME: VALUE, and where the value starts. Any part of a path may be the name of a
// credential.
func nameOf(text string) (name string, at int, ok bool) {
	end := strings.IndexAny(text, "=:")
	if end <= 0 || strings.HasPrefix(text[end:], "://") || strings.ContainsAny(text[:end], " \t\"'{}?/&") {
		return "", 0, false
	}
	name = lastPart(text[:end])
	for part := range strings.SplitSeq(text[:end], ".") {
		if Named(part) {
			name = part
		}
	}
	at = end + 1
	if strings.HasPrefix(text[end:], ":=") {
		at++
	}
	return name, skipSpaces(text, at), true
}

// given returns the credentials in the value of a name that stands for one.
func given(text string, at int, name string) []span {
	rest := text[at:]
	if looksLikeJSON(rest) && json.Valid([]byte(rest)) {
		w := jsonWalker{text: rest}
		w.value(name, true)
		return moved(w.spans, at)
	}
	at = afterWord(text, at, len(text))
	if at == len(text) || harmless(text[at:]) || text[at] == '@' {
		return nil
	}
	return []span{{from: at, to: len(text), name: name}}
}

func looksLikeJSON(text string) bool {
	trimmed := strings.TrimLeft(text, " \t\r\n")
	return trimmed != "" && strings.IndexByte(`{["`, trimmed[0]) >= 0
}

func moved(spans []span, by int) []span {
	for i := range spans {
		spans[i].from += by
		spans[i].to += by
	}
	return spans
}
